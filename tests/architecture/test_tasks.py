"""What one evaluation task knows stays in its folder: nothing else imports it, names it or speaks of its matter."""

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import ROOT

PACKAGE = ROOT / "services/evaluate/src/modelyard_evaluate"
FOLDERS = sorted(path.parent for path in PACKAGE.glob("tasks/*/row.py"))

# By folder: the words that only it may use. `former` reads documents that were stored when classification was the only
# task; the table names the folders.
MATTER = {
    "classification": {"accuracy", "class", "classes", "classification", "classifier", "correct", "label", "labels"},
}
MAY_SPEAK = {PACKAGE / "domain/former.py", PACKAGE / "tasks/table.py"}
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def said(source: str) -> Iterator[str]:
    """Every name and every text but documentation. Names of other people's parameters are theirs: `View(classes=…)`."""
    tree = ast.parse(source)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ImportFrom(module=str(name)):
                yield name
            case ast.Constant(value=str(text)) if id(node) not in documentation:
                yield text


def words(source: str) -> set[str]:
    return {word.lower() for text in said(source) for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_outside_speaks_of_its_matter(folder: Path) -> None:
    outside = {path for path in PACKAGE.rglob("*.py") if folder not in path.parents} - MAY_SPEAK
    spoken = {path: words(path.read_text("utf-8")) & MATTER[folder.name] for path in outside}
    assert {str(path.relative_to(PACKAGE)): found for path, found in spoken.items() if found} == {}


def test_every_folder_is_behind_the_wall() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter", "utf-8")
    walled = config["importlinter:contract:tasks"]["protected_modules"].split()
    assert walled == [f"modelyard_evaluate.tasks.{folder.name}" for folder in FOLDERS]
    assert set(MATTER) == {folder.name for folder in FOLDERS}


def test_the_ear_hears() -> None:
    for source in ("labels = 1", "def f(label): ...", "class LabelsDiffer: ...", "a.correct", 'x = "correct"'):
        assert words(source) & MATTER["classification"], source
    for source in ("import a.classification as x", "from a.classification import x", "f'{run.accuracy}'"):
        assert words(source) & MATTER["classification"], source
    for source in ('"""Classes."""', "class Run: ...", "View(classes=counts)", "x = 1  # labels", "dataclass"):
        assert not words(source) & MATTER["classification"], source
