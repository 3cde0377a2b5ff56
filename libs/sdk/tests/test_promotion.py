"""A version goes to another project: which token goes where, what is said of the copy, and whom it is shown to."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client, Connection, ConnectionNotFound, NotUsable
from modelyard_contracts.shapes import PromotionSource

from .conftest import TOKEN, Scripted
from .gateway_replies import CREATED, MODEL, model, uid

THEIRS = "their-token"
COPY = uid(77)
PROMOTION = {"project": "p1", "model_id": MODEL}


@pytest.fixture
def target(yard: Scripted, tmp_path: Path) -> Path:
    """The connection.json of another project of the same gateway."""
    yard.on("POST p2/models", CREATED.model_copy(update={"model_id": COPY}))
    source = PromotionSource(**PROMOTION, model_name="digits", model_version="0.0.1")
    copy = {"model_id": COPY, "project": "p2", "source": source}
    states = ("publishing", "published")
    yard.on(f"GET p2/models/{COPY}", *(model().model_copy(update={**copy, "model_status": each}) for each in states))
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"gateway_url": yard.url, "token": THEIRS, "project": "p2"}), "utf-8")
    return file


def sent(yard: Scripted) -> tuple[str, Any, str, str | None]:
    asked = yard.last("POST")
    return asked.path, asked.body, asked.headers["authorization"], asked.headers.get("x-source-token")


def test_it_is_asked_for_there_with_both_tokens(client: Client, yard: Scripted, target: Path) -> None:
    connection = Connection(yard.url, THEIRS, "p2")
    with Client(connection) as other:
        for to in (target, str(target), connection, other):
            made = client.models.promote("digits@champion", to, labels=[])
            assert made["model_id"] == COPY
            body = {"model_name": "digits", "labels": [], "promotion": PROMOTION}
            assert sent(yard) == ("p2/models", body, f"Bearer {THEIRS}", TOKEN)
        assert other.imports.wait(made["model_id"])["project"] == "p2", "a client that was given stays open"


def test_a_copy_in_the_same_project_needs_one_token(client: Client, yard: Scripted) -> None:
    client.models.copy("digits:0.0.1", "digits-eu", model_version="1.0.0")
    body = {"model_name": "digits-eu", "model_version": "1.0.0", "promotion": PROMOTION}
    assert sent(yard) == ("models", body, f"Bearer {TOKEN}", None)


def test_no_token_goes_to_another_yard(client: Client, yard: Scripted, tmp_path: Path) -> None:
    elsewhere = replace(client.connection, url="http://127.0.0.1:9", project="p2")
    with pytest.raises(NotUsable, match="download it and import it"):
        client.models.promote("digits", elsewhere)
    with pytest.raises(ConnectionNotFound):
        client.models.promote("digits", tmp_path / "nothing.json")
    assert "POST" not in {asked.method for asked in yard.asked}


def test_the_command_waits_there_and_shows_the_copy(
    yard: Scripted, run: Callable[..., Any], target: Path, no_pauses: list[float]
) -> None:
    words = ("models", "promote", "digits@champion", "--to-connection", str(target))
    ended = run(*words, "--name", "digits-eu", "--version", "1.0.0", "--description", "", "--doc", "card=https://x.org")
    assert ended.code == 0, ended.err
    assert "digits 0.0.1 of project p1" in " ".join(ended.out.split())
    assert sent(yard) == (
        "p2/models",
        {
            "model_name": "digits-eu",
            "model_version": "1.0.0",
            "description": "",
            "model_docs": [{"doc_name": "card", "doc_url": "https://x.org"}],
            "promotion": PROMOTION,
        },
        f"Bearer {THEIRS}",
        TOKEN,
    )
    assert run(*words, "--json").json["model_id"] == COPY
    yard.on(f"GET p2/models/{COPY}", model().model_copy(update={"model_id": COPY, "model_status": "publishing"}))
    assert run(*words, "--json", "--no-wait").json["model_status"] == "publishing"
    assert TOKEN not in ended.out + ended.err


def test_the_project_of_the_environment_is_not_that_of_the_file(
    yard: Scripted, run: Callable[..., Any], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_PROJECT", "p1")
    run("models", "promote", "digits", "--to-connection", str(target), "--no-wait")
    assert yard.last("POST").path == "p2/models"
