"""One delivery of a long job: take the document, work in a folder of its own while the lease is kept, end it once.

Services bind `LongJob.run` in their job handlers. Kills, redeliveries and late workers are harmless because of the
claim in the document (docs/adr/0010); how each ending goes on is decided in `ending`.
"""

import asyncio
import errno
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, current_delivery, handling
from modelyard_contracts import codes
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Away, Failure, FailureKind, NotStorable
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_runtime.scratch import scratch_folder, sweep
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import Attempts, Counts, Over, Ready, Taken
from modelyard_store.claims import Held, Lost, Trouble
from modelyard_store.documents import StoreUnavailable
from modelyard_work.ending import Again, Failed, GivenUp, Policy, WorkersDied, ending_of
from modelyard_work.held import while_held
from modelyard_work.long_work import Attempt, LongWork
from modelyard_work.turns import Turns

ValueT = TypeVar("ValueT")
BEAT_SECONDS: Final = 1.0
LETTING_GO_SECONDS: Final = 2.0
MOST_PAUSE_SECONDS: Final = 60
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES})

log = structlog.get_logger()


class LongJob(Generic[ValueT]):
    def __init__(
        self,
        attempts: Attempts[ValueT],
        make: Callable[[], LongWork[ValueT]],
        policy: Policy,
        work_dir: Path | None = None,
    ) -> None:
        """`make` is called for every delivery. Scratch folders lie in `work_dir`, or where temporary files do."""
        self._attempts = attempts
        self._make = make
        self._policy = policy
        self._work_dir = work_dir or Path(tempfile.gettempdir())
        self._unsaid: dict[str, tuple[Taken[ValueT], Trouble | None]] = {}
        self._turns = Turns(attempts)

    async def start(self) -> None:
        """Before the first delivery: remove what killed workers left."""
        await asyncio.to_thread(sweep, self._work_dir, self._make().name)

    async def run(self, envelope: Envelope, identifier: str) -> None:
        """After what others wait for before it (`turns`). Raises Retry when another worker holds the document, or
        another attempt shall follow."""
        passed = {envelope.project}
        while other := await self._turns.next(envelope.type, passed):
            await self._out_of_turn(envelope, other)
        self._turns.served(envelope.type, envelope.project)
        try:
            await self._serve(envelope.project, identifier, Cause.of(envelope))
        except Held as held:  # out of turn, perhaps, and its job that waited stands here
            if other := await self._turns.next(envelope.type, set()):
                await self._out_of_turn(envelope, other)
            raise Retry(str(held), after=self._pause(held)) from held

    def _pause(self, held: Held) -> float:
        """Seconds, more with every delivery: work that takes long must not use them all up."""
        delivery = current_delivery()
        growing = min(delivery.attempt, MOST_PAUSE_SECONDS) if delivery else 0
        return max(0.1, (held.until - self._attempts.now()) / 1000, growing)

    async def _out_of_turn(self, envelope: Envelope, ready: Ready) -> None:
        """Whatever becomes of it, nothing is lost: its own job comes, and finds it ended, held or waiting."""
        log.info("out_of_turn", document=ready.identifier, other=ready.project)
        about = Envelope(
            source=envelope.source,
            type=envelope.type,
            subject=ready.identifier,
            project=ready.project,
            correlationid=ready.correlationid,
            data={},
        )
        cause = Cause(ready.correlationid, by=Cause.of(envelope).by)
        with handling(Delivery(about, attempt=1, last=False), envelope.type):
            try:
                await self._serve(ready.project, ready.identifier, cause)
            except (Held, Retry) as error:
                log.info("put_off", reason=str(error))
            except Exception:  # one that cannot be read must not keep the others from being served
                log.exception("put_off_for_long")
                await self._attempts.put_off(ready.identifier)

    async def _serve(self, project: str, identifier: str, cause: Cause) -> None:
        """Raises Held, and Retry when another attempt shall follow."""
        work = self._make()
        taken = await self._take(work, identifier, cause)
        if taken is None or taken.over:
            await self._look_after(work, project, identifier)
            return
        with scratch_folder(self._work_dir, work.name) as folder:
            attempt = Attempt(taken, folder, self._attempts, self._policy.patience)
            try:
                await self._attempt(work, attempt, cause)
            except asyncio.CancelledError:
                await asyncio.shield(self._let_go(work, attempt, Again("the worker stops")))
                raise

    async def _take(self, work: LongWork[ValueT], identifier: str, cause: Cause) -> Taken[ValueT] | None:
        def begin(value: ValueT, counts: Counts) -> Outcome[ValueT]:
            if counts.deaths > self._policy.deaths:
                return work.failed(value, _failure_of(work, Failed(WorkersDied(counts.deaths))))
            return work.begin(value)

        try:
            await self._say_unsaid(identifier)
            return await self._attempts.take(identifier, begin, cause, self._policy.lease_ms)
        except StoreUnavailable as error:
            raise Retry(str(error)) from error

    async def _look_after(self, work: LongWork[ValueT], project: str, identifier: str) -> None:
        """A worker may have died between the end and the tidying up."""
        known = await self._attempts.get(project, identifier)
        if known is not None:
            await work.ended(known)

    async def _attempt(self, work: LongWork[ValueT], attempt: Attempt[ValueT], cause: Cause) -> None:
        try:
            decide = await while_held(work.run(attempt), lambda: self._beat(work, attempt), BEAT_SECONDS)
            await self._finish(work, attempt, _with_progress(work, decide), cause)
        except Exception as error:  # noqa: BLE001 - whatever ended it, the document must say so
            await self._end(work, attempt, error, cause)

    async def _beat(self, work: LongWork[ValueT], attempt: Attempt[ValueT]) -> None:
        await work.beat()
        progress = work.progress()
        change = (lambda value: Outcome(progress.change(value))) if progress else _unchanged
        await self._attempts.report(attempt.taken, change, self._policy.lease_ms)
        if progress:
            progress.saved()

    async def _finish(
        self, work: LongWork[ValueT], attempt: Attempt[ValueT], decide: Decide[ValueT], cause: Cause
    ) -> None:
        done = await attempt.patiently(lambda: self._attempts.finish(attempt.taken, decide, cause))
        await work.ended(done)

    async def _end(self, work: LongWork[ValueT], attempt: Attempt[ValueT], error: Exception, cause: Cause) -> None:
        match ending_of(error, attempt.taken.counts, self._policy, last=_last_delivery()):
            case GivenUp(reason):
                log.info("attempt_given_up", document=attempt.taken.identifier, reason=reason)
                await work.discard(attempt)
            case Again() as again:
                await self._let_go(work, attempt, again)
                raise Retry(again.reason, after=again.after) from error
            case Failed() as failed:
                await self._fail(work, attempt, failed, cause)

    async def _fail(self, work: LongWork[ValueT], attempt: Attempt[ValueT], failed: Failed, cause: Cause) -> None:
        failure = _failure_of(work, failed)
        if failure is not failed.error:
            log.error("work_failed", document=attempt.taken.identifier, exc_info=failed.error)
        try:
            await self._finish_failed(work, attempt, lambda value: work.failed(value, failure), cause)
        except (Lost, Over) as lost:
            log.info("attempt_given_up", document=attempt.taken.identifier, reason=str(lost))
            await work.discard(attempt)
        except StoreUnavailable as error:  # nothing is removed: an end may have been saved
            raise Retry(str(error)) from error

    async def _finish_failed(
        self, work: LongWork[ValueT], attempt: Attempt[ValueT], decide: Decide[ValueT], cause: Cause
    ) -> None:
        """Without what the document has not been told yet, where that is what cannot be stored."""
        try:
            await self._finish(work, attempt, _with_progress(work, decide), cause)
        except NotStorable:
            await self._finish(work, attempt, decide, cause)

    async def _let_go(self, work: LongWork[ValueT], attempt: Attempt[ValueT], again: Again) -> None:
        """So that the next attempt need not wait for the lease, and nobody takes this one for dead."""
        decide = _with_progress(work, lambda value: work.let_go(value, again.reason))
        try:
            async with asyncio.timeout(LETTING_GO_SECONDS):
                await self._attempts.let_go(attempt.taken, decide, again.trouble)
        except (StoreUnavailable, TimeoutError, NotStorable) as error:
            log.info("claim_not_released", document=attempt.taken.identifier, error=str(error))
            self._unsaid[attempt.taken.identifier] = attempt.taken, again.trouble
        except (Lost, Over) as lost:
            log.info("claim_gone", document=attempt.taken.identifier, reason=str(lost))

    async def _say_unsaid(self, identifier: str) -> None:
        """An attempt of this process that ended while the store was away was no death."""
        if left := self._unsaid.get(identifier):
            with suppress(Lost, Over):
                await self._attempts.let_go(left[0], _unchanged, left[1])
            del self._unsaid[identifier]


