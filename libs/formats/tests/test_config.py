"""`config.json`: each rule, all of them at once, and the same in the published JSON Schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard_contracts.package import MODEL_TYPES
from modelyard_contracts.runtimes import RUNTIMES
from modelyard_formats.package.config_file import read_config

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/generated/schemas/config.json").read_text("utf-8"))
GOOD: dict[str, Any] = {"model_algorithm": "image_classification", "model_type": "ONNX"}
IMAGE: dict[str, Any] = {"model_algorithm": "anything", "model_type": "Image"}


def problems(**fields: Any) -> dict[str | None, str]:
    _, found, _ = read_config(json.dumps(GOOD | fields).encode())
    return {problem.field: problem.message for problem in found}


def api(**fields: Any) -> dict[str, Any]:
    return {"protocol": "http", "url": "/", "method": "post", **fields}


def test_a_field_of_a_form_may_be_a_file() -> None:
    """As packages for ModelArts say it; every other type is one of the standard."""
    schema = {"type": "object", "properties": {"images": {"type": "file"}, "type": {"type": "string"}}}
    assert problems(apis=[api(request={"data": schema})]) == {}
    assert set(problems(apis=[api(request={"data": {"type": "box"}})])) == {"apis.0.request.data"}


@pytest.mark.parametrize(
    ("fields", "field", "word"),
    [
        ({"runtime": "abacus"}, "runtime", "python3.12"),
        ({"swr_location": "swr.example/team/app:1"}, "swr_location", "only for model_type Image"),
        ({"health": {"url": "/health"}}, "health", "only for model_type Image"),
        ({**IMAGE, "health": {"url": "health"}}, "health.url", "begins with '/'"),
        ({**IMAGE, "runtime": "python3.12"}, "runtime", "none at all"),
        ({"apis": [api(url="/predict")]}, "apis", "'/predict'"),
        ({"apis": [api(), api(method="POST")]}, "apis", "every url and method once"),
        ({"apis": [api(method="brew")]}, "apis.0.method", "'get', 'post'"),
        ({"apis": [api(request={"data": {"type": "number", "minimum": "much"}})]}, "apis.0.request.data", "minimum"),
        ({"apis": [api(response={"data": {"type": "box"}})]}, "apis.0.response.data", "type"),
        ({"apis": [api(answer={})]}, "apis.0.answer", "there is no such field"),
        ({"metrics": {"f1": 1.5}}, "metrics.f1", "at most 1, not 1.5"),
        ({"metrics": {"f1": "1"}}, "metrics.f1", "a number, not '1'"),
        ({"metrics": {"f1": True}}, "metrics.f1", "a number, not true"),
        ({"model_algorithm": "1st"}, "model_algorithm", "it begins with a letter"),
        ({"model_algorithm": "图像"}, "model_algorithm", "is not one that fits"),
        ({"model_algorithm": "a" * 37}, "model_algorithm", "36"),
        ({"model_type": "onnx"}, "model_type", "'ONNX'"),
    ],
)
def test_a_broken_rule_names_its_field(fields: dict[str, Any], field: str, word: str) -> None:
    found = problems(**fields)
    assert list(found) == [field]
    assert word in found[field]


@pytest.mark.parametrize(
    ("package", "field"),
    [
        ({"package_name": "数"}, "package_name"),
        ({"package_name": "a=b"}, "package_name"),
        ({"package_name": "numpy", "package_version": "2.0"}, ""),
        ({"package_name": "numpy", "restraint": "EXACT"}, ""),
        ({"package_name": "numpy", "package_version": "<2", "restraint": "EXACT"}, "package_version"),
        ({"package_name": "numpy", "package_version": "2", "restraint": "ABOUT"}, "restraint"),
    ],
)
def test_dependencies(package: dict[str, Any], field: str) -> None:
    found = problems(dependencies=[{"packages": [package]}])
    assert list(found) == [f"dependencies.0.packages.0.{field}".rstrip(".")]


def test_all_problems_come_at_once() -> None:
    found = problems(model_algorithm="", runtime="abacus", metrics={"f1": 2}, health={}, colour="red")
    assert set(found) == {"model_algorithm", "runtime", "metrics.f1", "health.url", "colour"}


def test_a_wrong_model_type_hides_what_depends_on_it_only() -> None:
    found = problems(model_type="Nothing", apis=[api(url="/x")], health={"url": "/h"}, metrics={"f1": 2})
    assert set(found) == {"model_type", "metrics.f1"}


def test_every_runtime_of_the_table_is_taken() -> None:
    for row in RUNTIMES:
        assert problems(model_type=row.model_type, runtime=row.runtime) == {}


def test_an_image_may_answer_anywhere_and_say_how_it_lives() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    message = {"Content-type": "application/json", "data": schema}
    apis = [api(), api(url="/v2/predict", method="GET", request=message, response=message)]
    config, found, _ = read_config(json.dumps(IMAGE | {"apis": apis, "health": {"url": "/health"}}).encode())
    assert not found
    assert config is not None
    again = json.loads(config.model_dump_json())
    assert again["apis"][1]["request"]["Content-type"] == "application/json"
    assert read_config(json.dumps(again).encode())[0] == config


texts = st.sampled_from(["a", "A1", "图", "x=y", "<", "", "'", "a" * 37, "ok_name", " ", '"'])
numbers = st.sampled_from([-1, 0, 0.5, 1, 2, "1", True, None])
dependencies = st.fixed_dictionaries(
    {"package_name": texts}, optional={"package_version": texts, "restraint": st.sampled_from(["EXACT", "X", None])}
)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({f"unknown-{number}": number for number in range(70_000)}, "at most 50,000 values"),
        ({"outputs": [{}] * 60_000}, "at most 50,000 values"),
        (
            {"apis": [{"request": {"data": {"allOf": [{"$ref": "#/"}] * 2_000}}}]},
            "at most 2,000 values in all schemas together",
        ),
    ],
)
def test_more_than_anybody_writes_is_refused_before_it_is_looked_at(fields: dict[str, Any], rule: str) -> None:
    config = {"model_type": "ONNX", "model_algorithm": "digits", **fields}
    [problem] = read_config(json.dumps(config).encode())[1]
    assert problem.rule == rule


def test_the_first_hundred_problems_are_named_and_many_labels_are_none() -> None:
    config = {"model_type": "ONNX", "model_algorithm": "digits", "labels": [f"class {n}" for n in range(22_000)]}
    assert read_config(json.dumps(config).encode())[1] == ()
    config |= {f"unknown-{number}": number for number in range(1_000)}
    _, problems, wrong = read_config(json.dumps(config).encode())
    assert (len(problems), len(wrong)) == (100, 1_000)


configs = st.fixed_dictionaries(
    {},
    optional={
        "model_algorithm": texts,
        "model_type": st.sampled_from([*MODEL_TYPES, "onnx", 3]),
        "metrics": st.dictionaries(st.sampled_from(["f1", "recall", "speed"]), numbers, max_size=2),
        "labels": st.lists(texts, max_size=3),
        "outputs": st.lists(st.fixed_dictionaries({"name": texts, "role": st.sampled_from(["scores", "x"])})),
        "dependencies": st.lists(st.fixed_dictionaries({"packages": st.lists(dependencies, max_size=2)}), max_size=2),
        "apis": st.lists(
            st.fixed_dictionaries(
                {},
                optional={"url": texts, "method": st.sampled_from(["post", "brew"]), "request": st.just({"data": {}})},
            ),
            max_size=2,
        ),
        "colour": texts,
    },
)
# What JSON Schema here does not say: rules over several fields, and that every item is another one.
BEYOND = ("restraint is required", "only for model_type", "every ", "url must be", "unknown for")


@settings(max_examples=500, deadline=None)
@given(configs)
def test_the_published_schema_says_the_same(config: dict[str, Any]) -> None:
    found = read_config(json.dumps(config).encode())[1]
    within = [problem for problem in found if not any(words in problem.message for words in BEYOND)]
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(config)
    assert valid == (not within), within


def schema_problems(schema: dict[str, Any]) -> dict[str | None, str]:
    return problems(apis=[api(request={"data": schema})])


TREE = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"a": {}}, "$ref": "#/$defs/a"},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"a~/b c": {}},
            "$ref": "#/definitions/a~0~1b%20c",
        },
        {"$defs": {"tree": TREE}, "$ref": "#/$defs/tree"},
        {"properties": {"$ref": {"type": "string"}, "$id": {}, "$schema": {"const": {"$ref": "http://a.example"}}}},
        {"allOf": [True, {"type": "object"}], "properties": {"a": {"$ref": "#/allOf/1"}, "b": {"$ref": "#/allOf/0"}}},
        {"properties": {"again": {"$ref": "#"}}},
    ],
)
def test_schemas_may_refer_to_themselves(schema: dict[str, Any]) -> None:
    assert schema_problems(schema) == {}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"$ref": "http://a.example/schema.json"}, "$ref"),
        ({"$ref": "file:///etc/passwd"}, "$ref"),
        ({"$ref": "other.json#/a"}, "$ref"),
        ({"$ref": "#anchor"}, "$ref"),
        ({"$ref": "#/$defs/missing"}, "$ref"),
        ({"$ref": "#/default", "default": {"type": "object"}}, "$ref"),
        ({"$ref": "#/required/0", "required": ["a"]}, "$ref"),
        (
            {"properties": {"a": {"items": {"anyOf": [{}, {"$ref": "//a.example/x"}]}}}},
            "properties.a.items.anyOf.1.$ref",
        ),
        ({"$schema": "file:///tmp/schema"}, "$schema"),
        ({"properties": {"a": {"$schema": "http://a.example"}}}, "properties.a.$schema"),
        ({"$id": "http://a.example/"}, "$id"),
        ({"properties": {"a": {"$dynamicRef": "#a"}}}, "properties.a.$dynamicRef"),
        ({"$ref": "#"}, ""),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}, None),
    ],
)
def test_schemas_refer_to_nothing_else(schema: dict[str, Any], field: str | None) -> None:
    found = schema_problems(schema)
    assert len(found) == 1
    (name,) = found
    assert name is not None
    assert field is None or name == f"apis.0.request.data.{field}".removesuffix(".")


def test_references_that_become_more_schemas_than_anybody_can_ask() -> None:
    defs = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}
    (message,) = schema_problems({"$defs": {**defs, "a40": {}}}).values()
    assert "once its references are written out" in message


@pytest.mark.parametrize(
    "name",
    [
        "git+https://a.example/x",
        "x @ https://a.example/x.whl",
        "--" + "index-" + "url",
        "-r",
        "../x",
        "a.whl/",
        "a b",
        "./x",
    ],
)
def test_dependencies_are_packages_by_name(name: str) -> None:
    found = problems(dependencies=[{"packages": [{"package_name": "numpy"}, {"package_name": name}]}])
    assert list(found) == ["dependencies.0.packages.1.package_name"]


def test_versions_and_extras_of_dependencies() -> None:
    package = {"package_name": "ray[default, tune]", "package_version": "2.0.*", "restraint": "EXACT"}
    assert problems(dependencies=[{"packages": [package]}]) == {}
    package["package_version"] = "1 @ https://a.example"
    assert list(problems(dependencies=[{"packages": [package]}])) == ["dependencies.0.packages.0.package_version"]


def test_urls_are_paths() -> None:
    found = problems(**IMAGE, apis=[api(url="//a.example/x")], health={"url": "//a.example"})
    assert list(found) == ["apis.0.url", "health.url"]


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"labels": ["a", "b\x00"]}, "labels.1", "text without U+0000"),
        ({"outputs": [{"name": "\x00", "role": "scores"}]}, "outputs.0.name", "text without U+0000"),
        ({"apis": [{"request": {"data": {"a\x00": 1}}}]}, "apis.0.request.data.a\ufffd", "text without U+0000"),
        ({"unknown\x00": 1}, "unknown\ufffd", "text without U+0000"),
    ],
)
def test_text_that_cannot_be_stored(fields: dict[str, Any], field: str, rule: str) -> None:
    config, found, _ = read_config(json.dumps(GOOD | fields).encode())
    assert [(problem.field, problem.rule) for problem in found] == [(field, rule)]
    assert config is None


def test_what_is_nested_deeper_than_a_store_keeps() -> None:
    schema: dict[str, Any] = {}
    for _ in range(30):
        schema = {"properties": {"a": schema}}
    (message,) = schema_problems(schema).values()
    assert "nested deeper than 64 levels" in message
