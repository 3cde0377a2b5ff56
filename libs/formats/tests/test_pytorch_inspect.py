"""PyTorch files against what PyTorch itself said of them (fixtures/make_pytorch.py)."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from modelyard_contracts.shapes import TensorSpec
from modelyard_formats.errors import BadSource
from modelyard_formats.kinds.pytorch.archive import read_data, stored_tensors
from modelyard_formats.kinds.pytorch.format import legacy_object
from modelyard_formats.kinds.pytorch.tensors import named_tensors
from modelyard_formats.package.check import check_package
from modelyard_formats.table import read
from modelyard_formats.wire.zip_members import read_zip

FIXTURES = Path(__file__).parent / "fixtures"
TORCH = json.loads((FIXTURES / "pytorch.json").read_text())


def package(root: Path, fixture: str, *, code: bool = True, config: dict | None = None) -> Path:
    model = root / "model"
    model.mkdir()
    shutil.copy(FIXTURES / fixture, model / fixture)
    if code:
        (model / "customize_service.py").write_text("raise SystemExit('executed')")
    fields = {"model_algorithm": "image_classification", "model_type": "PyTorch", **(config or {})}
    (model / "config.json").write_text(json.dumps(fields))
    return root


def tensors(name: str) -> dict[str, list]:
    """Type and shape by name, of what `torch.save` wrote."""
    path = FIXTURES / name
    with path.open("rb") as file:
        if name == "legacy.pth":
            found = dict(named_tensors(legacy_object(file, path.stat().st_size)))
        else:
            archive = read_zip(file, path.stat().st_size)
            found = stored_tensors(archive, read_data(archive, "data.pkl"))
    return {key: [each.dtype, list(each.shape)] for key, each in found.items()}


@pytest.mark.parametrize("name", ["state_dict.pth", "legacy.pth"])
def test_the_tensors_of_a_state_dict(tmp_path, name):
    assert tensors(name) == TORCH["state"]
    inspection = read("pytorch", package(tmp_path, name)).inspection
    assert inspection.parameter_count == TORCH["state_parameters"]
    assert inspection.details == {"kind": "state dict", "tensors": len(TORCH["state"])}


def test_tensors_below_other_entries_of_a_checkpoint(tmp_path):
    assert "model_state_dict.conv.weight" in tensors("checkpoint.pt")
    inspection = read("pytorch", package(tmp_path, "checkpoint.pt")).inspection
    assert inspection.parameter_count == TORCH["net_parameters"]


@pytest.mark.parametrize("name", ["state_dict.pth", "legacy.pth", "checkpoint.pt"])
def test_a_state_dict_needs_code(tmp_path, name):
    (problem,) = check_package(package(tmp_path, name, code=False)).problems
    assert problem.file == f"model/{name}"
    assert problem.rule
    assert "customize_service.py" in problem.rule


def test_a_whole_module_in_a_pickle(tmp_path):
    assert tensors("whole_module.pt") == TORCH["whole"]
    inspection = read("pytorch", package(tmp_path, "whole_module.pt", code=False)).inspection
    assert inspection.operators == {"Linear": 1, "ReLU": 1, "Sequential": 1}
    assert inspection.details["kind"] == "pickled module"


def test_an_exported_program(tmp_path):
    inspection = read("pytorch", package(tmp_path, "exported.pt2", code=False)).inspection
    (image,), (scores,) = inspection.signature.inputs, inspection.signature.outputs
    assert [image.name, scores.name] == TORCH["graph_inputs"] + TORCH["graph_outputs"]
    assert (image.dtype, image.shape[1:]) == ("float32", (1, 5, 5))
    assert isinstance(image.shape[0], str)
    assert scores.shape == (image.shape[0], 3)
    assert sorted(inspection.operators) == TORCH["operators"]
    assert inspection.parameter_count == TORCH["net_parameters"]
    assert inspection.producer.startswith(f"PyTorch {TORCH['torch']}")
    assert inspection.opsets["aten"] > 0


def test_torchscript(tmp_path):
    inspection = read("pytorch", package(tmp_path, "script.pt", code=False)).inspection
    assert inspection.signature.inputs == (
        TensorSpec(name="image", dtype="undefined", shape=("...",)),
        TensorSpec(name="scale", dtype="float64", shape=()),
    )
    assert inspection.signature.outputs == (TensorSpec(name="output", dtype="undefined", shape=("...",)),)
    assert inspection.parameter_count == TORCH["net_parameters"]
    assert {"aten.conv2d", "aten.relu"} <= inspection.operators.keys()
    assert inspection.details["kind"] == "TorchScript"


def test_traced_torchscript(tmp_path):
    inspection = read("pytorch", package(tmp_path, "traced.pt", code=False)).inspection
    assert [spec.name for spec in inspection.signature.inputs] == ["image"]
    assert inspection.parameter_count == TORCH["net_parameters"]


@pytest.mark.parametrize("name", ["state_dict.pth", "legacy.pth", "whole_module.pt", "exported.pt2", "script.pt"])
def test_whole_packages_pass(tmp_path, name):
    found = check_package(package(tmp_path, name))
    assert (found.problems, found.format, found.model_files) == ((), "pytorch", (f"model/{name}",))
    assert found.scan
    assert [each.rule for each in found.scan.findings] == ["custom-code"]


def repacked(path: Path, change) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def refusal(root: Path) -> str:
    with pytest.raises(BadSource) as caught:
        read("pytorch", root)
    return caught.value.problems[0].message


def test_missing_weights_are_noticed(tmp_path):
    root = package(tmp_path, "state_dict.pth")
    repacked(root / "model/state_dict.pth", lambda files: files.update({"state_dict/data/0": b"short"}))
    assert "'conv.weight' are missing or cut off" in refusal(root)


def test_files_that_are_no_model(tmp_path):
    root = package(tmp_path, "state_dict.pth")
    target = root / "model/state_dict.pth"
    repacked(target, lambda files: files.pop("state_dict/data.pkl"))
    assert "it has no data.pkl" in refusal(root)
    target.write_bytes(b"\x80\x02N.")
    assert "save it again" in refusal(root)
    target.write_bytes(b"nothing")
    assert "no PyTorch model" in refusal(root)


def test_operators_of_somebody_else_are_recorded(tmp_path):
    root = package(tmp_path, "exported.pt2")

    def change(files):
        name = "exported/models/model.json"
        files[name] = files[name].replace(b"torch.ops.aten.relu.default", b"torch.ops.acme.relu.default")

    repacked(root / "model/exported.pt2", change)
    (finding,) = read("pytorch", root).findings
    assert (finding.severity, finding.rule) == ("suspicious", "custom-operator")
    assert "acme.relu.default" in finding.message


@pytest.mark.parametrize("damage", [b'"graph_module"', b'"tensor_values"', b'"input_specs"', b'"as_int"', b'"sizes"'])
def test_incomplete_programs_are_refused(tmp_path, damage):
    root = package(tmp_path, "exported.pt2")
    name = "exported/models/model.json"
    repacked(root / "model/exported.pt2", lambda files: files.update({name: files[name].replace(damage, b'"gone"')}))
    assert "no complete exported program" in refusal(root)


def test_two_models_are_one_too_many(tmp_path):
    root = package(tmp_path, "exported.pt2")
    shutil.copy(FIXTURES / "script.pt", root / "model")
    assert any("2 models in one package" in problem.message for problem in check_package(root).problems)
