"""scikit-learn, skops, XGBoost and LightGBM files against what the libraries said of them (fixtures/make_*.py)."""

import json
import shutil
from pathlib import Path

import pytest

from modelyard_contracts.shapes import Inspection
from modelyard_formats.errors import BadSource
from modelyard_formats.package.check import check_package
from modelyard_formats.table import read
from modelyard_testkit import models

FIXTURES = Path(__file__).parent / "fixtures"
REAL = json.loads((FIXTURES / "boosted.json").read_text())
OLD = json.loads((FIXTURES / "xgboost_old.json").read_text())


def package(root: Path, fixture: str, model_type: str | None, name: str = "") -> Path:
    model = root / "model"
    model.mkdir()
    shutil.copy(FIXTURES / fixture, model / (name or fixture))
    config = {"model_algorithm": "predict_analysis", "model_type": model_type}
    (model / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value}))
    return root


def inspected(root: Path, fixture: str, model_type: str, name: str = "") -> Inspection:
    found = check_package(package(root, fixture, model_type, name))
    assert found.problems == ()
    assert found.inspection
    assert found.scan
    assert found.scan.findings == ()
    return found.inspection


@pytest.mark.parametrize(
    ("fixture", "key", "estimator"),
    [
        ("forest.m", "forest", "sklearn.ensemble._forest.RandomForestClassifier"),
        ("pipeline_zlib.joblib", "pipeline", "sklearn.pipeline.Pipeline"),
        ("pipeline_gzip.joblib", "pipeline", "sklearn.pipeline.Pipeline"),
        ("pipeline_lzma.joblib", "pipeline", "sklearn.pipeline.Pipeline"),
        ("pipeline_bz2.joblib", "pipeline", "sklearn.pipeline.Pipeline"),
        ("pipeline.skops", "pipeline", "sklearn.pipeline.Pipeline"),
        ("linear.pkl", "linear", "sklearn.linear_model._base.LinearRegression"),
    ],
)
def test_scikit_learn(tmp_path, fixture, key, estimator):
    found = inspected(tmp_path, fixture, "Scikit_Learn")
    real = REAL[key]
    assert found.details["estimator"] == estimator
    assert found.details["features"] == real["features"]
    assert found.details.get("classes") == (len(real["classes"]) if "classes" in real else None)
    assert found.producer == f"scikit-learn {REAL['sklearn']}"
    assert found.signature.inputs[0].shape == (None, real["features"])
    kinds = {int: "int64", str: "object", float: "float64"}
    assert found.signature.outputs[0].dtype == kinds[type(real.get("classes", [0.5])[0])]
    assert estimator in found.operators


def test_estimators_in_a_pipeline_are_counted(tmp_path):
    found = inspected(tmp_path, "pipeline.skops", "Scikit_Learn")
    assert found.operators == {
        "sklearn.linear_model._logistic.LogisticRegression": 1,
        "sklearn.pipeline.Pipeline": 1,
        "sklearn.preprocessing._data.StandardScaler": 1,
    }


@pytest.mark.parametrize("fixture", ["xgboost.json", "xgboost.ubj", "xgboost.pkl", "xgboost_raw.pkl"])
def test_xgboost(tmp_path, fixture):
    found = inspected(tmp_path, fixture, "XGBoost")
    real = REAL["xgboost"]
    names = ("features", "classes", "trees", "objective")
    assert {name: found.details[name] for name in names} == {name: real[name] for name in names}
    assert found.producer == f"XGBoost {real['version']}"
    assert found.signature.inputs[0].shape == (None, real["features"])
    assert found.signature.outputs[0].shape == (None, real["classes"])


def test_xgboosts_feature_names_and_one_output(tmp_path):
    found = inspected(tmp_path, "xgboost_named.ubj", "XGBoost")
    assert found.details["feature_names"] == "a, b, c, d"
    assert found.signature.outputs[0].shape == (None,)


@pytest.mark.parametrize("name", ["old.model", "old.m"])
def test_xgboosts_old_binary_format(tmp_path, name):
    found = inspected(tmp_path, "xgboost_old.model", "XGBoost", name)
    assert found.details["features"] == OLD["features"]
    assert found.details["trees"] == OLD["trees"]
    assert found.details["classes"] == 3
    assert found.details["objective"] == "multi:softprob"
    assert OLD["version"].startswith(found.producer.removeprefix("XGBoost "))


