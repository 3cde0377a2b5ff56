"""A version as a folder and as a function: what is fetched, kept and run, and what is said where that cannot be."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelyard
from modelyard import Client, NotUsable, Refused, TaskFailed
from modelyard.errors import NotFoundHere
from modelyard_testkit import models

from .conftest import Scripted
from .gateway_replies import ARTIFACTS, FAILURE, MODEL, NOW, model

PIXELS = models.digit_images(3)


class Yard:
    """A gateway with one version, whose artifacts are real files: ONNX as source, OpenVINO as a conversion."""

    def __init__(self, gateway: Scripted, folder: Path) -> None:
        self.gateway, self.folder = gateway, folder
        models.package(folder / "source", models.digits_like_mlp)
        models.openvino_ir(folder / "openvino-fp16/model/digits.xml")
        self.artifacts = [
            ARTIFACTS[place].model_copy(update={"digest": "sha256:" + mark * 32, "format": found})
            for place, mark, found in ((0, "aa", "onnx"), (2, "bb", "openvino"))
        ]
        self.publish()
        gateway.on(f"GET models/{MODEL}/files", lambda asked: self.files(asked.asked[-1].query["artifact_id"]))

    def publish(self, **fields: Any) -> None:
        view = model(**{"artifacts": tuple(self.artifacts), **fields})
        self.gateway.on(f"GET models/{MODEL}", view)
        self.gateway.on("GET models", {"models": [{**view.model_dump(mode="json")}]})
        held = {"alias": "champion", "model_id": MODEL}
        self.gateway.on("GET model-names/digits/aliases", {"aliases": [held]})

    def files(self, artifact_id: str) -> dict[str, Any]:
        found = next(each for each in self.artifacts if str(each.artifact_id) == artifact_id)
        below = self.folder / found.target
        paths = sorted(path for path in below.rglob("*") if path.is_file())
        links = [
            self.gateway.keeps(f"{found.target}-{path.name}", path.read_bytes(), path.relative_to(below).as_posix())
            for path in paths
        ]
        return {"digest": found.digest, "files": links, "next_after": None, "expires_at": NOW}

    @property
    def fetched(self) -> int:
        """How many files storage was asked for."""
        return len(self.gateway.storage_headers)


@pytest.fixture
def published(gateway: Scripted, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    return Yard(gateway, tmp_path / "yard")


def kept(tmp_path: Path) -> list[str]:
    """What lies in the cache, what is hidden too."""
    return sorted(path.name for path in (tmp_path / "cache/models").iterdir())


def test_the_second_load_fetches_nothing(published: Yard, tmp_path: Path) -> None:
    found = modelyard.load("digits@champion")
    assert (found.model_id, found.name, found.version) == (MODEL, "digits", "0.0.1")
    assert found.digest == "sha256:" + "aa" * 32
    assert found.config is not None
    assert found.config["model_type"] == "ONNX"
    assert found.path.is_relative_to(tmp_path / "cache")
    original = published.folder / "source/model/model.onnx"
    assert (found.path / original.name).read_bytes() == original.read_bytes()
    before = published.fetched
    assert modelyard.load("digits") == modelyard.load("digits:0.0.1") == modelyard.load(MODEL) == found
    assert published.fetched == before == len(list(found.path.iterdir()))
    assert kept(tmp_path) == ["aa" * 32]


def test_only_the_model_is_fetched(published: Yard) -> None:
    (published.folder / "source/calibration_data").mkdir()
    (published.folder / "source/calibration_data/train.npy").write_bytes(b"n" * 1000)
    assert {path.name for path in modelyard.load("digits").path.iterdir()} == {"config.json", "model.onnx"}
    assert "source-train.npy" in published.gateway.stored
    assert published.fetched == 2


def test_a_broken_load_leaves_no_entry_and_goes_on(client: Client, published: Yard, tmp_path: Path) -> None:
    published.gateway.storage_status["source-model.onnx"] = 403
    with pytest.raises(TaskFailed, match=r"model\.onnx.*403"):
        client.load("digits")
    assert "aa" * 32 not in kept(tmp_path)
    published.gateway.storage_status.clear()
    assert (client.load("digits").path / "model.onnx").stat().st_size > 1000
    assert kept(tmp_path) == ["aa" * 32]


def test_a_spoiled_file_is_never_kept(client: Client, published: Yard, tmp_path: Path) -> None:
    good = published.files(str(published.artifacts[0].artifact_id))
    wrong = [{**link, "sha256": "0" * 64} for link in good["files"]]
    published.gateway.on(f"GET models/{MODEL}/files", {**good, "files": wrong})
    with pytest.raises(TaskFailed, match="not what the manifest promises"):
        client.load("digits")
    assert "aa" * 32 not in kept(tmp_path)


def test_two_processes_at_once_fetch_it_once(published: Yard, tmp_path: Path) -> None:
    (published.folder / "source/model/weights.bin").write_bytes(os.urandom(8 << 20))
    program = [sys.executable, "-c", "import modelyard; print(modelyard.load('digits').path)"]
    both = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]
    assert published.fetched == 3
    assert kept(tmp_path) == ["aa" * 32]


def test_a_digest_that_is_a_path(client: Client, published: Yard) -> None:
    view = model().model_dump(mode="json")
    view["artifacts"][0]["digest"] = "sha256:../../x"
    published.gateway.on(f"GET models/{MODEL}", view)
    with pytest.raises(TaskFailed, match="names no digest"):
        client.load("digits")


def test_versions_that_cannot_be_loaded(client: Client, published: Yard) -> None:
    published.publish(model_status="failed", failure=FAILURE, artifacts=())
    with pytest.raises(TaskFailed, match=r"digits 0\.0\.1 was not imported: the package has 2 problems") as failed:
        client.load(MODEL)
    assert len(failed.value.problems) == 2
    published.publish(model_status="publishing", artifacts=())
    with pytest.raises(NotUsable, match="not published yet, it is publishing"):
        client.load(MODEL)
    published.publish(source_type="auto")
    message = "a version made by automatic learning (source_type auto) cannot be downloaded"
    published.gateway.on(f"GET models/{MODEL}/files", published.gateway.refusal(403, error_msg=message))
    with pytest.raises(Refused, match="cannot be downloaded"):
        client.load(MODEL)
    with pytest.raises(NotFoundHere, match="has no artifact 'tflite'; it has: source, openvino-fp16"):
        client.load(MODEL, target="tflite")


def test_an_onnx_model_runs(published: Yard) -> None:
    runner = modelyard.load("digits").runner()
    (image,), (scores,) = runner.inputs, runner.outputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("N", 1, 8, 8))
    assert (scores.name, scores.shape) == ("scores", ("N", 10))
    answers = [runner(PIXELS), runner({"image": PIXELS}), runner(image=PIXELS), runner(PIXELS.astype("float64"))]
    for answer in answers:
        assert answer["scores"].sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
        assert (answer["scores"] == answers[0]["scores"]).all()
    for wrong in ({"picture": PIXELS}, None):
        with pytest.raises(ValueError, match=r"the inputs are image, given were (picture|none)"):
            runner(wrong)
    with pytest.raises(TypeError, match="Cannot cast"):
        runner(PIXELS.astype("complex64"))
    for misfit in (PIXELS[0], PIXELS[..., :7]):
        with pytest.raises(ValueError, match=r"image takes float32\[N, 1, 8, 8\], given was float32\["):
            runner(misfit)


def test_a_converted_model_runs_alike(published: Yard) -> None:
    found = modelyard.load("digits@champion", target="openvino-fp16")
    assert (found.digest, found.config) == ("sha256:" + "bb" * 32, None)
    runner = found.runner()
    assert runner.runtime == "openvino"
    (image,) = runner.inputs
    assert (image.name, image.dtype, image.shape[1:] if image.shape else None) == ("image", "float32", (1, 8, 8))
    source = modelyard.load("digits").runner()(PIXELS)["scores"]
    assert runner(PIXELS)["scores"] == pytest.approx(source, abs=1e-4)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As if these were not installed."""

    def find(name: str) -> Any:
        if name in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name)

    monkeypatch.setattr("modelyard.running.import_module", find)


