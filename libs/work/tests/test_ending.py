"""The one table: what ends an attempt, and how its job goes on."""

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.failures import Away, Code, Failure, FailureKind
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.attempts import Counts, Over
from modelyard_store.claims import Lost
from modelyard_store.documents import StoreUnavailable
from modelyard_work.ending import Again, Failed, GivenUp, Policy, ending_of

POLICY = Policy(tries=3, crashes=1)
FRESH = Counts(attempt=1)
AWAY = Failure(FailureKind.UNAVAILABLE, Code("ModelArts.9001"), "no worker answers version.get")
BUSY = Failure(FailureKind.TOO_MANY, Code("ModelArts.9001"), "busy")
BROKEN = Failure(FailureKind.INTERNAL, Code("ModelArts.9000"), "internal error")
REFUSED = Failure(FailureKind.UNPROCESSABLE, Code("ModelArts.3017"), "not a model")
SIGNAL = SubprocessFailed("crashed", "killed by SIGSEGV", -11)


class Asks(Away):
    after = 7.0


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (Lost("somebody else has it"), GivenUp("somebody else has it")),
        (Over("it was stopped"), GivenUp("it was stopped")),
        (Retry("later", after=3), Again("later", after=3)),
        (AWAY, Again("no worker answers version.get", "tries")),
        (BUSY, Again("busy", "tries")),
        (BROKEN, Again("internal error", "tries")),
        (StoreUnavailable("gone"), Again("StoreUnavailable: gone", "tries")),
        (Asks("come again"), Again("Asks: come again", "tries", after=7.0)),
        (KeyError("x"), Again("KeyError: 'x'", "tries")),
        (SIGNAL, Again("killed by SIGSEGV", "crashes")),
        (REFUSED, Failed(REFUSED)),
        (ExceptionGroup("several", [ExceptionGroup("more", [REFUSED]), KeyError()]), Failed(REFUSED)),
    ],
)
def test_a_first_attempt(error: Exception, ending: object) -> None:
    assert ending_of(error, FRESH, POLICY) == ending


@pytest.mark.parametrize("kind", ["timeout", "memory", "refused"])
def test_a_child_that_would_end_so_again_is_not_started_again(kind: str) -> None:
    failed = SubprocessFailed(kind, "too slow", -9)  # type: ignore[arg-type]  # one of the kinds
    assert ending_of(failed, FRESH, POLICY) == Failed(failed)
    raised = SubprocessFailed("crashed", "ValueError: no", 0)
    assert ending_of(raised, FRESH, POLICY) == Failed(raised)


def test_what_would_be_over_its_limit_next_time_ends_now() -> None:
    assert isinstance(ending_of(AWAY, Counts(9, tries=1), POLICY), Again)
    assert ending_of(AWAY, Counts(9, tries=2), POLICY) == Failed(AWAY, tried=3)
    assert ending_of(SIGNAL, Counts(9, crashes=1), POLICY) == Failed(SIGNAL, tried=2)


def test_interruptions_and_deaths_use_up_no_tries() -> None:
    assert isinstance(ending_of(AWAY, Counts(attempt=500, deaths=2, crashes=1), POLICY), Again)


def test_on_the_last_delivery_there_is_no_other() -> None:
    assert ending_of(AWAY, FRESH, POLICY, last=1000) == Failed(AWAY, tried=1000)
    assert ending_of(SIGNAL, FRESH, POLICY, last=1000) == Failed(SIGNAL, tried=1000)
