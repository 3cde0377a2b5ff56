"""The import service killed in mid-copy, and between its commit and the publication of what it committed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client
from modelyard_testkit.main_job import fact_of
from modelyard_testkit.models import digits_config, package, random_model
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import (
    dead_letters,
    events,
    keys,
    pending_outbox,
    process_of,
    stray_keys,
    unsettled,
    upload,
)

from .killing import back, held, kill

pytestmark = [pytest.mark.fault]

MEGABYTES = 240


@pytest.fixture(scope="session")
def large(stack: Yard, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a model lies that takes a while to copy and to hash."""

    def build(path: Path) -> Path:
        return random_model(path, megabytes=MEGABYTES)

    config = digits_config(preprocessing=None, labels=None, outputs=None)
    root = package(tmp_path_factory.mktemp("large"), build, config=config)
    return upload(stack, "training", "large", root)


@pytest.fixture
def client(yard: Yard, request: pytest.FixtureRequest) -> Iterator[Client]:
    with yard.project(request.node.name.removeprefix("test_").replace("_", "-")[:60]) as made:
        yield made


def begin(client: Client, large: str) -> str:
    made = client.post("models", {"model_name": "large", "source_location": large})
    return str(made["model_id"])


def copying(yard: Yard, client: Client) -> bool:
    return bool(keys(yard, "artifacts", f"{client.connection.project}/models/"))


def published(client: Client, model_id: str) -> dict[str, Any] | None:
    model = client.get(f"models/{model_id}")
    assert model["model_status"] != "failed", model["failure"]
    return model if model["model_status"] == "published" else None


def judge(yard: Yard, client: Client, model: dict[str, Any]) -> None:
    """One version, whole; everything said once; nothing lies about."""
    eventually(lambda: unsettled(yard) == 0 and not pending_outbox(yard), "an idle yard")
    project = client.connection.project
    assert client.get("models")["total_count"] == 1
    named = {file["path"] for file in model["artifacts"][0]["files"]}
    assert named == {"model/config.json", "model/model.onnx"}
    assert stray_keys(yard, project, [model]) == set()
    assert len(keys(yard, "artifacts", f"{project}/models/")) == len(named)
    facts = Counter(fact_of(event) for event in events(yard, project))
    assert facts == {"version.requested": 1, "import.started": 1, "import.succeeded": 1, "version.published": 1}
    assert dead_letters(yard) == ()


def test_killed_in_mid_copy(yard: Yard, client: Client, large: str, tmp_path: Path) -> None:
    model_id = begin(client, large)
    eventually(lambda: copying(yard, client), "the first object in the version's folder", pause=0)
    was = process_of(yard, "import").pid
    kill(yard, "import")
    assert client.get(f"models/{model_id}")["model_status"] == "publishing", "killed too late"
    back(yard, "import", was)
    model = eventually(lambda: published(client, model_id), "the import's second attempt")
    story = client.get(f"models/{model_id}/import")
    assert (story["state"], story["attempt"]) == ("succeeded", 2)
    assert any("again, attempt 2" in line for line in story["log"])
    judge(yard, client, model)
    yard.json("models", "download", model_id, "--to", str(tmp_path), client=client)  # verifies every digest


def test_store_killed_in_mid_copy(yard: Yard, client: Client, large: str, tmp_path: Path) -> None:
    model_id = begin(client, large)
    eventually(lambda: copying(yard, client), "the first object in the version's folder", pause=0)
    was = process_of(yard, "s3").pid
    kill(yard, "s3")
    assert client.get(f"models/{model_id}")["model_status"] == "publishing", "killed too late"
    back(yard, "s3", was)
    model = eventually(lambda: published(client, model_id), "the import")
    judge(yard, client, model)
    yard.json("models", "download", model_id, "--to", str(tmp_path), client=client)


def test_killed_between_commit_and_publish(yard: Yard, client: Client, large: str) -> None:
    """The broker does not answer while the import ends: its success is committed, and only there."""
    model_id = begin(client, large)
    eventually(lambda: copying(yard, client), "the first object in the version's folder", pause=0)
    was = process_of(yard, "import").pid
    with held(yard, "nats"):
        waiting = eventually(lambda: pending_outbox(yard), "a committed message that cannot be sent")
        assert waiting == {"import.imports": 1}
        kill(yard, "import")
        assert pending_outbox(yard) == waiting, "it survives in the document"
    back(yard, "import", was)
    model = eventually(lambda: published(client, model_id), "what was committed, told")
    yard.wait_ready()
    assert client.get(f"models/{model_id}/import")["attempt"] == 1, "nothing was done again"
    judge(yard, client, model)
