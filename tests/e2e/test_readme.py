"""README.md and docs/training-events.md work as they are written: their commands are run, in order, by bash."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client
from modelyard_testkit.main_job import trained
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import put

ROOT = Path(__file__).parents[2]
README, TRAINING_EVENTS = ROOT / "README.md", ROOT / "docs/training-events.md"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.servers,
    pytest.mark.skipif(not README.exists(), reason="README.md is not written yet"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="the walk-through needs curl"),
]


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(yard: Yard, tmp_path: Path) -> Path:
    """A folder as the README has it: the stack's `data` and the `sample`."""
    (tmp_path / "data").symlink_to(yard.data)
    subprocess.run(["modelyard", "sample", "sample"], cwd=tmp_path, env=yard.environment(), check=True)
    return tmp_path


def run(script: str, place: Path, environment: dict[str, str]) -> str:
    """Stops at the first command that fails, and shows it."""
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_walk_through_with_curl(yard: Yard, place: Path) -> None:
    steps = blocks(section(README.read_text("utf-8"), "By hand with curl"), "sh")
    assert len(steps) > 5
    said = run("\n".join(steps), place, yard.environment())
    for outcome in (
        r"published$",
        r"succeeded passed [\d.]+$",
        r"'accuracy': 0\.9",
        r"'rank': 1\b",
        r"cannot be deleted",
    ):
        assert re.search(outcome, said, re.MULTILINE), f"{outcome}\n{said}"


def test_commands_of_the_stack_to_stay(yard: Yard, place: Path) -> None:
    (_, commands) = blocks(section(README.read_text("utf-8"), "A stack to stay"), "")
    lines = [line for line in commands.splitlines() if line.startswith("modelyard ") and "events" not in line]
    assert len(lines) > 5
    said = run("\n".join(lines), place, yard.environment())
    assert "openvino-fp16" in said
    (rule,) = blocks(section(README.read_text("utf-8"), "Let training jobs do it"), "")
    assert "nightly" in run(rule, place, yard.environment())


def test_from_python(yard: Yard, place: Path) -> None:
    """One notebook: each block is a cell of it."""
    steps = blocks(section(README.read_text("utf-8"), "From Python"), "python")
    assert len(steps[0].strip().splitlines()) == 4  # three lines, and an empty one between
    told = {"MODELYARD_CACHE": str(place / "cache")}
    checks = "assert version['model_status'] == 'published'; assert abs(scores.sum() - 1) < 1e-4"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*steps, checks])],
        cwd=place,
        env=yard.environment() | told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "'image'" in done.stdout
    assert len(list((place / "cache/models").iterdir())) == 1


@pytest.fixture
def announcing(yard: Yard) -> Iterator[Client]:
    """A client of the project that the examples speak of, with a package where they say that one lies."""
    put(yard, "training", "digits/V001", trained().files)
    with yard.client() as client:
        rule = client.post("import-rules", {"name": "examples", "job_name": "digits-*", "model_name": "announced"})
        yield client
        client.delete(f"import-rules/{rule['rule_id']}")


def test_training_events_in_every_language(yard: Yard, announcing: Client, tmp_path: Path) -> None:
    """They tell of the same run, so that one version comes of it all."""
    text = TRAINING_EVENTS.read_text("utf-8")
    (tmp_path / "connection.json").symlink_to(yard.connection_file)
    (python,) = blocks(section(text, "With Python and nats-py alone"), "python")
    done = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "stored as message" in done.stdout, done.stderr
    details = yard.details
    variables = {"MODELYARD_URL": details["gateway_url"], "MODELYARD_TOKEN": details["token"]}
    (curl,) = blocks(section(text, "Over HTTP"), "sh")
    assert "training_job_id" in run(
        curl.replace("curl -s ", "curl -s --fail "), tmp_path, yard.environment() | variables
    )
    if shutil.which("nats") and shutil.which("jq"):
        (nats,) = blocks(section(text, "With the `nats` tool"), "sh")
        assert "MODELYARD_EVENTS" in run(nats, tmp_path, yard.environment())

    def published() -> dict[str, Any] | None:
        found = announcing.get("models", model_name="announced")
        assert found["total_count"] <= 1
        return found if found["models"] and found["models"][0]["model_status"] == "published" else None

    eventually(published, "the version that the examples tell of")
