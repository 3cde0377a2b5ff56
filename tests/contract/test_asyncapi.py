"""The AsyncAPI document holds together: every reference ends somewhere, every example is what its schema says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from .generated import FOLDER, ROOT

DOCUMENT: dict[str, Any] = json.loads((ROOT / FOLDER / "asyncapi.json").read_text("utf-8"))
CHANNELS: dict[str, Any] = DOCUMENT["channels"]


def _references(node: Any) -> Iterator[str]:
    """Every `$ref`, but not those inside examples: they are data."""
    children = list(node.items()) if isinstance(node, dict) else [("", child) for child in node]
    for key, child in children:
        if key == "$ref":
            yield child
        elif isinstance(child, dict | list) and key != "examples":
            yield from _references(child)


def _end_of(reference: str) -> Any:
    """Raises KeyError or FileNotFoundError when it ends nowhere."""
    file, _, pointer = reference.partition("#")
    node: Any = json.loads((ROOT / FOLDER / file).read_text("utf-8")) if file else DOCUMENT
    for part in pointer.strip("/").split("/") if pointer else ():
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def test_it_has_what_asyncapi_3_requires() -> None:
    assert DOCUMENT["asyncapi"].startswith("3.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert all(operation["action"] in ("send", "receive") for operation in DOCUMENT["operations"].values())
    assert all(set(operation["channel"]) == {"$ref"} for operation in DOCUMENT["operations"].values())
    addresses = [channel["address"] for channel in CHANNELS.values()]
    assert len(addresses) == len(set(addresses))


def test_every_reference_ends_somewhere() -> None:
    references = set(_references(DOCUMENT))
    assert references
    for reference in references:
        assert _end_of(reference)


def test_every_channel_is_sent_to_and_received_from() -> None:
    for action in ("send", "receive"):
        operations = (each for each in DOCUMENT["operations"].values() if each["action"] == action)
        assert {each["channel"]["$ref"] for each in operations} == {f"#/channels/{name}" for name in CHANNELS}


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_examples_are_what_the_schema_says(name: str) -> None:
    for message in CHANNELS[name]["messages"].values():
        schema = _end_of(message["payload"]["$ref"])
        Draft202012Validator.check_schema(schema)
        examples = message["examples"]
        assert examples
        for example in examples:
            Draft202012Validator(schema).validate(example["payload"])
