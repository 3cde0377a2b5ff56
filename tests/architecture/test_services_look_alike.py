"""Whoever knows one service finds things in the next: the words of docs/architecture.md ("Where things are"), held."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import ROOT

SERVICES = sorted((ROOT / "services").iterdir())
WORKERS = [folder for folder in SERVICES if (folder / "src").is_dir() and folder.name != "gateway"]
KINDS = {"CallContext": "Calls", "Envelope": "Events"}


def package(service: Path) -> Path:
    return service / "src" / f"modelyard_{service.name}"


def handlers(service: Path) -> Iterator[tuple[Path, ast.ClassDef]]:
    """Classes that are bound to the bus: methods of theirs take a context or an envelope first."""
    for path in sorted((package(service) / "handlers").glob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and kinds_of(node):
                yield path, node


def kinds_of(found: ast.ClassDef) -> set[str]:
    """`Calls`, `Events` and `Jobs`, as the public coroutines of the class take them."""
    kinds = set()
    for method in found.body:
        if isinstance(method, ast.AsyncFunctionDef) and not method.name.startswith("_") and len(method.args.args) == 3:
            first, second = (ast.unparse(each.annotation) for each in method.args.args[1:] if each.annotation)
            kind = KINDS.get(first)
            if kind == "Events" and second.endswith("Job"):
                kind = "Jobs"
            if kind:
                kinds.add(kind)
    return kinds


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_files_that_every_service_has(service: Path) -> None:
    there = {path.stem for path in package(service).iterdir()}
    assert {"__main__", "bootstrap", "settings", "domain", "repository", "errors"} <= there


@pytest.mark.parametrize("service", WORKERS, ids=lambda service: service.name)
def test_a_handler_is_called_after_what_it_handles(service: Path) -> None:
    found = list(handlers(service))
    assert found
    for path, handler in found:
        kinds = kinds_of(handler)
        suffix = next(iter(kinds)) if len(kinds) == 1 else "Handlers"
        assert handler.name.endswith(suffix), f"{path.name}: {handler.name} handles {sorted(kinds)}"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_what_tells_the_time_is_called_now(service: Path) -> None:
    for path in package(service).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
                name = ast.unparse(node.target) if isinstance(node, ast.AnnAssign) else node.arg
                if ast.unparse(node.annotation) == "Callable[[], int]":
                    assert name == "now", f"{path}: {name}"
