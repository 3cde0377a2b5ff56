"""The evaluation itself, on real digits: numbers agree with scikit-learn's own predictions of the same classifier."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard_contracts.failures import Failure
from modelyard_evaluate.tasks.classification.child import evaluate

from ..evaluate_digits import Trained, write_images, write_package

COUNT = 150


def run(package: Path, data: Path, out: Path, lines: list[str] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report with its counts, and the whole result."""
    kind = "image-folder" if data.is_dir() else "npz"
    folder, files = (data, sorted(data.rglob("*.*"))) if data.is_dir() else (data.parent, [data])
    samples = out.parent / "samples.json"
    samples.write_text(json.dumps([[str(path.relative_to(folder))] * 2 for path in files]))
    request = {
        "package": package, "format": "onnx", "kind": kind,
        "data": folder, "samples": samples, "out": out, "threads": 1,
    }  # fmt: skip
    report = evaluate(request, (lines if lines is not None else []).append)
    return report | report["counts"], json.loads((out / "result.json").read_text())


def test_digits_score_what_scikit_learn_predicts(tmp_path: Path, trained: Trained) -> None:
    package = write_package(tmp_path / "package", trained)
    data = write_images(tmp_path / "data", trained, COUNT)
    lines: list[str] = []
    headline, result = run(package, data, tmp_path / "out", lines)
    right = int((trained.truth[:COUNT] == trained.predicted[:COUNT]).sum())
    assert (headline["correct"], headline["samples"]) == (right, COUNT)
    assert 0.8 < headline["metrics"]["accuracy"] < 1.0
    assert headline["metrics"]["accuracy"] == pytest.approx(right / COUNT, abs=1e-6)
    wrong = {f"{trained.truth[i]}/{i:04d}.png" for i in range(COUNT) if trained.truth[i] != trained.predicted[i]}
    assert {each["sample"] for each in result["misclassified"]} == wrong
    assert result["ran_with"]["precision"] == "f32"
    assert lines[-2] == f"progress {COUNT} {COUNT}"
    assert {each["file"] for each in headline["files"]} | {"result.json"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_chinese_class_folders(tmp_path: Path, trained: Trained) -> None:
    names = list("零一二三四五六七八九")
    package = write_package(tmp_path / "package", trained, labels=names)
    data = write_images(tmp_path / "data", trained, 40, classes=names)
    _, result = run(package, data, tmp_path / "out")
    assert {row["label"] for row in result["classes"]} <= set(names)
    assert (tmp_path / "out" / "per-class.csv").read_text(encoding="utf-8-sig").splitlines()[1].startswith("零,")
    if result["numbers_in_png"]:
        assert result["numbers_in_png"]["#0"] == "零"


def test_npz_and_a_fixed_batch_give_the_same_numbers(tmp_path: Path, trained: Trained) -> None:
    x = trained.images[:50, np.newaxis].astype(np.float64) / 255
    np.savez(tmp_path / "data.npz", x=x, y=trained.truth[:50])
    first, _ = run(write_package(tmp_path / "free", trained), tmp_path / "data.npz", tmp_path / "out1")
    second, _ = run(write_package(tmp_path / "fixed", trained, batch=8), tmp_path / "data.npz", tmp_path / "out2")
    np.savez(tmp_path / "named.npz", x=x, y=trained.truth[:50].astype(str))
    third, _ = run(write_package(tmp_path / "named", trained), tmp_path / "named.npz", tmp_path / "out3")
    assert first["metrics"] == second["metrics"] == third["metrics"]
    assert first["correct"] == int((trained.truth[:50] == trained.predicted[:50]).sum())


def refused(tmp_path: Path, package: Path, data: Path) -> Failure:
    with pytest.raises(Failure) as caught:
        run(package, data, tmp_path / "out")
    return caught.value


def test_a_class_folder_that_the_model_does_not_know(tmp_path: Path, trained: Trained) -> None:
    data = write_images(tmp_path / "data", trained, 20, classes=[*"012345678", "neun"])
    failure = refused(tmp_path, write_package(tmp_path / "package", trained), data)
    assert failure.message.startswith("the model does not know the class 'neun'; it knows '0', '1', '2'")
    assert failure.problems[0].field == "labels"


def test_without_labels_there_must_be_as_many_folders_as_scores(tmp_path: Path, trained: Trained) -> None:
    package = write_package(tmp_path / "package", trained, labels=[])
    run(package, write_images(tmp_path / "all", trained, COUNT), tmp_path / "out")
    few = refused(tmp_path, package, write_images(tmp_path / "few", trained, 3))
    assert "10 scores and config.json has no labels" in few.message
    assert "add `labels` to config.json" in few.message


def test_a_broken_image_is_named(tmp_path: Path, trained: Trained) -> None:
    data = write_images(tmp_path / "data", trained, 20)
    broken = next(data.glob("3/*.png"))
    broken.write_bytes(broken.read_bytes()[:40])
    failure = refused(tmp_path, write_package(tmp_path / "package", trained), data)
    assert f"3/{broken.name}" in failure.message


def test_images_need_preprocessing(tmp_path: Path, trained: Trained) -> None:
    package = write_package(tmp_path / "package", trained)
    path = package / "model" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"preprocessing": []}))
    failure = refused(tmp_path, package, write_images(tmp_path / "data", trained, 3))
    assert failure.problems[0].field == "preprocessing"


def test_scores_that_are_no_numbers_name_the_sample(tmp_path: Path, trained: Trained) -> None:
    package = write_package(tmp_path / "package", trained)
    x = trained.images[:4, np.newaxis].astype(np.float32) / 255
    x[2] = np.nan
    np.savez(tmp_path / "data.npz", x=x, y=trained.truth[:4])
    assert "NaN or infinity for 'x[2]'" in refused(tmp_path, package, tmp_path / "data.npz").message


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 8, 8), np.float32), np.array([0, 1]), "array 'x' has shape [2, 8, 8]"),
        (np.zeros((2, 1, 8, 8), np.int64), np.array([0, 10]), "the dataset has the label 10"),
        (np.zeros((2, 1, 8, 8), np.float32), np.array([0, 10]), "the dataset has the label 10"),
        (np.zeros((2, 1, 8, 8), np.complex64), np.array([0, 1]), "array 'x' is complex64"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, trained: Trained, x: Any, y: Any, message: str) -> None:
    np.savez(tmp_path / "data.npz", x=x, y=y)
    assert message in refused(tmp_path, write_package(tmp_path / "package", trained), tmp_path / "data.npz").message


def test_a_truncated_model_is_named(tmp_path: Path, trained: Trained) -> None:
    package = write_package(tmp_path / "package", trained)
    path = package / "model" / "digits.onnx"
    path.write_bytes(path.read_bytes()[:200])
    failure = refused(tmp_path, package, write_images(tmp_path / "data", trained, 3))
    assert "model/digits.onnx does not load" in failure.message
