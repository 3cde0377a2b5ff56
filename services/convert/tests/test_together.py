"""A model that takes any number of items is proven with several in one run: each has to get its own answer."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.children.observe import observe, record
from modelyard_convert.children.requests import ObserveRequest
from modelyard_formats.table import runner
from modelyard_testkit import models

SPEC = TensorSpec(name="x", dtype="float32", shape=("n", 4))


def model(path: Path, nodes: list[Any], batch: int | str, gives: int = TensorProto.FLOAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = [
        numpy_helper.from_array(np.eye(4, dtype=np.float32) * 2, "w"),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    x, y = (helper.make_tensor_value_info(*each, [batch, 4]) for each in (("x", TensorProto.FLOAT), ("y", gives)))
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def node(kind: str, inputs: list[str], output: str, **options: Any) -> Any:
    return helper.make_node(kind, inputs, [output], **options)


RIGHT = [node("MatMul", ["x", "w"], "y")]
ROW_0_FOR_ALL = [
    node("MatMul", ["x", "w"], "all"),
    node("Gather", ["all", "first"], "one", axis=0),
    node("Shape", ["all"], "size"),
    node("Expand", ["one", "size"], "y"),
]


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Any]:
    def record_it(name: str, nodes: list[Any], batch: int | str = "n") -> dict[str, Any]:
        root = tmp_path / name
        models.package(root, lambda path: model(path, nodes, batch))
        rows = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
        samples = tmp_path / f"{name}.npz"
        np.savez(samples, **{"0/0": rows[:3], "1/0": rows[3:4], "2/0": rows[4:]})
        request = ObserveRequest(
            format="onnx",
            root=root,
            threads=1,
            samples=samples,
            count=3,
            outputs=tmp_path / f"{name}-out.npz",
            counterpart=Signature(inputs=(SPEC,), outputs=(SPEC.model_copy(update={"name": "y"}),)),
            turns=None,
            together=3,
        )
        record(runner("onnx", root, threads=1), request)
        with np.load(request.outputs) as found:
            return {key: found[key] for key in found.files}

    return record_it


def test_rows_that_get_the_first_ones_answer_show(recorded: Callable[..., Any]) -> None:
    right, wrong = recorded("right", RIGHT), recorded("wrong", ROW_0_FOR_ALL)
    assert np.array_equal(right["1/0"], wrong["1/0"])
    assert not np.allclose(right["0/0"], wrong["0/0"])


def test_a_result_that_takes_one_item_only_is_refused_in_words(recorded: Callable[..., Any]) -> None:
    with pytest.raises(Failure, match="it does not take 3 items in one run"):
        recorded("frozen", RIGHT, batch=1)


@pytest.mark.parametrize(
    ("nodes", "batch", "gives", "told"),
    [
        (RIGHT, 3, TensorProto.FLOAT, "axis 0 of `x` is fixed at 3, in the source it is open"),
        ([*RIGHT[:-1], node("MatMul", ["x", "w"], "f"), node("Cast", ["f"], "y", to=TensorProto.INT32)], "n",
         TensorProto.INT32, "`y` holds int32, in the source float32"),
    ],
)  # fmt: skip
def test_a_result_takes_and_gives_what_the_source_does(
    tmp_path: Path, nodes: list[Any], batch: int | str, gives: int, told: str
) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=("n", 4))
    wanted = Signature(inputs=(spec,), outputs=(spec.model_copy(update={"name": "y"}),))
    models.package(tmp_path, lambda path: model(path, nodes, batch, gives))
    request = ObserveRequest(
        format="onnx", root=tmp_path, threads=1, samples=tmp_path / "none.npz", count=0, outputs=tmp_path / "out.npz",
        counterpart=wanted, turns=None,
    )  # fmt: skip
    with pytest.raises(Failure, match=re.escape(told)):
        observe(request, lambda line: None)
