"""Hands events and jobs to a service's handlers. Built in each service's bootstrap; settling is in `settle`."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from pydantic import BaseModel, ValidationError

from modelyard_bus.connection import Bus
from modelyard_bus.deadletters import bury
from modelyard_bus.errors import NotDeclared
from modelyard_bus.handling import Delivery, handling
from modelyard_bus.pull import Pull
from modelyard_bus.settle import Ending, Reject, Retry, Verdict, decide, settle, spent
from modelyard_bus.slots import Slots
from modelyard_contracts.catalogue import Event, Job, events_durable
from modelyard_contracts.durables import Durable, durables_of
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.wording import in_words

__all__ = ["Consumer", "Reject", "Retry"]

log = structlog.get_logger()

DataT = TypeVar("DataT", bound=BaseModel)
Handler = Callable[[Envelope, DataT], Awaitable[None]]

EVENTS_AT_ONCE: Final = 8
AHEAD: Final = 2000
"""Messages of quick work that are here before their turn: one project's crowd keeps no other from being heard."""
UNKNOWN_SUBJECT_DELAY: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Binding:
    data: type[BaseModel]
    handler: Callable[[Envelope, Any], Awaitable[None]]


class Consumer:
    """Bind handlers, then `start`. A service binds all events the catalogue lists for it or none (a worker role);
    of its jobs any, and only those are pulled."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._service = service
        self._durables = {durable.name: durable for durable in durables_of(service)}
        self._lanes: dict[str, _Lane] = {}
        self._started = False

    def on_event(self, event: Event[DataT], handler: Handler[DataT]) -> None:
        """Events about one entity (`envelope.subject`) are handled one after the other, others side by side."""
        self._bind(events_durable(self._service), event.subject, _Binding(event.data, handler), EVENTS_AT_ONCE, AHEAD)

    def on_job(self, job: Job[DataT], handler: Handler[DataT], *, parallel: int = 1, quick: bool = False) -> None:
        """`quick`: projects take turns here, among many messages that this process holds; others would idle meanwhile
        if the work were long. Long work takes turns by its documents (modelyard_work)."""
        self._bind(job.durable, job.subject, _Binding(job.data, handler), parallel, AHEAD if quick else 0)

    async def take_from_now(self, job: Job[DataT], handler: Handler[DataT], *, parallel: int = 1) -> None:
        """As `on_job`, also after `start`."""
        self.on_job(job, handler, parallel=parallel)
        if self._started:
            await self._lanes[job.durable].start()

    async def take_no_longer(self, job: Job[Any], grace: float) -> None:
        """As `stop`, of one job."""
        await self._lanes.pop(job.durable).stop(grace)

    async def start(self) -> None:
        """Raises NotDeclared when a durable does not exist, ValueError when an event has no handler."""
        for lane in self._lanes.values():
            lane.check_complete()
            await self._check_declared(lane.durable)
        for lane in self._lanes.values():
            await lane.start()
        self._started = True

    async def stop(self, grace: float = 5.0) -> None:
        """Takes no more, lets handlers finish for `grace` seconds, then cancels them: their messages are delivered
        again at once, to another process or to this one's successor."""
        await asyncio.gather(*(lane.stop(grace) for lane in self._lanes.values()))

    def _bind(self, durable: str, subject: str, binding: _Binding, slots: int, ahead: int) -> None:
        if durable not in self._durables or subject not in self._durables[durable].subjects:
            raise ValueError(f"the catalogue does not send {subject} to {self._service}")
        lane = self._lanes.get(durable)
        if lane is None:
            lane = self._lanes[durable] = _Lane(self._bus, self._durables[durable], slots, ahead)
        if subject in lane.bindings:
            raise ValueError(f"{subject} has a handler already")
        lane.bindings[subject] = binding

    async def _check_declared(self, durable: Durable) -> None:
        try:
            await self._bus.js.consumer_info(durable.stream.name, durable.name)
        except nats.js.errors.NotFoundError as error:
            raise NotDeclared(f"durable {durable.name}: run `python -m modelyard_bus.declare`") from error
        except nats.errors.Error as error:
            raise NotDeclared(f"durable {durable.name} cannot be looked up: {error}") from error


