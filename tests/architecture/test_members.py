"""Every member of the workspace can be installed alone: it declares what it imports, within bounds."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .tree import ROOT, Member, members, services

BELOW = {"<", "<=", "==", "~="}
ABOVE = {">", ">=", "==", "~="}


def unbounded(requirements: list[str]) -> list[str]:
    """Third-party requirements that lack a lower or an upper bound."""
    parsed = (Requirement(text) for text in requirements)
    return [str(each) for each in parsed if not _is_member(each.name) and not _bounded(each)]


def _bounded(requirement: Requirement) -> bool:
    operators = {specifier.operator for specifier in requirement.specifier}
    return bool(operators & BELOW) and bool(operators & ABOVE)


def _is_member(name: str) -> bool:
    return name == "modelyard" or name.startswith("modelyard-")


def _declared(member: Member) -> set[str]:
    texts: list[str] = member.declaration["project"]["dependencies"]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def _imported(source: str) -> Iterator[str]:
    """Top-level names, wherever in the file they are imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def undeclared(sources: list[str], declared: set[str], own: str) -> set[str]:
    owners = packages_distributions()
    names = {name for source in sources for name in _imported(source)} - sys.stdlib_module_names - {own}
    owned = {name: {canonicalize_name(owner) for owner in owners.get(name, [name])} for name in names}
    return {name for name, by in owned.items() if not by & declared}


ALL = pytest.mark.parametrize("member", members(), ids=lambda member: member.name)


@ALL
def test_versions_are_bounded(member: Member) -> None:
    declaration = member.declaration
    assert unbounded(declaration["project"]["dependencies"] + declaration["build-system"]["requires"]) == []


def test_development_versions_are_bounded() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    assert unbounded([requirement for group in groups.values() for requirement in group]) == []


@ALL
def test_what_is_imported_is_declared(member: Member) -> None:
    sources = [path.read_text("utf-8") for path in member.package.rglob("*.py")]
    assert undeclared(sources, _declared(member), member.package.name) == set()


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_a_service_pins_what_it_needs_like_everybody(service: Member) -> None:
    pinned = _pins(ROOT / service.folder / "requirements.lock")
    everybody = _pins(ROOT / "requirements.lock")
    assert {pin for pin in pinned if pin not in everybody} == set(), "run make lock"
    names = {name for name, _ in pinned}
    assert _needed(service) - names == set(), "run make lock"


def _needed(member: Member) -> set[str]:
    """Names of the third-party requirements of a member and of the members it stands on."""
    by_name = {each.name: each for each in members()}
    needed: set[str] = set()
    for name in _declared(member):
        needed |= _needed(by_name[name]) if _is_member(name) else {name}
    return needed


def _pins(lock: Path) -> set[tuple[str, str]]:
    """(name, version); a package may have one version per Python."""
    lines = (line.split(";")[0].rstrip(" \\") for line in lock.read_text("utf-8").splitlines())
    parts = (line.split("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
    return {(canonicalize_name(name), version.strip()) for name, version in parts}


def test_the_rulers_measure() -> None:
    assert unbounded(["a>=1,<2", "b~=1.4", "modelyard-bus"]) == []
    assert unbounded(["a>=1", "b", "c<2"]) == ["a>=1", "b", "c<2"]
    assert undeclared(["def f():\n    import yaml\n", "import os, pytest"], {"pytest"}, "own") == {"yaml"}
