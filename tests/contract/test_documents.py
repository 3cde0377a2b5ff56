"""The hand-written pages name every path and every code; what they leave out, nobody finds."""

import json
import re
from itertools import product

from .failures_raised import codes_by_name, statuses_used
from .generated import ROOT

API = (ROOT / "docs/api.md").read_text("utf-8")
ERRORS = (ROOT / "docs/errors.md").read_text("utf-8")


def _told() -> set[tuple[str, str]]:
    """(method, path) of the first column of every table: "`GET`, `DELETE /conversions/{id}`" is two of them."""
    found = set()
    for cell in re.findall(r"^\| (`(?:GET|POST|PUT|PATCH|DELETE).*?) \|", API, re.MULTILINE):
        methods = []
        for word, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE)(?: (/[^`?]*))?", cell):
            methods.append(word)
            if path:
                found |= set(product(methods, [path]))
                methods = []
    return found


def test_every_path_is_told_with_its_method() -> None:
    described = json.loads((ROOT / "docs/generated/openapi.json").read_text("utf-8"))["paths"]
    inside = {
        (method.upper(), path.removeprefix("/v1/{project_id}"))
        for path, methods in described.items()
        for method in methods
        if "{project_id}" in path
    }
    assert _told() == inside
    for path in set(described) - {f"/v1/{{project_id}}{path}" for _, path in inside}:
        assert f"`GET {path}`" in API or f"`POST {path}`" in API


def test_every_code_is_explained() -> None:
    sources = (
        path.read_text("utf-8") for folder in ("libs", "services") for path in (ROOT / folder).glob("*/src/**/*.py")
    )
    used = {int(code) for source in sources for code in re.findall(r"ModelArts\.(\d{4})", source)}
    assert used - _statuses_told().keys() == set()


def test_every_code_is_explained_with_its_status() -> None:
    told = _statuses_told()
    assert {code: statuses for code, statuses in statuses_used().items() if told.get(code) != statuses} == {}


def test_one_refusal_has_one_code_whoever_says_it() -> None:
    """`NotPublished`, `NoWorker`, … are the same to a caller of any service."""
    found = codes_by_name()
    assert {name: codes for name, codes in found.items() if len(codes) > 1} == {}
    assert (found["NotPublished"], found["NoWorker"], found["NO_WORKER"]) == ({3070}, {9001}, {9001})


def _statuses_told() -> dict[int, set[int]]:
    """Of every code in the table: "| 3056–3061, 3063 | 400; 409 for …" tells two statuses of each of them."""
    told: dict[int, set[int]] = {}
    for cell, statuses in re.findall(r"^\| ([\d–, ]+) \| (.*?) \|", ERRORS, re.MULTILINE):
        for part in cell.split(", "):
            first, _, last = part.partition("–")
            for code in range(int(first), int(last or first) + 1):
                told.setdefault(code, set()).update(map(int, re.findall(r"\b\d{3}\b", statuses)))
    return told
