"""Formats that are mostly names: Spark's folder, container images, and what the yard does not know."""

import json
from pathlib import Path

import pytest

from modelyard_contracts.package import MODEL_TYPES
from modelyard_formats.format import Entry
from modelyard_formats.package.check import PackageReport, check_package
from modelyard_formats.table import FORMATS, recognise

PIPELINE = {"class": "org.apache.spark.ml.PipelineModel", "uid": "Pipeline_1", "sparkVersion": "4.0.1", "paramMap": {}}
FOREST = {
    "class": "org.apache.spark.ml.classification.RandomForestClassificationModel",
    "uid": "rfc_2",
    "sparkVersion": "4.0.1",
    "paramMap": {"featuresCol": "特征"},
}


def package(root: Path, model_type: str, files: dict[str, bytes]) -> PackageReport:
    for name, content in files.items():
        path = root / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    config = {"model_algorithm": "predict_analysis", "model_type": model_type}
    (root / "model").mkdir(exist_ok=True)
    (root / "model/config.json").write_text(json.dumps(config))
    return check_package(root)


def spark(**stages: object) -> dict[str, bytes]:
    """What a pipeline writes; `stages` by their folder, `main` being the pipeline's own."""
    found = {"spark_model/metadata/_SUCCESS": b"", "spark_model/stages/0_rfc_2/data/part-0.snappy.parquet": b"PAR1"}
    for folder, stage in stages.items():
        place = "" if folder == "main" else f"stages/{folder}/"
        text = stage if isinstance(stage, bytes) else json.dumps(stage, ensure_ascii=False).encode()
        found[f"spark_model/{place}metadata/part-00000"] = text
    return found


def test_a_spark_pipeline(tmp_path: Path) -> None:
    found = package(tmp_path, "Spark_MLlib", spark(main=PIPELINE, s0=FOREST))
    assert found.problems == ()
    assert found.inspection is not None
    assert found.inspection.producer == "Spark 4.0.1"
    assert found.inspection.operators == {PIPELINE["class"]: 1, FOREST["class"]: 1}
    assert found.inspection.details["uid"] == "Pipeline_1"


def test_what_spark_itself_writes(tmp_path: Path) -> None:
    """fixtures/make_spark.py"""
    real = Path(__file__).parent / "fixtures" / "spark"
    said = json.loads((real / "spark.json").read_text())
    files = {
        path.relative_to(real).as_posix(): path.read_bytes()
        for path in real.rglob("spark_model/**/*")
        if path.is_file()
    }
    found = package(tmp_path, "Spark_MLlib", files)
    assert found.problems == ()
    assert found.scan is not None
    assert found.scan.findings == ()
    assert found.inspection is not None
    assert found.inspection.producer == f"Spark {said['version']}"
    assert found.inspection.details == {"class": "org.apache.spark.ml.PipelineModel", "uid": said["uid"]}
    assert sorted(name.rpartition(".")[2] for name in found.inspection.operators) == sorted(
        ["PipelineModel", *(name for name, _ in said["stages"])]
    )
    assert set(found.model_files) == {f"model/{name}" for name in files}


@pytest.mark.parametrize("field", ["class", "uid", "sparkVersion"])
def test_half_a_surrogate_pair_is_refused(tmp_path: Path, field: str) -> None:
    found = package(tmp_path, "Spark_MLlib", spark(main=json.dumps(PIPELINE | {field: "\ud800"}).encode()))
    assert ["no JSON that can be read" in problem.message for problem in found.problems] == [True]


def test_a_single_spark_stage_names_its_columns(tmp_path: Path) -> None:
    found = package(tmp_path, "Spark_MLlib", spark(main=FOREST))
    assert found.inspection is not None
    assert found.inspection.details["featuresCol"] == "特征"


def test_a_stage_of_somebody_else_is_shown(tmp_path: Path) -> None:
    found = package(tmp_path, "Spark_MLlib", spark(main=PIPELINE, s0=FOREST | {"class": "com.example.Backdoor"}))
    assert found.problems == ()
    assert found.scan is not None
    assert "com.example.Backdoor" in next(each.message for each in found.scan.findings if each.rule == "spark-class")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"class": "x"}', b'{"class": 3, "uid": "u"}', b"[" * 100_000])
