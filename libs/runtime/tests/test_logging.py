"""Log entries: one JSON object per line, from us and from libraries, without secrets."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.contextvars import bound_contextvars

from modelyard_runtime.logging import configure
from modelyard_runtime.redaction import redact

PRESIGNED = "http://s3/b/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=AK%2F1&X-Amz-Signature=0af1&partNumber=2"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_entry_has_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    configure("version")
    with bound_contextvars(correlationid="c-1", project="p"):
        structlog.get_logger().info("版本 published", version="1.0.1", size=3)
    (entry,) = entries(capsys)
    assert entry.pop("ts").endswith("Z")
    assert entry == {
        "level": "info", "service": "version", "event": "版本 published", "correlationid": "c-1", "project": "p",
        "version": "1.0.1", "size": 3,
    }  # fmt: skip


def test_bound_service_wins_over_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    configure("local")
    with bound_contextvars(service="convert"):
        structlog.get_logger().warning("a")
    assert entries(capsys)[0]["service"] == "convert"


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure("version")
    with bound_contextvars(correlationid="c-1"):
        logging.getLogger("nats").warning("reconnected to %s", "nats://u:hush@host:4222")
    (entry,) = entries(capsys)
    assert entry["event"] == "reconnected to nats://u:[redacted]@host:4222"
    assert (entry["level"], entry["service"], entry["correlationid"]) == ("warning", "version", "c-1")


def test_level_applies_to_both(capsys: pytest.CaptureFixture[str]) -> None:
    configure("version", "WARNING")
    structlog.get_logger().info("a")
    logging.getLogger("x").info("b")
    assert entries(capsys) == []


def test_exception_is_structured_redacted_and_without_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure("version")
    password = "hush"
    try:
        Path(PRESIGNED).read_text()
    except OSError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    (exception,) = json.loads(text)["exception"]
    assert exception["exc_type"] == "FileNotFoundError"
    assert exception["frames"][0]["name"] == "test_exception_is_structured_redacted_and_without_variables"
    assert "0af1" not in text
    assert password not in text


SECRET_KEYS = "password nats_password secret_key Authorization operator_token api-key set-cookie credentials"


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_secret_keys(key: str) -> None:
    assert redact({"request": {key: "hush"}}) == {"request": {key: "[redacted]"}}


def test_counts_and_flags_under_such_names_stay() -> None:
    harmless = {"tokens": 3, "has_password": True, "secret": None}
    assert redact(harmless) == harmless


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            PRESIGNED,
            "http://s3/b/k?X-Amz-Algorithm=AWS4&X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&partNumber=2",
        ),
        ("mongodb://u:hush@db:27017/?x=1", "mongodb://u:[redacted]@db:27017/?x=1"),
        ("Authorization: Bearer abcdefgh.ijkl-mnop", "Authorization: Bearer [redacted]"),
        ("/v1/x?access_token=hush&a=1", "/v1/x?access_token=[redacted]&a=1"),
        ("a basic problem, http://host:80/path@2", "a basic problem, http://host:80/path@2"),
    ],
)
def test_secret_texts(text: str, kept: str) -> None:
    assert redact(text) == kept
    assert redact([{"x": (text,)}]) == [{"x": [kept]}]


def test_anything_can_be_logged() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert redact({"secret": SecretStr("hush"), "value": SecretStr("hush"), "set": {1}, b"k": 1}) == {
        "secret": "[redacted]", "value": "**********", "set": [1], "b'k'": 1,
    }  # fmt: skip
    assert "<list>" in json.dumps(redact(loop))
