"""Every document that waits for something has somebody who looks at it again (docs/outages.md)."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from modelyard_convert.repository import Repository as Conversions
from modelyard_evaluate.repository import Repository as Runs
from modelyard_import.domain.uploads import UploadState
from modelyard_import.repository import Repository as Imports
from modelyard_publish.repository import Repository as Publications
from modelyard_store.aggregates import Aggregates
from modelyard_store.outbox import TOLD
from modelyard_store.watched import Watched
from modelyard_version.repository.checks import audits_in, verifications_in
from modelyard_version.repository.versions import AliasRepository, VersionRepository

ROOT = Path(__file__).parents[2]
NOTHING: Any = None
CLOCK = (lambda: None), (lambda: 0)

FINAL: dict[str, set[object]] = {
    "versions": {"published", "failed"},
    "verifications": {"succeeded", "failed"},
    "audits": {"succeeded", "failed"},
    "imports": {"succeeded", "failed", "cancelled"},
    "training_jobs": {True},
    "conversions": {"succeeded", "failed"},
    "evaluation_runs": {"succeeded", "failed", "stopped"},
    "entries": {"scored", "rejected"},
}
"""The states in which a document waits for nothing. Every other one is watched."""
NEVER_WAIT = {"aliases", "competitions", "listings", "datasets", "import_rules", "training_job_names", "uploads"}


def aggregates() -> dict[str, Aggregates[Any]]:
    """Of all services, by collection."""
    versions = VersionRepository(NOTHING, *CLOCK)
    makers: tuple[Any, ...] = (Conversions, Runs, Imports, Publications)
    repositories = [maker(NOTHING, *CLOCK) for maker in makers]
    repositories += [AliasRepository(NOTHING, CLOCK[0])]
    found = [each for repository in repositories for each in vars(repository).values() if isinstance(each, Aggregates)]
    found += [versions.watched, verifications_in(NOTHING, *CLOCK), audits_in(NOTHING, *CLOCK)]
    return {each._collection.name: each for each in found}


def states_of(watched: Watched[Any]) -> set[object]:
    kind = watched._adapter._type
    hint = get_type_hints(kind)[watched._waits_by]
    return {True, False} if hint is bool else set(get_args(hint))


def test_every_collection_is_known_here() -> None:
    assert set(aggregates()) == FINAL.keys() | NEVER_WAIT


@pytest.mark.parametrize("name", FINAL)
def test_every_state_is_final_or_watched(name: str) -> None:
    watched = aggregates()[name]
    assert isinstance(watched, Watched)
    assert states_of(watched) == FINAL[name] | set(watched._waits_in)
    assert FINAL[name].isdisjoint(watched._waits_in)


def test_uploads_wait_for_their_owner_and_expire() -> None:
    assert set(get_args(UploadState)) == {"open", "complete", "expired"}
    assert any(index.fields == ("due_at",) for index in aggregates()["uploads"]._collection.indexes)


@pytest.mark.parametrize("service", ["version", "import", "convert", "evaluate", "publish"])
def test_what_a_service_watches_it_looks_at(service: str) -> None:
    tree = ast.parse((ROOT / f"services/{service}/src/modelyard_{service}/bootstrap.py").read_text("utf-8"))
    given = [word.value for call in _calls(tree, "service") for word in call.keywords if word.arg == "watched"]
    watched = {ast.unparse(each) for value in given if isinstance(value, ast.Tuple) for each in value.elts}
    looked_at = {ast.unparse(call.args[0]) for call in _calls(tree, "Revival")}
    assert watched
    assert watched == looked_at


def test_what_tells_keeps_what_it_has_told() -> None:
    telling = FINAL.keys() | {"aliases", "competitions", "listings"}
    assert {name for name, each in aggregates().items() if TOLD in each._collection.indexes} == telling


def test_the_page_for_operators_names_each() -> None:
    page = (ROOT / "docs/outages.md").read_text("utf-8")
    assert [name for name in FINAL if f"`{name}`" not in page] == []


def _calls(tree: ast.AST, name: str) -> list[ast.Call]:
    called: Callable[[ast.Call], str] = lambda call: getattr(call.func, "attr", getattr(call.func, "id", ""))  # noqa: E731
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == name]
