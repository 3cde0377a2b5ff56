"""docs/api.md names every path, docs/errors.md every code as the source uses it; what they leave out, nobody finds."""

import json
import re
from itertools import product

from modelyard_contracts import codes
from modelyard_contracts.codes import EXPLAINED

from .failures_raised import codes_by_class, codes_used, kinds_used
from .generated import ROOT

API = (ROOT / "docs/api.md").read_text("utf-8")


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


def test_every_code_that_is_explained_is_used() -> None:
    assert EXPLAINED.keys() - codes_used() == set()


def test_no_code_is_made_beside_the_table() -> None:
    """Types hold that a refusal has a `Code`; only what came over the wire becomes one without being declared."""
    for path in (path for folder in ("libs", "services") for path in (ROOT / folder).glob("*/src/**/*.py")):
        if path.name not in {"codes.py", "errors_page.py"}:
            assert not re.search(r"ModelArts\.[\d{]", path.read_text("utf-8")), path


def test_a_code_is_refused_with_the_kinds_that_are_explained() -> None:
    told = {code: set(explained.kinds) for code, explained in EXPLAINED.items()}
    assert {code: kinds for code, kinds in kinds_used().items() if told[code] != kinds} == {}


def test_one_refusal_has_one_code_whoever_says_it() -> None:
    """`NotPublished`, `NoWorker`, … are the same to a caller of any service."""
    found = codes_by_class()
    assert {name: several for name, several in found.items() if len(several) > 1} == {}
    assert (found["NotPublished"], found["NoWorker"]) == ({codes.NOT_PUBLISHED}, {codes.NO_WORKER})