def test_what_to_install_is_said(published: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    found, converted = modelyard.load("digits"), modelyard.load("digits", target="openvino-fp16")
    without(monkeypatch, "onnxruntime")
    assert found.runner().runtime == "openvino"
    without(monkeypatch, "onnxruntime", "openvino")
    with pytest.raises(NotUsable, match=r"runs model\.onnx: pip install onnxruntime or pip install openvino"):
        found.runner()
    with pytest.raises(NotUsable, match=r"runs digits\.xml: pip install openvino$"):
        converted.runner()


def test_a_format_that_nothing_here_runs(published: Yard) -> None:
    (published.folder / "source/model/model.onnx").rename(published.folder / "source/model/model.pt")
    published.artifacts[0] = published.artifacts[0].model_copy(update={"format": "pytorch"})
    published.publish()
    with pytest.raises(NotUsable, match="this is pytorch, and what can be run here is ONNX and OpenVINO"):
        modelyard.load("digits").runner()


def test_saving_waits_and_answers_the_version(
    yard: Scripted,
    environment: dict[str, str],
    package: Path,
    no_pauses: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    yard.on(f"GET models/{MODEL}", model(model_status="publishing", artifacts=()), model())
    version = modelyard.save("digits", package, labels=["nightly"])
    assert (version["model_version"], version["model_status"]) == ("0.0.1", "published")
    assert yard.last("POST").body == {"model_name": "digits", "labels": ["nightly"], "upload_id": "u 1"}
    assert capsys.readouterr().err == ""  # nobody watches
    (package / "config.json").unlink()
    asked = len(yard.asked)
    with pytest.raises(NotFoundHere, match="is no model package"):
        modelyard.save("digits", package)
    assert len(yard.asked) == asked


def test_saving_shows_one_line_where_somebody_watches(
    yard: Scripted,
    environment: dict[str, str],
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    modelyard.save("digits", package)
    said = capsys.readouterr().err
    assert said.startswith("\rimporting digits: 0.0 of 0.0 MiB")
    assert said.rstrip(" \n").endswith("importing digits: published")
    assert said.count("\n") == 1