class _Lane:
    """One durable: its handlers, its slots, what is being handled or waits for a slot."""

    def __init__(self, bus: Bus, durable: Durable, slots: int, ahead: int) -> None:
        self.durable = durable
        self.bindings: dict[str, _Binding] = {}
        self._bus = bus
        self._slots = Slots(slots)
        self._running: set[asyncio.Task[None]] = set()
        self._tails: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._pull = Pull(bus, durable, self._receive, lambda: slots + ahead - len(self._running))

    def check_complete(self) -> None:
        missing = set(self.durable.subjects) - set(self.bindings)
        if missing:
            raise ValueError(f"{self.durable.name} has no handler for {', '.join(sorted(missing))}")

    async def start(self) -> None:
        await self._pull.start()

    async def stop(self, grace: float) -> None:
        self._stopping = True
        await self._pull.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _receive(self, message: Msg) -> None:
        retry = self.durable.retry
        if self._stopping:
            self._spawn(self._settle(message, decide(asyncio.CancelledError(), 0, retry, 0)))
            return
        try:
            envelope = Envelope.model_validate_json(message.data)
        except ValidationError as error:
            self._spawn(self._settle(message, decide(Reject(f"not an envelope: {_rules(error)}"), 0, retry, 0)))
            return
        self._line_up(message, envelope)

    def _line_up(self, message: Msg, envelope: Envelope) -> None:
        """Behind whatever is being done about the same entity."""
        subject = envelope.subject
        task = self._spawn(self._process(message, envelope, self._tails.get(subject)))
        self._tails[subject] = task
        task.add_done_callback(lambda done: self._forget(subject, done))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=self.durable.name)
        self._running.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception():
            log.error("settling_failed", durable=self.durable.name, exc_info=task.exception())
        self._pull.wake()

    def _forget(self, subject: str, task: asyncio.Task[None]) -> None:
        if self._tails.get(subject) is task:
            del self._tails[subject]

    async def _process(self, message: Msg, envelope: Envelope, previous: asyncio.Task[None] | None) -> None:
        heartbeat = asyncio.create_task(self._keep(message))
        attempt = message.metadata.num_delivered
        try:
            if previous:
                await asyncio.wait([previous])
            async with self._slots.taken(envelope.project):
                verdict = spent(attempt, self.durable.retry) or await self._handle(message, envelope, attempt)
        except asyncio.CancelledError as cancelled:
            await self._settle(message, decide(cancelled, attempt, self.durable.retry, 0))
            raise
        finally:
            heartbeat.cancel()
        await self._settle(message, verdict)

    async def _handle(self, message: Msg, envelope: Envelope, attempt: int) -> Verdict:
        retry = self.durable.retry
        outcome: Exception | None = None
        with handling(Delivery(envelope, attempt, attempt >= retry.max_deliver), self.durable.name):
            try:
                await self._call(message.subject, envelope)
            except (Retry, Reject) as error:
                log.info("message_refused", word=type(error).__name__, reason=str(error))
                outcome = error
            except Exception as error:  # whatever a handler raises, its message must be settled
                log.warning("handler_failed", subject=message.subject, exc_info=True)
                outcome = error
        return decide(outcome, attempt, retry, secrets.randbelow(1000) / 1000)

    async def _call(self, subject: str, envelope: Envelope) -> None:
        binding = self.bindings.get(subject)
        if binding is None:  # declared for a newer release of this service, which will take it
            raise Retry(f"no handler for {subject}", after=UNKNOWN_SUBJECT_DELAY)
        try:
            data = binding.data.model_validate(envelope.data, extra="ignore")
        except ValidationError as error:
            raise Reject(f"data of {subject}: {_rules(error)}") from error
        await binding.handler(envelope, data)

    async def _keep(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self.durable.retry.ack_wait / 3)
            try:
                await message.in_progress()
            except nats.errors.Error as error:
                log.info("heartbeat_lost", durable=self.durable.name, error=str(error))

    async def _settle(self, message: Msg, verdict: Verdict) -> None:
        ending = await settle(message, verdict, lambda reason: bury(self._bus, self.durable, message, reason))
        stats = self._bus.stats
        if ending is Ending.ACKED:
            stats.acked += 1
        elif ending is Ending.RETRIED:
            stats.retried += 1
        elif ending is Ending.DEAD:
            stats.dead_lettered += 1
            log.error("dead_letter", durable=self.durable.name, subject=message.subject, reason=verdict.reason)
        else:
            stats.interrupted += 1


def _rules(error: ValidationError) -> str:
    """Which fields break which rules, without the values: they may be anything."""
    found = error.errors(include_input=False)[:5]
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {in_words(e)}" for e in found)
