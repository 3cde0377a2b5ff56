"""Files and functions stay small, carry telling names, and lie in every service where a reader looks for them."""

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import ROOT, Member, python_files, services

LONGEST_FILE, LONGEST_FUNCTION, LONGEST_MAIN = 500, 60, 10  # lines
SAME_EVERYWHERE = ("__main__", "bootstrap", "domain", "errors", "settings")
SAY_NOTHING = {"base", "common", "core", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

# "path" or "path::function" → why it may be longer. An entry that is no longer needed fails.
MAY_BE_LONGER: dict[str, str] = {}


def _parsed(source: str) -> ast.Module:
    """CPython 3.11 miscounts how deep it is when its collector runs somebody's finalizer in the middle."""
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()


def functions_of(source: str) -> Iterator[tuple[str, int]]:
    """Dotted-less name and length in lines of every function, nested ones too; decorators do not count."""
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def names_of(path: Path, source: str) -> Iterator[str]:
    """Words in the path below its package, and in the names of its classes."""
    for part in path.with_suffix("").parts:
        yield from part.lower().split("_")
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.ClassDef):
            yield from (word.lower() for word in re.findall(r"[A-Z][a-z]+", node.name))


def too_long(path: Path, source: str) -> list[str]:
    found = [str(path)] if len(source.splitlines()) > LONGEST_FILE else []
    return found + [f"{path}::{name}" for name, lines in functions_of(source) if lines > LONGEST_FUNCTION]


def _sources() -> Iterator[tuple[Path, str]]:
    for path in python_files():
        yield path, (ROOT / path).read_text("utf-8")


def test_files_and_functions_are_short() -> None:
    long = {place for path, source in _sources() for place in too_long(path, source)}
    assert long == set(MAY_BE_LONGER), f"more than {LONGEST_FILE} lines a file or {LONGEST_FUNCTION} a function"


def test_names_say_something() -> None:
    assert {str(path) for path, source in _sources() if SAY_NOTHING & set(names_of(path, source))} == set()


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_services_look_alike(service: Member) -> None:
    there = {path.stem for path in service.package.iterdir()}
    assert set(SAME_EVERYWHERE) - there == set()
    assert "repository" in there
    assert "py.typed" in {path.name for path in service.package.iterdir()}
    main = (service.package / "__main__.py").read_text("utf-8")
    assert len(main.splitlines()) <= LONGEST_MAIN
    beside = {path.name for path in (ROOT / service.folder).iterdir()}
    assert {"README.md", "pyproject.toml", "requirements.lock", "src", "tests"} - beside == set()


def test_the_ruler_measures() -> None:
    function = "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION
    assert too_long(Path("a.py"), function) == ["a.py::f"]
    assert too_long(Path("a.py"), function.replace("    x = 1\n", "    x = 1\n", 1)[:-10]) == []
    assert too_long(Path("a.py"), "x = 1\n" * (LONGEST_FILE + 1)) == ["a.py"]
    assert SAY_NOTHING & set(names_of(Path("a/string_utils.py"), ""))
    assert SAY_NOTHING & set(names_of(Path("a.py"), "class ModelManager: ..."))
    assert not SAY_NOTHING & set(names_of(Path("a/scoring.py"), "class Score: ..."))
