"""Counting the values of a JSON text by its bytes."""

import json
from typing import Any

import pytest

from modelyard_contracts.json_text import crowded


@pytest.mark.parametrize(
    "value",
    [
        {f"field-{number}": number for number in range(101)},
        list(range(101)),
        ["text"] * 101,
        [{}] * 101,
        [[]] * 101,
        {"deep": {"deeper": [None] * 101}},
        [{"a": 1, "b": 2}] * 51,
    ],
)
def test_more_values_than_allowed_are_seen(value: Any) -> None:
    assert crowded(json.dumps(value).encode(), 100)
    assert not crowded(json.dumps(value).encode(), 400)


@pytest.mark.parametrize("depth", [101, 100_000])
def test_so_are_levels(depth: int) -> None:
    assert crowded(b"[" * depth, 100)


@pytest.mark.parametrize("text", [",[{" * 1000, '"' * 1000, '\\",[{' * 1000, "\\" * 1001, "词,词" * 500])
def test_what_stands_in_a_string_is_one_value(text: str) -> None:
    assert not crowded(json.dumps({"field": text, text: 1}).encode(), 100)
    assert crowded(json.dumps([{"field": text, text: 1}] * 100).encode(), 100)


def test_text_that_is_no_json_is_counted_too() -> None:
    assert crowded(b'"' * 1000, 100)
    assert not crowded(b"," * 100, 101)