def test_broken_spark_metadata_is_named(tmp_path: Path, text: bytes) -> None:
    found = package(tmp_path, "Spark_MLlib", spark(main=text))
    assert found.problems
    assert {problem.file for problem in found.problems} == {"model/spark_model/metadata/part-00000"}


def test_a_spark_folder_without_metadata_is_explained(tmp_path: Path) -> None:
    found = package(tmp_path, "Spark_MLlib", {"spark_model/data/part-0": b"x"})
    assert found.problems[0].file == "model/spark_model/metadata/part-00000"


def test_custom_files_are_taken_as_they_are(tmp_path: Path) -> None:
    found = package(tmp_path, "Custom", {"weights.xyz": b"abc", "deep/er/notes.txt": b"x"})
    assert found.problems == ()
    assert found.format == "custom"
    assert found.model_files == ("model/deep/er/notes.txt", "model/weights.xyz")


def test_custom_needs_a_file(tmp_path: Path) -> None:
    assert "at least one file" in package(tmp_path, "Custom", {}).problems[0].message


def test_custom_files_are_scanned(tmp_path: Path) -> None:
    found = package(tmp_path, "Custom", {"loader.pkl": b"cos\nsystem\n(S'true'\ntR."})
    assert [problem.file for problem in found.problems] == ["model/loader.pkl"]


def test_a_kind_that_has_to_be_named_is_not_guessed() -> None:
    entries = [Entry("model/config.json", 10), Entry("model/weights.xyz", 3)]
    with pytest.raises(Exception, match="no model file"):
        recognise(entries)
    assert recognise(entries, "Custom")[0].name == "custom"


def test_every_model_type_has_a_format() -> None:
    """A template names the engine's own type."""
    known = {model_type for row in FORMATS.values() for model_type in row.model_types}
    assert set(MODEL_TYPES) - known == {"Template"}


def test_a_config_may_say_what_the_file_does_not(tmp_path: Path) -> None:
    """Nothing is known of inputs and outputs: there is nothing to disagree with."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "net.bin").write_bytes(b"weights")
    config = {
        "model_algorithm": "image_classification",
        "model_type": "Custom",
        "preprocessing": [{"size": [8, 8], "color_mode": "L"}],
        "labels": ["a", "b"],
        "outputs": [{"name": "scores", "role": "scores"}],
    }
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert check_package(tmp_path).problems == ()


@pytest.mark.parametrize("weights", ["weights.bin", "a.safetensors", "deep/Z.PT", "model.onnx.data", "zzz.gguf"])
def test_empty_weights_are_refused_wherever_they_stand(tmp_path: Path, weights: str) -> None:
    """Neither the alphabet nor a first file that is not empty decides."""
    found = package(tmp_path, "Custom", {"a.txt": b"x", weights: b"", "zz.txt": b"x"})
    assert [(problem.file, problem.message) for problem in found.problems] == [
        (f"model/{weights}", f"model/{weights} is empty")
    ]


@pytest.mark.parametrize("name", ["__init__.py", "code/__init__.py", ".gitkeep", "data.csv", "notes.txt", "a.json"])
def test_what_may_be_empty_may_be_so_anywhere(tmp_path: Path, name: str) -> None:
    assert package(tmp_path, "Custom", {name: b"", "weights.bin": b"x"}).problems == ()


def test_nothing_but_empty_files_is_no_model(tmp_path: Path) -> None:
    found = package(tmp_path, "Custom", {"__init__.py": b"", "notes.txt": b""})
    assert [problem.message for problem in found.problems] == ["model/__init__.py is empty", "model/notes.txt is empty"]


def test_empty_parquet_is_refused_and_an_empty_mark_is_not(tmp_path: Path) -> None:
    files = spark(main=PIPELINE, s0=FOREST)
    data = "spark_model/stages/0_rfc_2/data/part-0.snappy.parquet"
    assert [p.file for p in package(tmp_path, "Spark_MLlib", files | {data: b""}).problems] == [f"model/{data}"]
