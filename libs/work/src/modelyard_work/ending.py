"""Every way in which an attempt can end, and how its job goes on: the one table. Pure; carried out by `long_job`.

It looks ahead: what would be over its limit next time ends now, while there is somebody to write that down.
"""

from dataclasses import dataclass

from modelyard_bus.consume import Retry
from modelyard_contracts.failures import Failure, is_away
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.attempts import Counts, Over
from modelyard_store.claims import Lost, Trouble


@dataclass(frozen=True, slots=True)
class Policy:
    """What is forgiven, and how often: `tries` that end because somebody is away or by surprise, `crashes` of a native
    library (one that crashed twice will crash again), `deaths` of workers. An interruption always is.

    `lease_ms` is shorter than the job's `ack_wait`, so that a dead worker's lease is over when its job is delivered
    again, and outlasts several beats. For `patience` seconds an attempt waits for whoever is away before it gives up
    what it has.
    """

    tries: int = 12
    crashes: int = 1
    deaths: int = 2
    lease_ms: int = 8_000
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt follows, after as many seconds or when the queue says; this one counts as `trouble`."""

    reason: str
    trouble: Trouble | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It ends, for this error, at the attempt that was the `tried`-th of its kind."""

    error: Exception
    tried: int = 1


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The work belongs to somebody else now, or has ended: what this attempt made is thrown away."""

    reason: str


Ending = Again | Failed | GivenUp


class WorkersDied(Exception):
    """The job is given up because it takes its workers with it."""

    def __init__(self, deaths: int) -> None:
        super().__init__(f"{deaths} workers died")
        self.deaths = deaths


def ending_of(error: Exception, counts: Counts, policy: Policy, *, last: int = 0) -> Ending:
    """`error` is what ended the attempt, `counts` are those before it. `last`: the number of this delivery, when there
    will be no other."""
    error = first_of(error)
    match error:
        case Lost() | Over():
            return GivenUp(str(error))
        case Retry():
            return Again(str(error), after=error.after)
        case SubprocessFailed(kind="crashed", code=int(code)) if code < 0:  # a signal; an exception would come again
            return _forgiven(error, "crashes", counts.crashes, policy.crashes, last=last)
        case SubprocessFailed():
            return Failed(error)
        case Failure() if not is_away(error):
            return Failed(error)
    return _forgiven(error, "tries", counts.tries, policy.tries - 1, last=last)


def first_of(error: Exception) -> Exception:
    """What a group of tasks met first; any other error as it is."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _forgiven(error: Exception, trouble: Trouble, before: int, forgiven: int, *, last: int) -> Ending:
    if before >= forgiven or last:
        return Failed(error, max(before + 1, last))
    after = getattr(error, "after", None)
    return Again(_reason(error), trouble, after)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Failure | SubprocessFailed) else f"{type(error).__name__}: {error}"
