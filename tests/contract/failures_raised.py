"""Codes and kinds as the source has them: a code that stands beside a kind of failure."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from modelyard_contracts import codes
from modelyard_contracts.failures import Code, FailureKind

from .generated import ROOT


def codes_used() -> set[Code]:
    return {code for package in _packages() for node in _nodes(package) for code in _codes(node, {})}


def codes_by_class() -> dict[str, set[Code]]:
    """Of every class of failures with one code, in all packages together."""
    found: dict[str, set[Code]] = {}
    for package in _packages():
        for name, code in _classes(_nodes(package)):
            found.setdefault(name, set()).add(code)
    return found


def kinds_used() -> dict[Code, set[FailureKind]]:
    """Of every code whose kind can be seen where it is used: in one call, in one class of failures or where that is
    raised, or in one function that returns a failure."""
    used: dict[Code, set[FailureKind]] = {}
    for package in _packages():
        for code, kind in _of(_nodes(package)):
            used.setdefault(code, set()).add(kind)
    return used


def _packages() -> Iterator[Path]:
    """What runs in production: the testkit's replies use no code, they quote one."""
    for folder in ("libs", "services"):
        yield from (path for path in (ROOT / folder).glob("*/src") if path.parent.name != "testkit")


def _nodes(package: Path) -> list[ast.AST]:
    sources = [path.read_text("utf-8") for path in package.rglob("*.py")]
    trees = [ast.parse(source) for source in sources if "codes." in source or "FailureKind." in source]
    return [node for tree in trees for node in ast.walk(tree)]


def _of(nodes: list[ast.AST]) -> Iterator[tuple[Code, FailureKind]]:
    classes = dict(_classes(nodes))
    for node in nodes:
        if _is_about_a_failure(node, classes):
            for code in _codes(node, classes):
                for kind in _names_of("FailureKind", node):
                    yield code, FailureKind[kind]


def _classes(nodes: list[ast.AST]) -> Iterator[tuple[str, Code]]:
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            found = set(_codes(node, {}))
            if len(found) == 1:
                yield node.name, found.pop()


def _is_about_a_failure(node: ast.AST, classes: Collection[str]) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id in {"Failure", *classes} for base in node.bases)
    if isinstance(node, ast.FunctionDef):
        return isinstance(node.returns, ast.Name) and node.returns.id == "Failure"
    return isinstance(node, ast.Call)


def _codes(node: ast.AST, classes: Mapping[str, Code]) -> Iterator[Code]:
    for name in _names_of("codes", node):
        yield getattr(codes, name)
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and each.id in classes:
            yield classes[each.id]


def _names_of(owner: str, node: ast.AST) -> Iterator[str]:
    """`NOT_PUBLISHED`, of `codes.NOT_PUBLISHED`."""
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == owner:
            yield each.attr
