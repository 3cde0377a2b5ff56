"""Text that no store keeps: refused in one place whatever format says it, with file, field and rule."""

import json
from pathlib import Path

import pytest
from onnx import ModelProto, helper

from modelyard_contracts.keeping import misfits
from modelyard_contracts.shapes import Finding, Inspection, Signature, TensorSpec
from modelyard_formats.errors import BadSource
from modelyard_formats.format import Reading
from modelyard_formats.package.check import check_package
from modelyard_formats.table import FORMATS, read
from modelyard_testkit import models


def changed(tmp_path: Path, change) -> Path:
    root = models.package(tmp_path)
    path = root / "model" / "model.onnx"
    model = ModelProto.FromString(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    return root


def input_name(model: ModelProto) -> None:
    model.graph.input[0].name = model.graph.node[0].input[0] = "im\x00age"


def axis_name(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N\x00"


def domain(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("a\x00b", 1))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (input_name, "signature.inputs.0.name"),
        (axis_name, "signature.inputs.0.shape.0"),
        (domain, "opsets.a\ufffdb"),
    ],
)
def test_names_in_a_model(tmp_path: Path, change, field: str) -> None:
    report = check_package(changed(tmp_path, change))
    assert ("model/model.onnx", field, "text without U+0000") in {
        (problem.file, problem.field, problem.rule) for problem in report.problems
    }
    assert not list(misfits(report.model_dump(mode="json")))


def test_what_is_only_shown_is_replaced(tmp_path: Path) -> None:
    def change(model: ModelProto) -> None:
        model.producer_name = "p\x00"

    report = check_package(changed(tmp_path, change))
    assert report.problems == ()
    assert report.inspection is not None
    assert report.inspection.producer == "p\ufffd"


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.name)
@pytest.mark.parametrize("text", ["a\x00", "\ud800"])
def test_whatever_format_says_it(row, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(_folder: Path, files: tuple[str, ...]) -> Reading:
        found = Finding(file="model/x", severity="info", rule="none", message=text)
        output = TensorSpec(name=text, dtype="float32", shape=(1,))
        inspection = Inspection(format=row.name, signature=Signature(inputs=(), outputs=(output,)))
        return Reading(inspection, files, (found,))

    monkeypatch.setattr(type(row), "inspect", property(lambda _: inspect), raising=False)
    with pytest.raises(BadSource) as caught:
        row.read(Path(), ("model.x",))
    (problem,) = caught.value.problems
    assert (problem.file, problem.rule) == (
        "model/model.x",
        "Unicode text" if text == "\ud800" else "text without U+0000",
    )
    json.dumps(problem.model_dump(), ensure_ascii=False).encode()


def test_a_refusal_can_be_stored_whatever_it_quotes(tmp_path: Path) -> None:
    node = helper.make_node("Foo\x00", ["image"], ["scores"], domain="ac\x00me")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes(models.model([node], {}).SerializeToString())
    with pytest.raises(BadSource) as caught:
        read("onnx", tmp_path)
    assert caught.value.message == "operator ac\ufffdme::Foo\ufffd is not in a known domain"
    assert caught.value.problems[0].field == "Foo\ufffd"
