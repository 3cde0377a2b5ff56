"""The runtime table: one row for each name, and every engine of the specification has its own."""

import pytest

from modelyard_contracts.package import MODEL_TYPES
from modelyard_contracts.runtimes import RUNTIMES, runtime_named, runtimes_of


def test_a_name_says_one_thing_for_one_type() -> None:
    keys = [(row.model_type, row.runtime) for row in RUNTIMES]
    assert len(keys) == len(set(keys))
    assert all(row.processors and len(row.runtime) <= 100 for row in RUNTIMES)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_type_has_runtimes_but_those_that_bring_their_own(model_type: str) -> None:
    assert bool(runtimes_of(model_type)) == (model_type not in ("Image", "Template"))


@pytest.mark.parametrize(
    ("model_type", "runtime", "python", "processors"),
    [
        ("TensorFlow", "python2.7", "2.7", ("cpu",)),
        ("TensorFlow", "tf1.13-python3.7-cpu", "3.7", ("cpu",)),
        ("TensorFlow", "tf1.13-python3.7-gpu", "3.7", ("gpu",)),
        ("MXNet", "python3.7", "3.7", ("cpu", "gpu")),
        ("Caffe", "python3.6-gpu", "3.6", ("gpu",)),
        ("PyTorch", "pytorch1.4-python3.7", "3.7", ("cpu",)),
        ("Spark_MLlib", "python3.6", "3.6", ("cpu",)),
        ("MindSpore", "ascend-aarch64-npu", None, ("npu",)),
        ("ONNX", "onnxruntime1.32-python3.12-npu", "3.12", ("npu",)),
        ("LightGBM", "python3.11", "3.11", ("cpu", "gpu")),
    ],
)
def test_rows(model_type: str, runtime: str, python: str | None, processors: tuple[str, ...]) -> None:
    row = runtime_named(model_type, runtime)
    assert row is not None
    assert (row.python, row.processors) == (python, processors)


def test_a_runtime_of_another_type_is_unknown() -> None:
    assert runtime_named("ONNX", "tf1.13-python3.7-cpu") is None
    assert runtime_named("Image", "python3.12") is None
