"""What a request says of a package, beside its config.json, in its place, or against it."""

import json
from typing import Any

import pytest

from modelyard_contracts.shapes import Declared
from modelyard_import.domain.layout import SourceFile, WrittenFile, lay_out
from modelyard_import.fetching.declaring import Told, merged, with_declared

CONFIG = "model/config.json"
CODE = "model/customize_service.py"
SAID = {"model_type": "ONNX", "model_algorithm": "image_classification", "metrics": {}, "runtime": "python3.12"}


def told(
    said: dict[str, Any] | str | None, config: dict[str, Any], *, code: bool = False, by_reference: bool = False
) -> Told:
    """Of a package with this config.json, or none."""
    text = said.encode() if isinstance(said, str) else None if said is None else json.dumps(said).encode()
    paths = ("model/a.onnx", *(() if text is None else (CONFIG,)))
    layout = lay_out([SourceFile("b", f"run/{path}", path, len(text or b"x"), "e") for path in paths])
    return with_declared(layout, text, Declared(config=config, execution_code=code), by_reference=by_reference)


def test_without_a_config_json_the_request_is_one() -> None:
    found = told(None, SAID)
    assert found.problems == ()
    assert found.text is not None
    assert json.loads(found.text) == SAID
    assert found.layout.written == (WrittenFile(CONFIG, found.text),)
    assert [file.path for file in found.layout.files] == ["model/a.onnx"]


def test_it_adds_what_the_file_does_not_say() -> None:
    dependencies = [{"installer": "pip", "packages": [{"package_name": "numpy"}]}]
    found = told(SAID, {"model_type": "ONNX", "metrics": {"f1": 0.5}, "dependencies": dependencies})
    assert found.problems == ()
    assert json.loads(found.text or b"") == {**SAID, "metrics": {"f1": 0.5}, "dependencies": dependencies}
    assert [path for path, _ in found.layout.sizes] == ["model/a.onnx", CONFIG]


@pytest.mark.parametrize("config", [{}, {"model_type": "ONNX"}, {**SAID, "metrics": {}}, {"apis": []}])
def test_the_file_stays_as_it_is_where_nothing_is_added(config: dict[str, Any]) -> None:
    found = told(SAID, config)
    assert (found.problems, found.layout.written) == ((), ())
    assert found.text == json.dumps(SAID).encode()


@pytest.mark.parametrize(
    ("said", "config", "field"),
    [
        ({}, {"model_type": "TensorFlow"}, "model_type"),
        ({}, {"runtime": "python3.11"}, "runtime"),
        ({"metrics": {"f1": 0.5}}, {"metrics": {"f1": 0.6}}, "metrics"),
        ({"apis": [{"url": "/"}]}, {"apis": [{"url": "/", "method": "get"}]}, "apis"),
        ({"labels": ["a"]}, {"labels": ["b"]}, "labels"),
    ],
)
def test_a_contradiction_names_both(said: dict[str, Any], config: dict[str, Any], field: str) -> None:
    problems = told({**SAID, **said}, config).problems
    assert field in {problem.field for problem in problems}
    [problem] = [each for each in problems if each.field == field]
    for value in ({**SAID, **said}[field], config[field]):
        assert json.dumps(value) in problem.message
    assert problem.file == CONFIG


def test_the_same_in_other_words_is_no_contradiction() -> None:
    found = told({**SAID, "apis": [{"url": "/"}]}, {"apis": [{"url": "/", "method": "POST", "protocol": "http"}]})
    assert (found.problems, found.layout.written) == ((), ())


@pytest.mark.parametrize("text", ["{nonsense", "[]", '{"model_type": "ONNX", "model_type": "Caffe"}'])
def test_a_file_that_cannot_be_read_is_not_mended(text: str) -> None:
    found = told(text, SAID)
    assert (found.text, found.layout.written) == (text.encode(), ())
    assert merged(text.encode(), SAID) == text.encode()


@pytest.mark.parametrize("said", [None, {"model_type": "ONNX", "model_algorithm": "image_classification"}])
def test_by_reference_nothing_is_added(said: dict[str, Any] | None) -> None:
    [problem] = told(said, SAID, by_reference=True).problems
    assert problem.field == "source.source_copy"
    assert "runtime" in problem.message
    assert told(SAID, SAID, by_reference=True).problems == ()


def test_execution_code_has_to_be_in_the_package() -> None:
    [problem] = told(SAID, {}, code=True).problems
    assert (problem.file, problem.field) == (CODE, "execution_code")


def test_of_an_image_the_request_counts() -> None:
    text = json.dumps({"model_type": "Image", "model_algorithm": "a", "health": {"url": "/old"}}).encode()
    assert json.loads(merged(text, {"health": {"url": "/new"}}))["health"] == {"url": "/new"}
    assert merged(text, {}) == text


@pytest.mark.parametrize(
    "field", [{"runtime": "nope"}, {"health": {"url": "/h"}}, {"apis": [{"url": "/p", "method": "post"}]}]
)
def test_a_wrong_field_of_the_request_is_not_dropped(field: dict[str, Any]) -> None:
    """It is written down, so that whoever checks the package refuses it."""
    said = {"model_type": "ONNX", "model_algorithm": "image_classification"}
    found = told(said, field)
    assert found.problems or json.loads(found.text or b"").items() >= field.items()
    assert found.problems or found.layout.written
