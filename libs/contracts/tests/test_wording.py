"""Whoever breaks a rule reads what is allowed, and what was given."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from modelyard_contracts import events
from modelyard_contracts.calls.every import ALL_CALLS
from modelyard_contracts.calls.version import CreateVersion
from modelyard_contracts.calls.version.register import VERSION
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.wording import PATTERNS, in_words


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


def said(model: type[BaseModel], **fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(fields)
    return [in_words(error) for error in refused.value.errors()]


def test_every_pattern_has_words() -> None:
    """Of what people write: requests, config.json and what training jobs say."""
    asked: list[type[BaseModel]] = [call.request for call in ALL_CALLS]
    written: list[type[BaseModel]] = [*asked, PackageConfig, events.TrainingCompleted]
    unnamed = {each for model in written for each in patterns(model.model_json_schema())} - PATTERNS.keys()
    assert not unnamed


@pytest.mark.parametrize("words", PATTERNS.values())
def test_words_hold_no_regular_expression(words: Any) -> None:
    assert not set("^$\\[]{}*+") & set(words.rule)


@pytest.mark.parametrize(
    ("name", "end"),
    [("two words", "' ' is not one that fits"), ("x" * 65, "it has 65 characters"), ("", ", '-' and '_'")],
)
def test_a_bad_name(name: str, end: str) -> None:
    (message,) = said(CreateVersion, model_name=name, source={"kind": "upload", "upload_id": "u"})
    assert message.startswith("1 to 64 letters, digits, Chinese characters, '-' and '_'")
    assert message.endswith(end)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"description": "a & b"}, "none of & ! ' \" < > =; '&' is not one that fits"),
        ({"description": "x" * 101}, "at most 100 characters, not 101"),
        ({"labels": ["a", "b", "c", "d", "e", "f"]}, "at most 5 items, not 6"),
        ({"labels": ["x" * 33]}, "at most 32 characters, not 33"),
        ({"specification": {"min_cpu": -1}}, "at least 0, not -1"),
        ({"model_version": "01.0.0"}, PATTERNS[VERSION].rule),
        ({"source_type": "robot"}, "one of 'auto', not 'robot'"),
        ({"install_type": "edge"}, "a list, not 'edge'"),
        ({"description": 7}, "a text, not 7"),
        ({"specification": []}, "an object, not a list"),
    ],
)
def test_what_is_allowed_and_what_was_given(fields: dict[str, Any], message: str) -> None:
    found = said(CreateVersion, model_name="digits", source={"kind": "upload", "upload_id": "u"}, **fields)
    assert found == [message]


def test_fields_that_lack_and_fields_that_nobody_knows() -> None:
    assert said(CreateVersion, model_name="digits")[0] == "this field is required"
    config = {"model_algorithm": "a", "model_type": "ONNX", "colour": "red"}
    assert said(PackageConfig, **config) == ["there is no such field"]
