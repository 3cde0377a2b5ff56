import json
import os
import sys
from pathlib import Path
from subprocess import run

import pytest

from modelyard_formats.package.check import check_package
from modelyard_formats.package.inspect_child import inspect_package, read_report
from modelyard_testkit import models


def report(root: Path, **changes):
    return check_package(models.package(root, config=models.digits_config(**changes)))


def fields(root: Path, **changes) -> list[str | None]:
    found = report(root, **changes).problems
    assert all(problem.file and problem.rule and problem.message for problem in found)
    return [problem.field for problem in found]


def head(axis: int, **decode) -> dict:
    return {"name": "scores", "role": "detections", "decode": {"axis": axis, **decode}}


@pytest.mark.parametrize(
    ("build", "name", "files"),
    [
        (models.digits_like_mlp, "onnx", ("model/model.onnx",)),
        (models.conv_net, "onnx", ("model/model.onnx",)),
        (models.with_external_data, "onnx", ("model/model.onnx", "model/weights.bin")),
        (models.openvino_ir, "openvino", ("model/model.xml", "model/model.bin")),
    ],
)
def test_good_packages(tmp_path, build, name, files):
    found = check_package(models.package(tmp_path, build, calibration=3))
    assert (found.format, found.model_files, found.problems) == (name, files, ())
    assert found.config
    assert found.inspection
    assert found.failure() is None


@pytest.mark.parametrize(
    ("build", "file"), [(models.with_external_data, "weights.bin"), (models.openvino_ir, "model.bin")]
)
def test_empty_weights_beside_a_model_are_named(tmp_path, build, file):
    root = models.package(tmp_path, build)
    (root / "model" / file).write_bytes(b"")
    (root / "model" / "__init__.py").write_bytes(b"")  # empty as it should be
    problems = check_package(root).problems
    assert problems
    assert file in problems[0].message
    assert "is empty" in problems[0].message


def test_the_child_answers_with_the_report(tmp_path):
    models.package(tmp_path)
    reply = inspect_package({"root": str(tmp_path)})
    assert read_report(json.loads(json.dumps(reply))) == check_package(tmp_path)


def test_checking_imports_no_runtime_and_runs_no_package_code(tmp_path):
    """The guarantee that inspecting never executes: not even the libraries that could are loaded."""
    for build in (models.digits_like_mlp, models.openvino_ir):
        root = models.package(tmp_path / build.__name__, build)
        (root / "model" / "customize_service.py").write_text("raise SystemExit('executed')")
        (root / "model" / "onnx.py").write_text("raise SystemExit('executed')")
        code = (
            "import sys; from modelyard_formats.package.inspect_child import inspect_package;"
            f"assert not inspect_package({{'root': {str(root)!r}}})['problems'];"
            "assert not {'onnxruntime', 'openvino', 'customize_service'} & sys.modules.keys()"
        )
        done = run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"model_type": "ONNX",\n  oops}', "at line 2, column 3"),
        (b"", "Expecting value at line 1, column 1"),
        (b"[1]", "it holds a list, not an object"),
        (b"\xff{}", "byte 0 is not UTF-8"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1e999}', "1e999 is too large a number"),
        (b'{"a": 99999999999999999999}', "is too large a number"),
        (b'{"a": 1, "a": 2}', "the field 'a' is given twice"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a":' + b"[" * 40_000, "nested too deep"),
        (b'{"a":' + b"[" * 100_000, "more than 50,000 values"),
    ],
)
def test_config_that_is_no_json_object(tmp_path, text, reason):
    root = models.package(tmp_path)
    (root / "model" / "config.json").write_bytes(text)
    found = check_package(root)
    failure = found.failure()
    assert failure
    assert failure.code == "ModelArts.3015"
    assert reason in failure.message
    assert found.config is None
    assert found.inspection


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model_algorithm": None}, ["model_algorithm"]),
        ({"model_algorithm": "1st"}, ["model_algorithm"]),
        ({"model_type": "Onnx"}, ["model_type"]),
        ({"model_type": "OpenVINO"}, ["model_type"]),
        ({"colour": "red"}, ["colour"]),
        ({"metrics": {"f1": 1.5, "auc": 1}}, ["metrics.f1", "metrics.auc"]),
        ({"labels": ["a", "a"]}, ["labels"]),
        ({"labels": ["a", "b"]}, ["labels"]),
        ({"outputs": [{"name": "nothing", "role": "scores"}]}, ["outputs.0.name"]),
        ({"outputs": [{"name": "scores", "role": "scores"}] * 2}, ["outputs.1.role"]),
        ({"outputs": [head(1, boxes=[0, 4], scores=[4, 11])]}, ["outputs.0.decode.scores"]),
        ({"outputs": [head(1, boxes=[8, 12], scores=[0, 2])]}, ["outputs.0.decode.boxes"]),
        ({"outputs": [head(1, boxes=[0, 4], scores=[4, 9], objectness=10)]}, ["outputs.0.decode.objectness"]),
        ({"outputs": [head(2, boxes=[0, 4], scores=[4, 9])]}, ["outputs.0.decode.axis"]),
        ({"inputs": [{"name": "img"}]}, ["inputs.0.name"]),
        ({"inputs": [{"name": "image", "batch_axis": 4}]}, ["inputs.0.batch_axis"]),
        ({"inputs": [{"name": "image", "batch_axis": "first"}]}, ["inputs.0.batch_axis"]),
        ({"inputs": [{"name": "image", "batch_axis": 0, "batched": False}]}, ["inputs.0"]),
        ({"inputs": [{"name": "image", "shape": [1, 8, 8]}]}, ["inputs.0.shape"]),
        ({"inputs": [{"name": "image", "shape": [1, 1, 8, 9]}]}, ["inputs.0.shape"]),
        ({"outputs": None, "labels": ["a"]}, ["labels"]),
        ({"preprocessing": [{"size": [8, 8], "color_mode": "RGB"}]}, ["preprocessing.0.layout"]),
        (
            {"preprocessing": [{"size": [8, 8], "color_mode": "L", "layout": "NHWC"}]},
            ["preprocessing.0.layout", "preprocessing.0.size"],
        ),
        ({"preprocessing": [{"size": [8, 9], "color_mode": "L"}]}, ["preprocessing.0.size"]),
        ({"preprocessing": [{"size": [8, 8], "color_mode": "L", "dtype": "uint8"}]}, ["preprocessing.0.dtype"]),
        ({"preprocessing": [{"size": [8, 8], "color_mode": "L", "input": "img"}]}, ["preprocessing.0.input"]),
        ({"preprocessing": [{"size": [8, 8], "color_mode": "L"}] * 2}, ["preprocessing.1.input"]),
        ({"preprocessing": [{"size": [8, 0], "color_mode": "L"}]}, ["preprocessing.0.size.1"]),
        ({"preprocessing": [{"color_mode": "L"}]}, ["preprocessing.0.size"]),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(tmp_path, changes, expected):
    assert fields(tmp_path, **changes) == expected
    failure = check_package(tmp_path).failure()
    assert failure
    assert failure.code == "ModelArts.3016"


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": [head(1, boxes=[0, 4], scores=[4, 10], objectness=9)]},
        {"inputs": [{"name": "image", "batch_axis": 3, "shape": [2, 1, 8, 8]}]},
        {"inputs": [{"name": "image", "batched": False}]},
    ],
)
def test_what_fits_the_model_is_right(tmp_path, changes):
    assert fields(tmp_path, **changes) == []


