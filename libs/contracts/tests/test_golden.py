"""Every message has a producer and a consumer; every message and call a golden example that must decode for ever."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from modelyard_contracts.calls import Call
from modelyard_contracts.calls.every import ALL_CALLS, carried
from modelyard_contracts.catalogue import ALL_EVENTS, ALL_JOBS, SERVICES, TRAINING_JOB, Event, Job
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.generate import GOLDEN, generated_files, golden_path

MESSAGES: list[Event[Any] | Job[Any]] = [*ALL_EVENTS, *ALL_JOBS]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.subject)
def test_golden_example_decodes_without_losing_anything(message: Event[BaseModel] | Job[BaseModel]) -> None:
    raw = json.loads(golden_path(message).read_text("utf-8"))
    envelope = Envelope.model_validate(raw)
    assert envelope.type == message.subject
    _decodes(raw["data"], message.data)


@pytest.mark.parametrize("call", ALL_CALLS, ids=lambda call: call.subject)
def test_golden_example_of_a_call_decodes_without_losing_anything(call: Call[Any, Any]) -> None:
    raw = json.loads(golden_path(call).read_text("utf-8"))
    assert set(raw) == set(carried(call))
    for part, shape in carried(call).items():
        _decodes(raw[part], shape)


def _decodes(raw: object, shape: type[BaseModel]) -> None:
    again = json.loads(shape.model_validate(raw).model_dump_json())
    assert _within(raw, again), "a field of the golden example was dropped or changed"


def _within(small: object, large: object) -> bool:
    if isinstance(small, dict) and isinstance(large, dict):
        return all(key in large and _within(value, large[key]) for key, value in small.items())
    if isinstance(small, list) and isinstance(large, list):
        return len(small) == len(large) and all(map(_within, small, large))
    return small == large


def test_no_golden_example_outlives_its_message_or_call() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{said.subject}.json" for said in (*MESSAGES, *ALL_CALLS)}


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.subject)
def test_every_event_is_said_and_heard(event: Event[BaseModel]) -> None:
    assert event.producer in (*SERVICES, TRAINING_JOB)
    assert event.consumers
    assert set(event.consumers) <= set(SERVICES)


def test_subjects_are_unique() -> None:
    subjects = [said.subject for said in (*MESSAGES, *ALL_CALLS)]
    assert len(set(subjects)) == len(subjects)


def test_an_envelope_without_project_is_refused() -> None:
    with pytest.raises(ValidationError, match="project"):
        Envelope.model_validate({"source": "a", "type": "b", "subject": "c", "data": {}})


def test_generated_files_hold_every_message_and_call() -> None:
    files = generated_files()
    assert all(f"schemas/{message.subject}.json" in files for message in MESSAGES)
    assert all(message.subject in files["asyncapi.json"] for message in MESSAGES)
    for call in ALL_CALLS:
        described = json.loads(files[f"schemas/modelyard.rpc.{call.service}.json"])["properties"][call.subject]
        assert set(described["properties"]) == set(carried(call))
