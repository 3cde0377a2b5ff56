"""Request and reply between services, over core NATS queue groups.

Not `nats.micro`: that runs one request at a time per endpoint and tells callers the text of unexpected exceptions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import BaseModel, ValidationError

from modelyard_bus.answerers import PROBE, READY, Answerers
from modelyard_bus.connection import Bus
from modelyard_contracts import codes
from modelyard_contracts.calls import Call
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Away, Failure, FailureKind, FailureReply, Problem

log = structlog.get_logger()

RequestT = TypeVar("RequestT", bound=BaseModel)
ReplyT = TypeVar("ReplyT", bound=BaseModel)

_MOST_PROBLEMS: Final = 100  # told of one request
Missing = Callable[[], Awaitable[str | None]]
_REPLY: Final = b'{"reply":'
"""An answer is this, the reply as JSON, and a brace; or an object with `failure`."""


class _Asked(BaseModel):
    context: CallContext
    request: dict[str, Any]


class _Refused(BaseModel):
    failure: FailureReply


@dataclass(frozen=True, slots=True)
class Written(Generic[ReplyT]):
    """A reply as its JSON: for handlers that have it so already."""

    json: str


Handler = Callable[[CallContext, RequestT], Awaitable[ReplyT | Written[ReplyT]]]


@dataclass(frozen=True, slots=True)
class _Answer:
    call: Call[Any, Any]
    handler: Callable[[CallContext, Any], Awaitable[BaseModel | Written[Any]]]


class CallServer:
    """Answers calls of one service, at most `limit` at a time; more wait their turn in the order they came, and those
    beyond `most` are refused."""

    def __init__(self, bus: Bus, service: str, limit: int = 64, most: int = 2_000) -> None:
        self._bus = bus
        self._service = service
        self._slots = asyncio.Semaphore(limit)
        self._most = most
        self._answers: dict[str, _Answer] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._started = False
        self.missing: Missing | None = None
        """What the service misses, in words, for who asks whether it is ready."""

    def answer(
        self,
        call: Call[RequestT, ReplyT],
        handler: Callable[[CallContext, RequestT], Awaitable[ReplyT | Written[ReplyT]]],
    ) -> None:
        """Before `start`. Raises ValueError for another service's call, or one that is answered already."""
        if call.service != self._service or call.subject in self._answers:
            raise ValueError(f"{self._service} cannot answer {call.service}.{call.verb} (again)")
        self._answers[call.subject] = _Answer(call, handler)

    async def answer_from_now(
        self,
        call: Call[RequestT, ReplyT],
        handler: Callable[[CallContext, RequestT], Awaitable[ReplyT | Written[ReplyT]]],
    ) -> None:
        """As `answer`, also after `start`."""
        self.answer(call, handler)
        if self._started:
            await self._listen(self._answers[call.subject])

    async def answer_no_longer(self, call: Call[Any, Any]) -> None:
        del self._answers[call.subject]
        if subscription := self._subscriptions.pop(call.subject, None):
            await subscription.unsubscribe()

    async def start(self) -> None:
        for answer in tuple(self._answers.values()):
            await self._listen(answer)
        self._started = True
        await self._bus.nats.flush()

    async def _listen(self, answer: _Answer) -> None:
        self._subscriptions[answer.call.subject] = await self._bus.nats.subscribe(
            answer.call.subject, queue=self._service, cb=self._receiver(answer)
        )

    async def stop(self, grace: float = 5.0) -> None:
        """Takes no more requests, answers those it has within `grace` seconds, then refuses the rest."""
        if self._bus.nats.is_connected:
            draining = (s.drain() for s in self._subscriptions.values())  # type: ignore[no-untyped-call]  # nats-py lacks it
            drained = await asyncio.gather(*draining, return_exceptions=True)
            for error in filter(None, drained):
                log.info("calls_not_drained", error=str(error))
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _receiver(self, answer: _Answer) -> Callable[[Msg], Awaitable[None]]:
        async def receive(message: Msg) -> None:
            """Nothing waits in here: behind it stand the probes of those who ask whether anybody is there."""
            if probe := (message.headers or {}).get(PROBE):
                await self._answer_probe(message, probe)
            elif len(self._running) >= self._most:
                await self._send(message, _refusal(self._busy()))
            else:
                self._spawn(self._serve(answer, message))

        return receive

    async def _answer_probe(self, message: Msg, probe: str) -> None:
        if probe == READY and self.missing:
            self._spawn(self._tell(message, self.missing))
        else:
            await self._send(message, b"")

    async def _tell(self, message: Msg, missing: Missing) -> None:
        await self._send(message, (await missing() or "").encode())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"call of {self._service}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _busy(self) -> Failure:
        return Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, f"the {self._service} service is busy; try again")

    async def _serve(self, answer: _Answer, message: Msg) -> None:
        try:
            async with self._slots:
                answered = await self._ask(answer, message)
            self._bus.stats.calls_answered += 1
        except Failure as failure:
            answered = _refusal(failure)
            self._bus.stats.calls_failed += 1
        except asyncio.CancelledError:
            stopping = Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, f"{self._service} is stopping")
            await self._send(message, _refusal(stopping))
            raise
        await self._send(message, self._fitting(answer.call, answered))

    async def _ask(self, answer: _Answer, message: Msg) -> bytes:
        """Raises Failure and nothing else."""
        try:
            asked = _Asked.model_validate_json(message.data)
            request = answer.call.request.model_validate(asked.request, extra="ignore")
        except ValidationError as error:
            raise _malformed(error) from error
        context = asked.context
        call = f"{answer.call.service}.{answer.call.verb}"
        with structlog.contextvars.bound_contextvars(
            correlationid=context.correlationid, project=context.project, actor=context.actor, call=call
        ):
            try:
                reply = await answer.handler(context, request)
                text = reply.json if isinstance(reply, Written) else reply.model_dump_json()
                return _REPLY + text.encode() + b"}"
            except Failure:
                raise
            except Away as away:
                log.warning("call_unanswerable", reason=str(away))
                text = f"the {self._service} service cannot reach {away.what}; try again"
                raise Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, text) from away
            except Exception as error:
                log.exception("call_failed")
                text = f"internal error, correlation id {context.correlationid}"
                raise Failure(FailureKind.INTERNAL, codes.INTERNAL, text) from error

    def _fitting(self, call: Call[Any, Any], answered: bytes) -> bytes:
        if len(answered) <= self._bus.limit:
            return answered
        text = f"the answer to {call.service}.{call.verb} has {len(answered)} bytes, at most {self._bus.limit} fit"
        return _refusal(Failure(FailureKind.TOO_LARGE, codes.MESSAGE_TOO_LARGE, text))

    async def _send(self, message: Msg, data: bytes) -> None:
        """Not `message.respond`: that would send the caller's headers back."""
        if not message.reply:
            return
        try:
            await self._bus.nats.publish(message.reply, data)
        except nats.errors.Error as error:
            log.warning("answer_lost", subject=message.subject, error=str(error))