@pytest.mark.parametrize("fixture", ["lightgbm.txt", "lightgbm.json", "lightgbm.pkl"])
def test_lightgbm(tmp_path, fixture):
    found = inspected(tmp_path, fixture, "LightGBM")
    real = REAL["lightgbm"]
    assert found.details["feature_names"] == ", ".join(real["features"])
    assert found.details["classes"] == real["classes"]
    assert found.details["trees"] == real["trees"]
    assert found.details["objective"] == real["objective"]
    assert found.signature.outputs[0].shape == (None, real["classes"])


@pytest.mark.parametrize("model_type", ["Scikit_Learn", "XGBoost", "LightGBM"])
def test_these_types_may_come_as_onnx(tmp_path, model_type):
    found = check_package(models.package(tmp_path, config=models.digits_config(model_type=model_type)))
    assert (found.problems, found.format) == ((), "onnx")


@pytest.mark.parametrize(
    ("fixture", "model_type", "expected"),
    [
        ("xgboost.pkl", "Scikit_Learn", "holds a xgboost.sklearn.XGBClassifier"),
        ("linear.pkl", "XGBoost", "holds a sklearn.linear_model._base.LinearRegression"),
        ("linear.pkl", "LightGBM", "holds a sklearn.linear_model._base.LinearRegression"),
        ("lightgbm.json", "XGBoost", "is no XGBoost model"),
        ("xgboost.json", "LightGBM", "is no LightGBM model"),
        ("forest.m", "XGBoost", "holds a sklearn.ensemble._forest.RandomForestClassifier"),
    ],
)
def test_a_model_of_another_kind_is_named(tmp_path, fixture, model_type, expected):
    found = check_package(package(tmp_path, fixture, model_type))
    assert any(expected in problem.message for problem in found.problems)


@pytest.mark.parametrize("fixture", ["linear.pkl", "xgboost.json", "lightgbm.txt", "forest.m"])
def test_without_a_model_type_the_user_is_asked(tmp_path, fixture):
    found = check_package(package(tmp_path, fixture, None))
    (problem,) = [problem for problem in found.problems if problem.file == f"model/{fixture}"]
    assert "name the model_type" in problem.message


@pytest.mark.parametrize(
    ("beside", "model_type", "fixture"),
    [
        ("requirements.txt", "LightGBM", "lightgbm.txt"),
        ("labels.json", "LightGBM", "lightgbm.txt"),
        ("tokens.json", "XGBoost", "xgboost.ubj"),
    ],
)
def test_texts_beside_a_model_are_no_model(tmp_path, beside, model_type, fixture):
    name = "model.txt" if model_type == "LightGBM" else "model.json"
    root = package(tmp_path, "xgboost.json" if model_type == "XGBoost" else fixture, model_type, name)
    (root / "model" / beside).write_text("{}")
    assert check_package(root).problems == ()


@pytest.mark.parametrize(
    ("format_name", "name", "data"),
    [
        ("sklearn", "a.m", b"nothing"),
        ("sklearn", "a.pkl", b"\x80\x04]."),
        ("sklearn", "a.pkl", b"\x80\x04cos\nsystem\n."),
        ("skops", "a.skops", b"PK\x03\x04"),
        ("xgboost", "a.json", b"{}"),
        ("xgboost", "a.json", b"{L"),
        ("xgboost", "a.ubj", b"{L" + b"\xff" * 8),
        ("xgboost", "a.ubj", b"{i\x01a[$i#L\x7f" + b"\xff" * 7),
        ("xgboost", "a.ubj", b"{i\x01a" + b"[" * 10_000),
        ("xgboost", "a.model", b"binf"),
        ("xgboost", "a.m", b"\0" * 200),
        ("lightgbm", "a.txt", b"tree\n"),
        ("lightgbm", "a.txt", b"tree\nmax_feature_idx=1\nnum_class=1\nfeature_names=a\ntree_sizes=\n"),
        ("lightgbm", "a.json", b'{"name": "tree"}'),
        ("lightgbm", "a.pkl", b"\x80\x04N."),
    ],
)
def test_files_that_are_no_model(tmp_path, format_name, name, data):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_bytes(data)
    with pytest.raises(BadSource) as caught:
        read(format_name, tmp_path)
    (problem,) = caught.value.problems
    assert problem.file == f"model/{name}"
    assert problem.rule
