"""What is not seen of a model does not keep it from being converted: it is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelyard_convert.children import arrays
from modelyard_convert.children.protocol import Samples, Work
from modelyard_convert.toolchains.onnx import program as onnx_program
from modelyard_convert.toolchains.openvino import program as openvino_program
from modelyard_testkit import models


class Unrunnable(Samples):
    """No runtime takes them."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        raise RuntimeError("bad allocation")


def halving(folder: Path, samples: Samples) -> Work:
    scratch = folder / "scratch"
    scratch.mkdir()
    return Work(
        source=folder / "source",
        result=folder / "result",
        scratch=scratch,
        options={"keep_io_types": True},
        samples=samples,
        log=lambda _: None,
    )


@pytest.mark.parametrize("program", [onnx_program, openvino_program], ids=["onnx", "openvino"])
def test_a_model_that_cannot_be_watched_is_converted_and_that_is_said(tmp_path: Path, program: Any) -> None:
    work = halving(tmp_path, Unrunnable(tmp_path / "none.npz", ("x",), 3))
    models.package(work.source, models.digits_like_mlp)
    changes = program.to_fp16(work)
    assert changes.count
    assert changes.notes == (
        "it could not be seen whether anything inside is beyond 65504, where fp16 ends: bad allocation",
    )


def test_an_output_beyond_fp16_keeps_its_numbers(tmp_path: Path) -> None:
    """What makes it stays in fp32, and nothing on its way out goes through fp16."""

    def far(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = [numpy_helper.from_array(np.full((4, 4), 0.5, np.float32), "w")]
        weights.append(numpy_helper.from_array(np.array([3e5], np.float32), "far"))
        nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Mul", ["a", "far"], ["y"])]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    feeds = [np.full((1, 4), value, np.float32) for value in (0.5, 1.0)]
    arrays.write(tmp_path / "samples.npz", ([feed] for feed in feeds))
    work = halving(tmp_path, Samples(tmp_path / "samples.npz", ("x",), len(feeds)))
    models.package(work.source, far)
    changes = onnx_program.to_fp16(work)
    assert any("kept in fp32" in note for note in changes.notes)
    session = onnxruntime.InferenceSession(
        next((work.result / "model").glob("*.onnx")), providers=["CPUExecutionProvider"]
    )
    assert session.run(None, {"x": feeds[1]})[0] == pytest.approx(np.full((1, 4), 6e5), rel=1e-3)
    notes = openvino_program.to_fp16(work).notes
    assert any("reaches 3e+05 and fp16 ends at 65504: it becomes that" in note for note in notes)
