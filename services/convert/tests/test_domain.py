"""The life of a conversion, without anything around it."""

from dataclasses import replace
from typing import Any

from modelyard_contracts.catalogue import CONVERT_ONNX
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import ConversionOrder
from modelyard_convert import domain
from modelyard_convert.domain import LOG_KEPT, Conversion
from modelyard_convert.errors import VersionGone

WAITING = Conversion(
    conversion_id="c",
    project="mine",
    model_id="m",
    model_name="digits",
    model_version="0.0.1",
    name="digits-onnx-fp16",
    description="",
    order=ConversionOrder(target="onnx-fp16"),
    toolchain="onnx",
    origin="request",
    created_at=1,
    correlationid="r",
)


def claimed(attempt: int = 1) -> Conversion:
    return replace(WAITING, attempt=attempt)


def running(attempt: int = 1) -> Conversion:
    return domain.begun(claimed(attempt)).value


def said(outcome: Outcome[Conversion]) -> list[str]:
    return [message.subject.split("modelyard.")[1] for message, _ in outcome.says]


def test_a_new_one_is_told_with_its_job() -> None:
    assert said(domain.created(WAITING, CONVERT_ONNX)) == ["evt.conversion.created.v1", "job.convert.onnx"]
    assert domain.why_kept(WAITING) == "it is initialising; only finished conversions can be deleted"


def test_an_attempt_begins() -> None:
    outcome = domain.begun(claimed(2))
    assert (outcome.value.state, outcome.value.attempt) == ("running", 2)
    assert outcome.value.log == "attempt 2: digits 0.0.1 to onnx-fp16\n"
    assert said(outcome) == ["evt.conversion.started.v1"]


def test_progress_is_kept_until_the_next_step() -> None:
    first = domain.reported(running(), ["==> timing"], "timing")
    assert domain.reported(first, ["a line"], None).progress == "timing"


def test_a_finished_one_may_go() -> None:
    assert domain.why_kept(domain.failed(running(), VersionGone(), now=3).value) is None


def test_the_log_keeps_its_end_and_offsets_go_on() -> None:
    seen = running()
    offset = domain.log_piece(seen, 0).next_offset
    grown = domain.reported(seen, ["x" * 1000] * 100, None)
    assert len(grown.log) == LOG_KEPT
    piece = domain.log_piece(grown, offset)
    assert piece.text.startswith(f"[{grown.log_start - offset} characters are not kept here]\n")
    assert piece.next_offset == offset + 100 * 1001
    assert domain.log_piece(grown, piece.next_offset).text == ""
    done = domain.failed(grown, VersionGone(), now=3).value
    last = domain.log_piece(done, piece.next_offset)
    assert (last.text, last.complete) == ("failed: ModelArts.3062 the version was deleted\n", True)


def test_every_attempt_writes_somewhere_else() -> None:
    places: list[Any] = [domain.output_location(WAITING, attempt, "artifacts").prefix for attempt in (1, 2)]
    assert places[0] != places[1]
    assert all(place.startswith("mine/models/m/variants/") for place in places)