def test_all_problems_at_once(tmp_path):
    root = models.package(
        tmp_path,
        models.with_custom_operator,
        config=models.digits_config(model_algorithm="!", colour=1, model_type="TFLite"),
    )
    (root / "model" / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "model" / "pipe")
    for folder in ("a", "b"):
        (root / "model" / folder).mkdir()
        (root / "model" / folder / "customize_service.py").touch()
    second = "model/b/customize_service.py"
    found = check_package(root).problems
    assert [(problem.file, problem.field) for problem in found] == [
        ("model/config.json", "model_algorithm"),
        ("model/config.json", "colour"),
        ("model/config.json", "model_type"),
        ("model/link", None),
        ("model/pipe", None),
        (second, None),
        ("model/model.onnx", "Foo"),
    ]


def test_cross_checks_go_on_beside_wrong_fields(tmp_path):
    assert fields(tmp_path, model_algorithm=None, labels=["a"]) == ["model_algorithm", "labels"]


def test_an_input_must_be_named_when_there_are_several(tmp_path):
    def two_inputs(path: Path) -> Path:
        made = models.model([], {}, inputs={"a": ["N", 1, 8, 8], "b": ["N", 3]})
        path.parent.mkdir(parents=True)
        path.write_bytes(made.SerializeToString())
        return path

    sizes = {"size": [8, 8], "color_mode": "L"}
    config = models.digits_config(preprocessing=[sizes, {**sizes, "input": "b"}])
    found = check_package(models.package(tmp_path, two_inputs, config=config))
    assert [problem.field for problem in found.problems] == ["preprocessing.0.input", "preprocessing.1.layout"]


@pytest.mark.parametrize("target", ["model", "model/config.json", "model/model.onnx"])
def test_links_are_refused_and_never_followed(tmp_path, target):
    root = models.package(tmp_path / "root")
    (root / target).rename(tmp_path / "moved")
    (root / target).symlink_to(tmp_path / "moved")
    found = check_package(root)
    assert f"{target} is a symbolic link" in [problem.message for problem in found.problems]
    assert found.inspection is None or found.config is None


def test_an_empty_or_missing_folder(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        failure = check_package(root).failure()
        assert failure
        assert failure.code == "ModelArts.3015"
        assert len(failure.problems) == 2


def test_file_names_that_are_not_text(tmp_path):
    root = models.package(tmp_path)
    Path(os.fsdecode(os.fsencode(root) + b"/model/\xff.txt")).touch()
    assert [problem.file for problem in check_package(root).problems] == ["model/\\udcff.txt"]
