import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from modelyard_testkit import models


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "build",
    [
        models.digits_like_mlp,
        models.conv_net,
        models.with_external_data,
        models.with_custom_operator,
        models.openvino_ir,
        models.truncated,
        lambda path: models.random_model(path, megabytes=8),
    ],
)
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    first, second = (files(models.package(tmp_path / name, build, calibration=2)) for name in "ab")
    assert first == second


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    first, second = (models.digits_like_mlp(tmp_path / str(seed), seed=seed).read_bytes() for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("build", [models.digits_like_mlp, models.conv_net, models.with_external_data])
def test_good_models_pass_the_full_check(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    onnx.checker.check_model(build(tmp_path / "model.onnx"), full_check=True)


@pytest.mark.parametrize("megabytes", [1, 5, 12])
def test_a_random_model_is_as_large_as_asked(tmp_path: Path, megabytes: int) -> None:
    path = models.random_model(tmp_path / "model.onnx", megabytes=megabytes)
    assert megabytes * 2**20 < path.stat().st_size < megabytes * 2**20 + 2000
    onnx.checker.check_model(path, full_check=True)


def test_different_images_get_different_classes(tmp_path: Path) -> None:
    """Parity on a model that answers everything alike would prove nothing."""
    images = models.digit_images(64)
    reference = ReferenceEvaluator(str(models.digits_like_mlp(tmp_path / "a")))
    other = ReferenceEvaluator(str(models.conv_net(tmp_path / "b")))
    for evaluator in (reference, other):
        (scores,) = evaluator.run(None, {"image": images})
        classes = np.bincount(np.asarray(scores).argmax(axis=1), minlength=10)
        assert (classes > 0).sum() >= 5
        assert classes.max() < 40


def test_config_changes(tmp_path: Path) -> None:
    root = models.package(tmp_path, config=models.digits_config(labels=None, runtime="x"))
    config = json.loads((root / "model" / "config.json").read_text())
    assert "labels" not in config
    assert config["runtime"] == "x"
