"""Read `config.json` and name every broken rule at once, each with its dotted field path. Called by `package.check`."""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from modelyard_contracts.failures import Problem
from modelyard_contracts.json_text import crowded
from modelyard_contracts.keeping import dotted, misfits
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.wording import in_words
from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.package.references import place_problems, reference_problems

DEEPEST = 64
"""Levels: inside of a version's document and its messages there are more around them."""
MOST_VALUES: Final = 50_000
"""Fields, items, objects and lists: 22,000 labels are no rarity."""
MOST_SCHEMA_VALUES: Final = 2_000
"""Whether a schema is one takes up to 2 ms for each."""
MOST_PROBLEMS: Final = 100

# Stand-ins for required fields that are wrong, so that what else the file says can still be checked.
_STAND_INS = {"model_algorithm": "unknown", "model_type": "Custom"}
# What is judged by the model type, and cannot be while that is unknown.
_DEPENDENT = frozenset({"runtime", "swr_location", "health", "apis"})


class _NotJson(Exception):
    """The text says where and why."""


def read_config(text: bytes) -> tuple[PackageConfig | None, tuple[Problem, ...], frozenset[str]]:
    """The config, its problems, and the top-level fields that are wrong.

    With wrong fields the config still comes, without them, so that cross-checks of the other fields can go on; it is
    None only when the file is no JSON object, or one that cannot be stored.
    """
    if crowded(text, MOST_VALUES):
        message = f"{CONFIG_FILE} holds more than {MOST_VALUES:,} values"
        return None, (Problem(message=message, file=CONFIG_FILE, rule=f"at most {MOST_VALUES:,} values"),), frozenset()
    try:
        raw = _parse(text)
    except _NotJson as error:
        message = f"{CONFIG_FILE} is not valid JSON: {error}"
        return None, (Problem(message=message, file=CONFIG_FILE, rule="one JSON object in UTF-8"),), frozenset()
    if texts := tuple(_unstorable(raw)):
        return None, texts, frozenset()
    schemas = tuple(_schema_problems(raw))
    try:
        config = _strictly(raw)
        places = tuple(place_problems(config))
        return config, (*schemas, *places), frozenset(str(each.field).split(".")[0] for each in (*schemas, *places))
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = tuple(map(_problem, found[:MOST_PROBLEMS]))
        wrong = frozenset(str(item["loc"][0]) for item in found)
    dropped = wrong | _DEPENDENT if "model_type" in wrong else wrong
    rest = {name: value for name, value in raw.items() if name not in dropped}
    return _strictly({**_STAND_INS, **rest}), (*problems, *schemas), wrong


def _strictly(raw: dict[str, Any]) -> PackageConfig:
    """As the published schema reads it: the text "1" and `true` are no numbers. Raises ValidationError."""
    return PackageConfig.model_validate_json(json.dumps(raw), strict=True)


def _unstorable(raw: dict[str, Any]) -> Iterator[Problem]:
    for path, message, rule in misfits(raw, DEEPEST):
        text = f"{CONFIG_FILE}: {dotted(path)}: {message}"
        yield Problem(message=text, file=CONFIG_FILE, field=dotted(path), rule=rule)


def _schema_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    """What `apis` calls a JSON Schema and is none. Its form is PackageConfig's business."""
    apis = raw.get("apis")
    if crowded(json.dumps(apis).encode(), MOST_SCHEMA_VALUES):
        rule = f"at most {MOST_SCHEMA_VALUES:,} values in all schemas together"
        yield Problem(message=f"{CONFIG_FILE}: apis: {rule}", file=CONFIG_FILE, field="apis", rule=rule)
        return
    for index, api in enumerate(apis[:50] if isinstance(apis, list) else ()):
        for part in ("request", "response"):
            message = api.get(part) if isinstance(api, dict) else None
            schema = message.get("data") if isinstance(message, dict) else None
            if isinstance(schema, dict) and (reason := _why_no_schema(schema)):
                field = f"apis.{index}.{part}.data"
                text = f"{CONFIG_FILE}: {field}: {reason}"
                yield Problem(message=text, file=CONFIG_FILE, field=field, rule="a JSON Schema (draft 2020-12)")
            elif isinstance(schema, dict):
                yield from reference_problems(schema, f"apis.{index}.{part}.data")


def _why_no_schema(schema: dict[str, Any]) -> str | None:
    from jsonschema import Draft202012Validator, SchemaError  # most packages describe no interface

    try:
        Draft202012Validator.check_schema(_as_standard(schema))
    except SchemaError as error:
        return f"{'.'.join(str(part) for part in error.absolute_path) or 'it'}: {error.message}"[:300]
    except RecursionError:
        return "it is nested too deep"
    return None


def _as_standard(schema: Any) -> Any:
    """With the type `file` that ModelArts' packages have for a field of a form, as the standard would say it."""
    if isinstance(schema, list):
        return [_as_standard(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: "string" if (name, each) == ("type", "file") else _as_standard(each) for name, each in schema.items()}


def _parse(text: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text.decode())
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise _NotJson(f"byte {error.start} is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise _NotJson("it holds half of a surrogate pair") from error
    except RecursionError as error:
        raise _NotJson("it is nested too deep") from error
    except ValueError as error:
        raise _NotJson(str(error)) from error
    if not isinstance(value, dict):
        raise _NotJson(f"it holds a {type(value).__name__}, not an object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:100]} is too large a number")
    return value


def _storable(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"{text[:100]} is too large a number")
    return int(text)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field {name[:100]!r} is given twice")
        found[name] = value
    return found


# Stricter than JSON in Python: what does not survive every store and every other language is refused.
_DECODER = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, parse_int=_storable, object_pairs_hook=_no_duplicates
)


def _problem(error: Any) -> Problem:
    field = ".".join(str(part) for part in error["loc"])[:300]
    rule = in_words(error)
    return Problem(message=f"{CONFIG_FILE}: {field}: {rule}", file=CONFIG_FILE, field=field, rule=rule)
