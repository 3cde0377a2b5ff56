"""What is not seen of a model does not keep it from being converted: it is said."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard_convert.children.protocol import Work
from modelyard_convert.toolchains.onnx import program as onnx_program
from modelyard_convert.toolchains.openvino import program as openvino_program
from modelyard_testkit import models


class Unrunnable:
    """Samples that no runtime takes."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[dict[str, Any]]:
        raise RuntimeError("bad allocation")


@pytest.mark.parametrize("program", [onnx_program, openvino_program], ids=["onnx", "openvino"])
def test_a_model_that_cannot_be_watched_is_converted_and_that_is_said(tmp_path: Path, program: Any) -> None:
    source, scratch, result = (tmp_path / name for name in ("source", "scratch", "result"))
    scratch.mkdir()
    models.package(source, models.digits_like_mlp)
    options = {"keep_io_types": True}
    work = SimpleNamespace(source=source, result=result, scratch=scratch, options=options, samples=Unrunnable())
    changes = program.to_fp16(Work(**vars(work), log=lambda _: None))  # type: ignore[arg-type]
    assert changes.count
    assert changes.notes == (
        "it could not be seen whether anything inside is beyond 65504, where fp16 ends: bad allocation",
    )
