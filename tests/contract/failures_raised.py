"""Codes and their HTTP statuses as the source has them: a code that stands beside a kind of failure."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from modelyard_contracts.failures import FailureKind
from modelyard_gateway.doors.v1.replies import STATUS

from .generated import ROOT

_PREFIX = "ModelArts."


def codes_by_name() -> dict[str, set[int]]:
    """Of every class of failures and every constant, in all packages together."""
    found: dict[str, set[int]] = {}
    for package in _packages():
        for name, code in _named(_nodes(package)):
            found.setdefault(name, set()).add(code)
    return found


def statuses_used() -> dict[int, set[int]]:
    """Of every code whose kind can be seen where it is used: in one call, in one class of failures or where that is
    raised, or in one function that returns a failure."""
    used: dict[int, set[int]] = {}
    for package in _packages():
        for code, status in _of(_nodes(package)):
            used.setdefault(code, set()).add(status)
    return used


def _packages() -> Iterator[Path]:
    for folder in ("libs", "services"):
        yield from (ROOT / folder).glob("*/src")


def _nodes(package: Path) -> list[ast.AST]:
    sources = [path.read_text("utf-8") for path in package.rglob("*.py")]
    trees = [ast.parse(source) for source in sources if _PREFIX in source or "FailureKind." in source]
    return [node for tree in trees for node in ast.walk(tree)]


def _of(nodes: list[ast.AST]) -> Iterator[tuple[int, int]]:
    names = dict(_named(nodes))
    for node in nodes:
        if _is_about_a_failure(node, names):
            for code in _codes(node, names):
                for kind in _kinds(node):
                    yield code, STATUS[kind]


def _named(nodes: list[ast.AST]) -> Iterator[tuple[str, int]]:
    """Constants and classes of one code."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        else:
            continue
        codes = set(_codes(node, {}))
        if len(codes) == 1:
            yield name, codes.pop()


def _is_about_a_failure(node: ast.AST, names: Mapping[str, int]) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id in {"Failure", *names} for base in node.bases)
    if isinstance(node, ast.FunctionDef):
        return isinstance(node.returns, ast.Name) and node.returns.id == "Failure"
    return isinstance(node, ast.Call)


def _codes(node: ast.AST, names: Mapping[str, int]) -> Iterator[int]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.startswith(_PREFIX):
            yield int(each.value.removeprefix(_PREFIX))
        elif isinstance(each, ast.Name) and each.id in names:
            yield names[each.id]


def _kinds(node: ast.AST) -> Iterator[FailureKind]:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "FailureKind":
            yield FailureKind[each.attr]