class CallClient:
    """Asks any service. One per process is enough."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._answerers = Answerers(bus)

    async def __call__(
        self, call: Call[RequestT, ReplyT], context: CallContext, request: RequestT, timeout: float = 5
    ) -> ReplyT:
        """Raises Failure: the server's own, or UNAVAILABLE when nobody answers within `timeout` seconds, or sooner when
        nobody is there. Then the server may have done what was asked; only calls with an idempotency key are safe to
        repeat."""
        return call.reply.model_validate_json(await self.relayed(call, context, request, timeout), extra="ignore")

    async def relayed(
        self, call: Call[RequestT, ReplyT], context: CallContext, request: RequestT, timeout: float = 5
    ) -> bytes:
        """The reply as the JSON that it came as, for who only passes it on. Raises as `__call__` does."""
        data = _Asked(context=context, request=request.model_dump(mode="json")).model_dump_json().encode()
        if len(data) > self._bus.limit:
            text = f"the request has {len(data)} bytes, at most {self._bus.limit} fit"
            raise Failure(FailureKind.TOO_LARGE, codes.MESSAGE_TOO_LARGE, text)
        message = await self._answerers.ask(call, data, timeout)
        if not message.data.startswith(_REPLY):
            raise _Refused.model_validate_json(message.data).failure.to_failure()
        return bytes(message.data[len(_REPLY) : -1])

    async def answered(self, call: Call[Any, Any]) -> bool:
        """Someone is there to answer it, within a second."""
        return await self._answerers.hears(call)

    async def missing(self, call: Call[Any, Any], within: float) -> str | None:
        """What the service that answers this call misses, in words; None when it is ready. Within seconds."""
        return await self._answerers.missing(call, within)


def _refusal(failure: Failure) -> bytes:
    return _Refused(failure=FailureReply.of(failure)).model_dump_json(exclude_none=True).encode()


def _malformed(error: ValidationError) -> Failure:
    """Between our own services only a version mismatch leads here; the values stay out of the text."""
    found = error.errors(include_url=False, include_input=False)[:_MOST_PROBLEMS]
    problems = tuple(Problem(message=e["msg"], field=".".join(map(str, e["loc"])), rule=e["type"]) for e in found)
    return Failure(FailureKind.INVALID, codes.MALFORMED, "the request does not have the agreed form", problems=problems)
