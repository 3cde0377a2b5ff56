import asyncio

import nats.errors
import pytest

from modelyard_bus.errors import PublishFailed
from modelyard_bus.settle import Ending, Reject, Retry, Verdict, decide, settle, spent
from modelyard_contracts import catalogue, codes
from modelyard_contracts.failures import Away, Failure, FailureKind, NotStorable

LIMITS = catalogue.Retry(max_deliver=3, ack_wait=10, first_delay=1, max_delay=5)
MIDDLE = 0.5  # of the jitter: exactly the nominal delay


class Message:
    """Records what was done to it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done: list[str] = []
        self._error = error

    async def _do(self, what: str) -> None:
        if self._error:
            raise self._error
        self.done.append(what)

    async def ack(self) -> None:
        await self._do("ack")

    async def nak(self, delay: float | None = None) -> None:
        await self._do(f"nak {delay}")

    async def term(self) -> None:
        await self._do("term")

    async def bury(self, reason: str) -> None:
        self.done.append(f"bury {reason}")


def test_a_handler_that_returns_acks() -> None:
    assert decide(None, 1, LIMITS, MIDDLE) == Verdict(Ending.ACKED)


def test_reject_is_dead_at_the_first_attempt() -> None:
    assert decide(Reject("no such model"), 1, LIMITS, MIDDLE) == Verdict(Ending.DEAD, reason="no such model")


def test_a_document_that_cannot_be_stored_is_dead_at_the_first_attempt() -> None:
    error = NotStorable(FailureKind.INVALID, codes.PARAMETER_INVALID, "versions: labels.0: U+0000 cannot be stored")
    assert decide(error, 1, LIMITS, MIDDLE) == Verdict(Ending.DEAD, reason=error.message)


@pytest.mark.parametrize("error", [Retry("store away"), RuntimeError("store away")])
def test_retry_and_unknown_exceptions_wait_longer_each_time(error: Exception) -> None:
    limits = catalogue.Retry(max_deliver=100, ack_wait=10, first_delay=1, max_delay=5)
    delays = [decide(error, attempt, limits, MIDDLE).delay for attempt in (1, 2, 3, 4, 99)]
    assert delays == [1, 2, 4, 5, 5]


def test_jitter_spreads_the_delay_by_a_fifth() -> None:
    assert decide(Retry(), 1, LIMITS, 0).delay == pytest.approx(0.8)
    assert decide(Retry(), 1, LIMITS, 0.999).delay == pytest.approx(1.2, abs=0.01)


def test_retry_after_overrides_the_delay_but_not_the_limit() -> None:
    assert decide(Retry(after=0), 1, LIMITS, MIDDLE).delay == 0
    assert decide(Retry(after=17), 2, LIMITS, MIDDLE).delay == 17
    assert decide(Retry(after=17), 3, LIMITS, MIDDLE).ending is Ending.DEAD


def test_the_last_attempt_that_fails_is_dead_and_says_why() -> None:
    verdict = decide(RuntimeError("boom"), 3, LIMITS, MIDDLE)
    assert verdict.ending is Ending.DEAD
    assert verdict.reason == "3 attempts used up; RuntimeError: boom"


def test_the_last_attempt_that_is_interrupted_is_not_dead() -> None:
    assert decide(asyncio.CancelledError(), 3, LIMITS, MIDDLE).ending is Ending.INTERRUPTED


def test_reasons_stay_short_enough_for_a_header() -> None:
    assert len(decide(Reject("x" * 5000), 1, LIMITS, MIDDLE).reason) == 400
    assert len(decide(RuntimeError("x" * 5000), 3, LIMITS, MIDDLE).reason) < 450


def test_a_message_that_is_never_settled_is_not_handled_for_ever() -> None:
    assert spent(50 * LIMITS.max_deliver, LIMITS) is None
    verdict = spent(50 * LIMITS.max_deliver + 1, LIMITS)
    assert verdict is not None
    assert verdict.ending is Ending.DEAD
    assert "never settled" in verdict.reason


def waited_for(cause: Exception) -> Retry:
    waiting = Retry("later")
    waiting.__cause__ = cause
    return waiting


@pytest.mark.parametrize(
    "error",
    [
        Away("the store"),
        Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, "the service"),
        waited_for(Failure(FailureKind.TOO_MANY, codes.NO_ANSWER, "it is busy")),
    ],
)
def test_while_somebody_is_away_no_attempt_is_the_last(error: Exception) -> None:
    assert decide(error, 1000, LIMITS, MIDDLE) == Verdict(Ending.RETRIED, 5, f"{type(error).__name__}: {error}")


def test_a_refusal_is_no_absence() -> None:
    refusal = Failure(FailureKind.INVALID, codes.MALFORMED, "no")
    assert decide(waited_for(refusal), 3, LIMITS, MIDDLE).ending is Ending.DEAD


async def test_settling_does_what_was_decided() -> None:
    for verdict, done in (
        (Verdict(Ending.ACKED), ["ack"]),
        (Verdict(Ending.RETRIED, 2.5), ["nak 2.5"]),
        (Verdict(Ending.INTERRUPTED, 0.1), ["nak 0.1"]),
        (Verdict(Ending.DEAD, reason="why"), ["bury why", "term"]),
    ):
        message = Message()
        assert await settle(message, verdict, message.bury) is verdict.ending
        assert message.done == done


async def test_without_a_stored_copy_nothing_is_terminated() -> None:
    async def full(reason: str) -> None:
        raise PublishFailed("disk full")

    message = Message()
    assert await settle(message, Verdict(Ending.DEAD, 7, "why"), full) is Ending.RETRIED
    assert message.done == ["nak 7"]


async def test_a_connection_lost_while_settling_leaves_it_to_the_next_delivery() -> None:
    message = Message(nats.errors.ConnectionClosedError())
    assert await settle(message, Verdict(Ending.ACKED), message.bury) is Ending.INTERRUPTED
