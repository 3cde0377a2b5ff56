"""What of a folder is sent, what is left out, and that it is said."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelyard
from modelyard import Client
from modelyard.errors import NotFoundHere
from modelyard.transfer import files_below
from modelyard.transfer.folders import behind

from .conftest import Scripted

CONFIG = b'{"model_algorithm": "predict_analysis", "model_type": "Custom"}'


def written(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(CONFIG if path.name == "config.json" else name.encode())
    return folder


def left_out(folder: Path, **options: bool) -> dict[str, str]:
    return {each.path: each.reason for each in files_below(folder, **options).left_out}


def cached(tmp_path: Path) -> Path:
    """A repository as huggingface_hub keeps it; the folder of its one revision."""
    repository = tmp_path / "hub" / "models--team--digits"
    snapshot = repository / "snapshots" / "0123abcd"
    written(repository, "blobs/aa", "blobs/bb", "refs/main")
    (snapshot / "onnx").mkdir(parents=True)
    (repository / "blobs" / "aa").write_bytes(CONFIG)
    (snapshot / "config.json").symlink_to("../../blobs/aa")
    (snapshot / "onnx" / "model.onnx").symlink_to("../../../blobs/bb")
    return snapshot


def test_links_inside_of_the_folder_are_files(tmp_path: Path) -> None:
    folder = written(tmp_path / "digits", "config.json", "weights/v2.bin")
    (folder / "weights.bin").symlink_to("weights/v2.bin")
    (folder / "again.bin").symlink_to(folder / "weights.bin")
    found = files_below(folder)
    assert {name: path.read_bytes() for name, path in found.files.items()} == {
        "again.bin": b"weights/v2.bin",
        "config.json": CONFIG,
        "weights.bin": b"weights/v2.bin",
        "weights/v2.bin": b"weights/v2.bin",
    }
    assert found.left_out == ()


def test_a_snapshot_of_the_hugging_face_cache(tmp_path: Path) -> None:
    found = files_below(cached(tmp_path))
    assert {name: path.read_bytes() for name, path in found.files.items()} == {
        "config.json": CONFIG,
        "onnx/model.onnx": b"blobs/bb",
    }
    linked = tmp_path / "digits"
    linked.symlink_to(cached(tmp_path / "other"))
    assert len(files_below(linked).files) == 2


def test_the_whole_repository_is_no_package(client: Client, tmp_path: Path) -> None:
    repository = cached(tmp_path).parent.parent
    with pytest.raises(NotFoundHere, match=r"is no model package.* name one of snapshots/"):
        client.imports.upload("digits", repository)


def test_links_that_lead_elsewhere_are_left_out(tmp_path: Path) -> None:
    snapshot = cached(tmp_path)
    written(tmp_path, "hub/models--other--secret/blobs/cc", "secret", "hub/models--team--digits/token")
    (snapshot / "a").symlink_to("../../../models--other--secret/blobs/cc")
    (snapshot / "b").symlink_to(tmp_path / "secret")
    (snapshot / "c").symlink_to("../../token")
    (snapshot / "d").symlink_to("nowhere")
    (snapshot / "e").symlink_to("../../blobs")
    (snapshot / "f").symlink_to("onnx")
    outside = "a link that leads out of the folder"
    assert left_out(snapshot) == {
        "a": outside,
        "b": outside,
        "c": outside,
        "d": "a link that leads nowhere",
        "e": "a link to a folder",
        "f": "a link to a folder",
    }


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    folder = written(tmp_path / "digits", "config.json")
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "up").symlink_to(".")
    assert list(files_below(folder).files) == ["config.json"]
    assert left_out(folder) == {
        "a": "a link that leads nowhere",
        "b": "a link that leads nowhere",
        "up": "a link to a folder",
    }


def test_hidden_files_go_when_they_are_asked_for(tmp_path: Path) -> None:
    names = "config.json", ".vocab", ".cache/x", ".git/config", "sub/.DS_Store", "code/__pycache__/a.pyc"
    folder = written(tmp_path / "digits", *names)
    (folder / "git").symlink_to(".git/config")
    never = {".git/", "code/__pycache__/", "sub/.DS_Store"}
    assert left_out(folder) == {".cache/": "hidden", ".vocab": "hidden", "git": "leads to what is never sent"} | (
        dict.fromkeys(sorted(never), "is never sent")
    )
    found = files_below(folder, hidden=True)
    assert sorted(found.files) == [".cache/x", ".vocab", "config.json"]
    assert {each.path for each in found.left_out} == never | {"git"}


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "digits", "config.json")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        assert left_out(folder) == {"pipe": "no regular file", "socket": "no regular file"}


def test_a_folder_of_which_nothing_can_be_sent_says_why(tmp_path: Path) -> None:
    folder = written(tmp_path / "digits", ".vocab")
    with pytest.raises(NotFoundHere, match=r"holds no files that can be sent; not sent:\n  \.vocab: hidden"):
        files_below(folder)


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_it_is_said_before_the_upload(
    yard: Scripted, run: Callable[..., Any], package: Path, options: tuple[str, ...]
) -> None:
    written(package, *(f".hidden-{number:02}" for number in range(25)))
    yard.on("POST uploads", 503)
    said = run(*options, "import", str(package), "--name", "digits").err
    lines = said.splitlines()
    assert lines[:3] == ["not sent:", "  .hidden-00: hidden", "  .hidden-01: hidden"]
    assert lines[20:22] == ["  .hidden-19: hidden", "  and 5 more"]


def test_it_is_in_the_reply(yard: Scripted, run: Callable[..., Any], client: Client, package: Path) -> None:
    written(package, ".vocab")
    told = [{"path": ".vocab", "reason": "hidden"}]
    command = ("import", str(package), "--name", "digits", "--json")
    assert run(*command).json["left_out"] == told
    assert run(*command, "--no-wait").json["left_out"] == told
    assert client.imports.upload("digits", package)["left_out"] == told
    assert client.datasets.upload("digits", package)["left_out"] == told
    with pytest.warns(UserWarning, match=r"\.vocab: hidden"):
        assert modelyard.save("digits", package, connection=client.connection)["left_out"] == told
    assert yard.last("POST").path == "models"


def test_hidden_files_are_sent(yard: Scripted, run: Callable[..., Any], package: Path) -> None:
    written(package, ".vocab")
    ended = run("import", str(package), "--name", "digits", "--hidden", "--json")
    assert json.loads(ended.out)["left_out"] == []
    begun = next(asked for asked in yard.asked if asked.path == "uploads")
    assert ".vocab" in [file["path"] for file in begun.body["files"]]


def test_a_link_or_a_model_brings_nothing_hidden_along(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    written(folder, "model.bin", ".env", ".ssh/id_rsa")
    (folder / "w.bin").symlink_to(".env")
    (folder / "k.bin").symlink_to(".ssh/id_rsa")
    assert set(files_below(folder).files) == {"model.bin"}
    assert left_out(folder)["w.bin"] == "leads to something hidden"
    for name in (".env", ".ssh/id_rsa", "k.bin"):
        assert behind(folder / name, folder) == "leads to something hidden"
    assert {"w.bin", ".env"} <= set(files_below(folder, hidden=True).files)
