"""Uploads and downloads against a real server that plays storage."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client, GatewayUnreachable, TaskFailed
from modelyard.errors import NotFoundHere
from modelyard.transfer import download, files_below, save_plots, upload

from .conftest import Scripted, Uploads

PART = 1_500_000


class Heard:
    """Adds up progress from several threads."""

    def __init__(self) -> None:
        self.total, self._lock = 0, threading.Lock()
        self.said: list[tuple[int, int]] = []

    def __call__(self, count: int) -> None:
        with self._lock:
            self.total += count

    def begun(self, total: int, arrived: int) -> None:
        self.said.append((total, arrived))


def test_what_belongs_to_a_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "模型/数字 1\u3000.onnx", ".hidden", ".git/x", "sub/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("/etc/hostname")
    found = files_below(tmp_path)
    assert list(found.files) == ["b.txt", "模型/数字 1\u3000.onnx"]
    with pytest.raises(NotFoundHere, match="is not a folder"):
        files_below(tmp_path / "b.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundHere, match="holds no files"):
        files_below(tmp_path / "empty")


@pytest.mark.parametrize("name", [b"caf\xe9.onnx", b"line\nbreak", b"bell\x07"])
def test_names_that_nobody_can_print(tmp_path: Path, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    with pytest.raises(NotFoundHere, match="no printable UTF-8"):
        files_below(tmp_path)


def test_whole_files_of_any_name_and_size(client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path) -> None:
    contents = {"config.json": b"{}", "empty": b"", "模型/数字 1.onnx": b"x" * 3_000_000}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    heard = Heard()
    assert upload(client, files_below(tmp_path), heard, heard.begun) == "u 1"
    assert {name: uploads.arrived(name) for name in contents} == contents
    assert (heard.total, heard.said) == (3_000_002, [(3_000_002, 0)])
    begun = gateway.asked[0]
    assert begun.body == {"files": [{"path": name, "size": len(content)} for name, content in contents.items()]}
    assert uploads.completed == {"u 1": [{"path": name, "etags": []} for name in contents]}
    assert all("authorization" not in headers for headers in gateway.storage_headers)
    assert all("transfer-encoding" not in headers for headers in gateway.storage_headers)


@pytest.mark.parametrize(("size", "parts"), [(4_000_000, 3), (3_000_000, 2), (PART, 1), (3_000_001, 3)])
def test_parts_are_exact_slices_and_report_their_etags(
    client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path, size: int, parts: int
) -> None:
    content = bytes(index % 251 for index in range(size))
    (tmp_path / "big").write_bytes(content)
    uploads.part_size = PART
    heard = Heard()
    upload(client, files_below(tmp_path), heard)
    slices = [gateway.stored[f"u 1/big.{part}"] for part in range(1, parts + 1)]
    assert [len(piece) for piece in slices[:-1]] == [PART] * (parts - 1)
    assert b"".join(slices) == content
    assert heard.total == size
    etags = [hashlib.md5(piece, usedforsecurity=False).hexdigest() for piece in slices] if parts > 1 else []
    assert uploads.completed["u 1"] == [{"path": "big", "etags": etags}]


@pytest.mark.parametrize("status", [403, 500])
def test_storage_refuses_a_file(
    client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path, status: int
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.onnx").write_bytes(b"a")
    gateway.storage_status["u 1/sub/a.onnx.1"] = status
    heard = Heard()
    with pytest.raises(TaskFailed, match=rf"^sub/a\.onnx: storage did not take it \(HTTP {status}\); run the same com"):
        upload(client, files_below(tmp_path), heard)
    assert uploads.completed == {}
    assert heard.total == 0
    assert len(gateway.storage_headers) == (2 if status == 403 else 4)  # an URL may be too old; a server may be busy


def test_after_a_failure_nothing_more_is_begun(
    client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path
) -> None:
    names = [f"{number:03}" for number in range(200)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    gateway.storage_status["u 1/000.1"] = 403
    with pytest.raises(TaskFailed, match=r"^000: "):
        upload(client, files_below(tmp_path), Heard())
    assert len(gateway.stored) < 150


def test_storage_is_not_there(client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    uploads.reach = lambda _: "http://127.0.0.1:9/a?signature=secret"
    with pytest.raises(
        GatewayUnreachable, match=r"^a: storage at 127\.0\.0\.1:9 did not take it: .*; run the same command"
    ) as unreachable:
        upload(client, files_below(tmp_path), Heard())
    assert "secret" not in str(unreachable.value)


def test_a_file_that_shrinks_while_it_is_sent(
    client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a" * 100)

    def cut(url: str) -> str:
        (tmp_path / "a").write_bytes(b"a")
        return url

    uploads.reach = cut
    with pytest.raises(TaskFailed, match=r"^a became shorter while it was sent"):
        upload(client, files_below(tmp_path), Heard())


def test_a_file_that_changes_while_it_is_sent(
    client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a" * 100)

    def touched(url: str) -> str:
        os.utime(tmp_path / "a", (1, 1))
        return url

    uploads.reach = touched
    with pytest.raises(TaskFailed, match=r"^a changed while it was sent"):
        upload(client, files_below(tmp_path), Heard())
    assert uploads.completed == {}
    upload(client, files_below(tmp_path), Heard())  # another file by now, and so another upload
    assert set(uploads.completed) == {"u 2"}


def test_downloads_are_verified(gateway: Scripted, tmp_path: Path) -> None:
    contents = {"model/数字 1.onnx": b"x" * 2_500_000, "empty": b"", "a": b"1", "a.part": b"2"}
    links = [gateway.keeps(f"s{number}", content, path) for number, (path, content) in enumerate(contents.items())]
    heard = Heard()
    paths = download({"files": links}, tmp_path / "new", heard)
    assert [path.relative_to(tmp_path / "new").as_posix() for path in paths] == list(contents)
    assert [path.read_bytes() for path in paths] == list(contents.values())
    assert heard.total == sum(map(len, contents.values()))
    assert len(everything_below(tmp_path)) == len(contents)


def test_an_older_file_is_replaced(gateway: Scripted, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    download({"files": [gateway.keeps("a", b"new")]}, tmp_path, Heard())
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size": 2}, {"size": 6}])
def test_what_is_not_as_promised_keeps_nothing(gateway: Scripted, tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "bad").write_bytes(b"old")
    links = [gateway.keeps("good", b"good"), gateway.keeps("bad", b"wrong", **wrong)]
    with pytest.raises(TaskFailed, match=r"^bad: what arrived is not what the manifest promises"):
        download({"files": links}, tmp_path, Heard())
    assert everything_below(tmp_path) == ["bad"]
    assert (tmp_path / "bad").read_bytes() == b"old"


@pytest.mark.parametrize("status", [403, 500])
def test_storage_refuses_to_send(gateway: Scripted, tmp_path: Path, status: int) -> None:
    links = [gateway.keeps("model.onnx", b"x")]
    gateway.storage_status["model.onnx"] = status
    with pytest.raises(TaskFailed, match=rf"^model\.onnx: storage did not send it \(HTTP {status}\)") as failed:
        download({"files": links}, tmp_path, Heard())
    assert "secret" not in str(failed.value)
    assert everything_below(tmp_path) == []


@pytest.mark.parametrize(
    "path", ["../out", "/etc/out", "a/../../out", ".", "", "..", "a\\..\\out", "link/out", "nul\0", "line\nbreak"]
)
def test_a_path_that_leads_out_of_the_folder(gateway: Scripted, tmp_path: Path, path: str) -> None:
    folder = tmp_path / "into"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    links = [gateway.keeps("fine", b"x"), gateway.keeps("evil", b"x") | {"path": path}]
    with pytest.raises(TaskFailed, match="leads out of the folder"):
        download({"files": links}, folder, Heard())
    assert everything_below(tmp_path) == []
    assert gateway.storage_headers == []


def test_plots_are_saved_under_their_names(gateway: Scripted, tmp_path: Path) -> None:
    kinds = [("roc", "image/svg+xml"), ("roc", "image/png"), ("per-class", "text/csv")]
    plots = [
        {"name": name, "media_type": kind, "url": gateway.keeps(f"{name}-{number}", kind.encode())["url"]}
        for number, (name, kind) in enumerate(kinds)
    ]
    saved = save_plots(plots, tmp_path / "plots")
    assert [path.name for path in saved] == ["roc.svg", "roc.png", "per-class.csv"]
    assert [path.read_text() for path in saved] == [kind for _, kind in kinds]
    gateway.storage_status["roc-0"] = 403
    with pytest.raises(TaskFailed, match=r"roc\.svg: storage did not send it"):
        save_plots(plots, tmp_path)
    with pytest.raises(TaskFailed, match="leads out"):
        save_plots([{**plots[0], "name": "../../evil"}], tmp_path)


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
