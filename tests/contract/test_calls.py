"""The examples of calls are what the schemas in docs/generated say."""

import json
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from modelyard_contracts.calls import Call
from modelyard_contracts.calls.every import ALL_CALLS, carried
from modelyard_contracts.generate import golden_path

from .generated import FOLDER, ROOT


@cache
def validator(service: str) -> Draft202012Validator:
    schema = json.loads((ROOT / FOLDER / "schemas" / f"modelyard.rpc.{service}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("call", ALL_CALLS, ids=lambda call: call.subject)
def test_the_example_is_what_the_schema_says(call: Call[Any, Any]) -> None:
    example = json.loads(golden_path(call).read_text("utf-8"))
    validator(call.service).validate({call.subject: example})


@pytest.mark.parametrize("call", ALL_CALLS, ids=lambda call: call.subject)
def test_the_schema_refuses_another_shape(call: Call[Any, Any]) -> None:
    for part in carried(call):
        wrong = json.loads(golden_path(call).read_text("utf-8")) | {part: {"unheard_of": True}}
        with pytest.raises(ValidationError):
            validator(call.service).validate({call.subject: wrong})
