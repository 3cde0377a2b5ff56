"""The client on a laptop: nothing of the servers comes with it, and nothing is imported that is not needed yet."""

import json
import subprocess
import sys
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What `pip install modelyard` brings. A new line here is a decision: each is one more to trust and to update.
CLOSURE = {
    "annotated-doc": "typer",
    "annotated-types": "pydantic",
    "anyio": "httpx",
    "certifi": "httpx",
    "h11": "httpx",
    "httpcore": "httpx",
    "httpx": "HTTP with the gateway and the store",
    "httpx-sse": "live events",
    "idna": "httpx",
    "markdown-it-py": "rich",
    "mdurl": "rich",
    "pydantic": "typer",
    "pydantic-core": "pydantic",
    "pygments": "rich",
    "rich": "tables and progress",
    "shellingham": "typer",
    "typer": "the command line",
    "typing-extensions": "anyio, pydantic",
    "typing-inspection": "pydantic",
}
HELP_NEEDS = {"modelyard", "modelyard_local", "typer", "annotated_doc", "shellingham"}
HELP_NEEDS |= {"rich", "markdown_it", "mdurl", "pygments", "attr"}  # rich looks whether there is an attr


def closure(name: str, seen: set[str]) -> set[str]:
    """Names of what a package needs, of what that needs, and so on, for this Python on this system."""
    for text in requires(name) or []:
        requirement = Requirement(text)
        needed = canonicalize_name(requirement.name)
        if needed not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(needed)
            closure(needed, seen)
    return seen


def test_nothing_else_is_installed_with_it() -> None:
    assert closure("modelyard", set()) == set(CLOSURE)


def imported_by(program: str) -> set[str]:
    """Packages that are not Python's own."""
    names = "{name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)"
    script = f"import atexit, json, sys\natexit.register(lambda: print(json.dumps(sorted({names})), file=sys.stderr))\n"
    done = subprocess.run([sys.executable, "-c", script + program], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return {name for name in found if not name.startswith(("_", "sitecustomize"))}


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        ("import modelyard", {"modelyard"}),
        ("sys.argv = ['modelyard', '--help']\nfrom modelyard.cli import main\nmain()", HELP_NEEDS),
    ],
    ids=["import modelyard", "modelyard --help"],
)
def test_nothing_is_imported_before_it_is_needed(program: str, allowed: set[str]) -> None:
    found = imported_by(program)
    assert found - allowed == set()
    assert "modelyard" in found
