"""What verifications and audits have in common: how they start, are looked up, and say how far they are and failed."""

from collections.abc import Callable
from typing import Final

from modelyard_contracts.calls.repeats import KeyReused
from modelyard_contracts.failures import Failure
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.attempts import Attempts
from modelyard_store.documents import Duplicate
from modelyard_version.domain.checks import CheckT, ended, running
from modelyard_version.errors import NotFound
from modelyard_work.ending import Policy
from modelyard_work.long_work import LongWork

POLICY: Final = Policy()


class Checking(LongWork[CheckT]):
    """One delivery of a verification's or an audit's job."""

    name = "version"
    doing = "they checked it"

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now

    def begin(self, value: CheckT) -> Outcome[CheckT]:
        return Outcome(running(value))

    def failed(self, value: CheckT, failure: Failure) -> Outcome[CheckT]:
        return Outcome(ended(value, self._now(), failure.message[:2000]))


async def started(checks: Attempts[CheckT], asked: Outcome[CheckT], alike: Callable[[CheckT], bool]) -> CheckT:
    """The check with its job, or what the same idempotency key made before. Raises KeyReused unless that is `alike`."""
    check = asked.value
    try:
        await checks.add(check.project, check.id, asked, Cause(check.correlationid))
    except Duplicate:
        made = await checks.get(check.project, check.id)
        if made is None or not alike(made):
            raise KeyReused from None
        return made
    return check


async def known(checks: Attempts[CheckT], project: str, what: str, identifier: str) -> CheckT:
    """Raises NotFound."""
    check = await checks.get(project, identifier)
    if check is None:
        raise NotFound(what, identifier, f"{what}_id")
    return check
