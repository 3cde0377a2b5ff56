"""Nobody who uses the public interface is shown a regular expression."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard_contracts.shapes import Role
from modelyard_contracts.wording import PATTERNS
from modelyard_gateway.doors.v1.openapi import document

DESCRIBED = json.loads(document())


def patterns(part: Any, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Of a part of the description and of what it refers to."""
    if isinstance(part, list):
        for value in part:
            yield from patterns(value, known)
    elif isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in known:
            yield from patterns(DESCRIBED["components"]["schemas"][name], known | {name})
        for value in part.values():
            yield from patterns(value, known)


def test_every_pattern_of_a_request_has_words() -> None:
    operations = [each for path in DESCRIBED["paths"].values() for each in path.values() if isinstance(each, dict)]
    asked = [[each.get("requestBody"), each.get("parameters")] for each in operations]
    found = set(patterns(asked))
    assert len(found) > 10
    assert not found - PATTERNS.keys()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "models", {"model_name": "two words", "upload_id": "u", "description": "a & b"}),
        ("POST", "models", {"model_name": "a", "source_location": "https://example.org/a"}),
        ("POST", "models/check", {"model_name": "two words", "model_version": "1.0"}),
        ("POST", "tokens", {"name": "a b", "role": "reader"}),
        ("PUT", "model-names/digits/aliases/1st", {"model_version": "1.0"}),
        ("POST", "datasets", {"name": "a/b", "source_location": "s3://b"}),
        ("POST", "gallery", {"model_id": "m", "title": "<b>"}),
    ],
)
async def test_refusals_are_in_words(yard, method: str, path: str, body: dict[str, Any]) -> None:
    headers = await yard.token(Role.ADMIN)
    reply = await yard.http.request(method, f"/v1/default/{path}", headers=headers, json=body)
    assert reply.status_code == 400, reply.text
    said = reply.json()["error_msg"]
    assert "pattern" not in said
    assert not set("^$\\[]*") & set(said)