def _unchanged(_: object) -> None:
    """Nothing new: only the lease is kept."""


def _with_progress(work: LongWork[ValueT], decide: Decide[ValueT]) -> Decide[ValueT]:
    """With what the document has not been told yet."""
    progress = work.progress()

    def decided(value: ValueT) -> Outcome[ValueT] | None:
        told = progress.change(value) if progress else value
        return decide(told) or Outcome(told)

    return decided


def _failure_of(work: LongWork[ValueT], failed: Failed) -> Failure:
    """For people: what they can do something about, and nothing of the machine."""
    match failed.error:
        case Failure() as failure:
            return failure
        case SubprocessFailed(message=message):
            return work.broken(f"{work.child} {message}")
        case WorkersDied(deaths=deaths):
            return work.broken(f"{deaths} workers died while {work.doing}")
        case Away() as away:
            return work.broken(f"it was tried {failed.tried} times: {away}")
        case OSError(errno=number, strerror=reason) if number in _DISK:
            return work.broken(f"the worker could not use its disk: {reason}")
    return Failure(FailureKind.INTERNAL, codes.INTERNAL, "internal error; the worker's log has the details")


def _last_delivery() -> int:
    """Its number when there will be no other, else 0."""
    delivery = current_delivery()
    return delivery.attempt if delivery is not None and delivery.last else 0
