"""How a delivered message ends: the one decision, and the one place that carries it out. Called by `consume` only."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

import nats.errors
import structlog

from modelyard_bus.errors import PublishFailed
from modelyard_contracts import catalogue
from modelyard_contracts.failures import Away, Failure, FailureKind, NotStorable

log = structlog.get_logger()

INTERRUPTED_DELAY: Final = 0.1
JITTER: Final = 0.2
MAX_REASON: Final = 400
MOST_DELIVERIES: Final = 50
"""Times `max_deliver`."""
_ABSENT: Final = (FailureKind.UNAVAILABLE, FailureKind.TOO_MANY)


class Retry(Exception):
    """Not now. `after` in seconds overrides the catalogue's growing delay; it counts as an attempt all the same."""

    def __init__(self, reason: str = "", *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Reject(Exception):
    """Never: the message goes to the dead letters at once."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Ending(Enum):
    ACKED = "acked"
    RETRIED = "retried"
    DEAD = "dead"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`delay` in seconds until the next delivery, `reason` for the log and the dead letter."""

    ending: Ending
    delay: float = 0
    reason: str = ""


class Delivered(Protocol):
    """The part of a JetStream message that settling needs (`nats.aio.msg.Msg`)."""

    async def ack(self) -> None: ...
    async def nak(self, delay: float | None = None) -> None: ...
    async def term(self) -> None: ...


def decide(outcome: BaseException | None, delivered: int, retry: catalogue.Retry, chance: float) -> Verdict:
    """`outcome` is what the handler raised, `delivered` counts from 1, `chance` is in [0, 1)."""
    if outcome is None:
        return Verdict(Ending.ACKED)
    if isinstance(outcome, Reject | NotStorable):  # what cannot be stored cannot be stored later either
        return Verdict(Ending.DEAD, reason=str(outcome)[:MAX_REASON])
    if isinstance(outcome, asyncio.CancelledError):
        return Verdict(Ending.INTERRUPTED, INTERRUPTED_DELAY, "the service stops")
    reason = f"{type(outcome).__name__}: {outcome}"[:MAX_REASON]
    if delivered >= retry.max_deliver and not _somebody_is_away(outcome):
        return Verdict(Ending.DEAD, _delay(delivered, retry, chance), f"{delivered} attempts used up; {reason}")
    after = outcome.after if isinstance(outcome, Retry) else None
    return Verdict(Ending.RETRIED, _delay(delivered, retry, chance) if after is None else after, reason)


def spent(delivered: int, retry: catalogue.Retry) -> Verdict | None:
    """Asked before the handler runs. So many deliveries are more than an outage of days makes: the handler kills its
    process, or hangs. Another run could do the same for ever."""
    if delivered <= MOST_DELIVERIES * retry.max_deliver:
        return None
    return Verdict(Ending.DEAD, retry.max_delay, f"delivered {delivered - 1} times; it was never settled")


async def settle(message: Delivered, verdict: Verdict, bury: Callable[[str], Awaitable[None]]) -> Ending:
    """Carries the verdict out and says how it really ended. `bury` copies to the dead letters and returns once that
    copy is stored: `term` deletes a job, so without the copy the message is tried again instead."""
    try:
        if verdict.ending is Ending.ACKED:
            await message.ack()
        elif verdict.ending is Ending.DEAD:
            await bury(verdict.reason)
            await message.term()
        else:
            await message.nak(delay=verdict.delay)
    except PublishFailed as error:
        log.warning("dead_letter_not_stored", reason=verdict.reason, error=str(error))
        return await settle(message, Verdict(Ending.RETRIED, verdict.delay or 1.0, verdict.reason), bury)
    except nats.errors.Error as error:
        log.warning("settling_lost", ending=verdict.ending.value, error=str(error))  # delivered again after ack_wait
        return Ending.INTERRUPTED
    return verdict.ending


def _somebody_is_away(outcome: BaseException) -> bool:
    """No fault of the message: it waits for as long as that takes."""
    return any(
        isinstance(error, Away) or (isinstance(error, Failure) and error.kind in _ABSENT)
        for error in (outcome, outcome.__cause__)
    )


def _delay(delivered: int, retry: catalogue.Retry, chance: float) -> float:
    doubled = min(retry.max_delay, retry.first_delay * 2.0 ** (min(delivered, 60) - 1))
    return doubled * (1 - JITTER + 2 * JITTER * chance)
