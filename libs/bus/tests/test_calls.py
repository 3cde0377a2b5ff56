import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from pydantic import BaseModel
from structlog.testing import capture_logs

from modelyard_bus.answerers import PROBE
from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus
from modelyard_contracts.calls import Call
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Away, Code, Failure, FailureKind, Problem
from modelyard_contracts.shapes import Role

from .conftest import Connect

pytestmark = pytest.mark.servers


class Ask(BaseModel, extra="forbid"):
    number: int


class Told(BaseModel):
    text: str


ASK = Call("evaluate", "ask", Ask, Told)
OTHER = Call("evaluate", "other", Ask, Told)
CONTEXT = CallContext(project="p1", actor="ann", role=Role.WRITER, correlationid="c1", idempotency_key="k1")


class Wire:
    """A server on the evaluate service's connection and a client on the gateway's."""

    def __init__(self, server_bus: Bus, client_bus: Bus) -> None:
        self.buses = (server_bus, client_bus)
        self.server = CallServer(server_bus, "evaluate", limit=8)
        self.client = CallClient(client_bus)

    async def answering(self, handler: Any) -> None:
        self.server.answer(ASK, handler)
        await self.server.start()


@pytest.fixture
async def wire(connect: Connect) -> AsyncIterator[Wire]:
    wire = Wire(await connect("evaluate"), await connect("gateway"))
    yield wire
    await wire.server.stop(grace=0)


async def echo(context: CallContext, request: Ask) -> Told:
    return Told(text=f"{context.actor} {context.role} {context.project} {context.idempotency_key} {request.number}")


async def test_request_context_and_reply_arrive(wire: Wire) -> None:
    await wire.answering(echo)
    assert await wire.client(ASK, CONTEXT, Ask(number=7)) == Told(text="ann writer p1 k1 7")
    assert wire.buses[0].stats.calls_answered == 1


async def test_a_failure_arrives_as_it_was_raised(wire: Wire) -> None:
    problem = Problem(message="must be even", field="number", rule="even")

    async def refuse(context: CallContext, request: Ask) -> Told:
        raise Failure(FailureKind.CONFLICT, Code("ModelArts.0042"), "odd", problems=(problem,))

    await wire.answering(refuse)
    with pytest.raises(Failure, match="odd") as caught:
        await wire.client(ASK, CONTEXT, Ask(number=7))
    failure = caught.value
    assert (failure.kind, failure.code, failure.problems) == (FailureKind.CONFLICT, "ModelArts.0042", (problem,))


async def test_an_unexpected_exception_keeps_its_text_at_home(wire: Wire) -> None:
    async def broken(context: CallContext, request: Ask) -> Told:
        raise RuntimeError("password is hunter2")

    await wire.answering(broken)
    with capture_logs() as logged, pytest.raises(Failure) as caught:
        await wire.client(ASK, CONTEXT, Ask(number=7))
    assert (caught.value.kind, caught.value.code) == (FailureKind.INTERNAL, "ModelArts.9000")
    assert caught.value.message == "internal error, correlation id c1"
    assert [(line["event"], line["exc_info"]) for line in logged] == [("call_failed", True)]


async def test_a_store_that_is_away_is_unavailable_not_internal(wire: Wire) -> None:
    class Gone(Away):
        what = "the object store"

    async def away(context: CallContext, request: Ask) -> Told:
        raise Gone("cannot open /secret/place")

    await wire.answering(away)
    with pytest.raises(Failure, match="cannot reach the object store; try again") as caught:
        await wire.client(ASK, CONTEXT, Ask(number=7))
    assert (caught.value.kind, caught.value.code) == (FailureKind.UNAVAILABLE, "ModelArts.9002")
    assert "/secret/place" not in caught.value.message


async def test_unknown_fields_of_a_newer_caller_are_ignored(wire: Wire) -> None:
    class NewerAsk(Ask):
        shade: str

    await wire.answering(echo)
    told = await wire.client(ASK, CONTEXT, NewerAsk(number=7, shade="blue"))
    assert told.text.endswith(" 7")


async def test_a_request_of_another_form_names_the_field_but_not_the_value(wire: Wire) -> None:
    await wire.answering(echo)
    with pytest.raises(Failure) as caught:
        await wire.client(ASK, CONTEXT, Told(text="hunter2"))  # type: ignore[misc]  # unchecked callers
    assert (caught.value.kind, caught.value.code) == (FailureKind.INVALID, "ModelArts.9003")
    assert [problem.field for problem in caught.value.problems] == ["number"]
    assert "hunter2" not in str(caught.value.problems)


async def test_nobody_there_is_told_at_once(wire: Wire) -> None:
    with pytest.raises(Failure, match=r"no worker answers evaluate\.ask") as caught:
        await wire.client(ASK, CONTEXT, Ask(number=7), timeout=3600)
    assert (caught.value.kind, caught.value.code) == (FailureKind.UNAVAILABLE, "ModelArts.9001")


async def test_no_answer_in_time(wire: Wire) -> None:
    async def endless(context: CallContext, request: Ask) -> Told:
        await asyncio.Event().wait()
        raise AssertionError

    await wire.answering(endless)
    with pytest.raises(Failure, match=r"did not answer within 0\.1 s") as caught:
        await wire.client(ASK, CONTEXT, Ask(number=7), timeout=0.1)
    assert (caught.value.kind, caught.value.code) == (FailureKind.UNAVAILABLE, "ModelArts.9002")


async def test_asking_whether_someone_is_there_runs_no_handler(wire: Wire) -> None:
    async def never(context: CallContext, request: Ask) -> Told:
        raise AssertionError

    assert not await wire.client.answered(ASK)
    await wire.answering(never)
    assert await wire.client.answered(ASK)
    assert not await wire.client.answered(OTHER)
    assert wire.buses[0].stats.calls_answered == 0


async def test_requests_run_side_by_side_up_to_the_limit(wire: Wire) -> None:
    running, most = 0, 0
    full = asyncio.Event()

    async def slow(context: CallContext, request: Ask) -> Told:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 8:
            full.set()
        await full.wait()
        running -= 1
        return Told(text=str(request.number))

    await wire.answering(slow)
    replies = await asyncio.gather(*(wire.client(ASK, CONTEXT, Ask(number=n), timeout=3600) for n in range(24)))
    assert [reply.text for reply in replies] == [str(n) for n in range(24)]
    assert most == 8


async def test_one_of_several_servers_answers_each(wire: Wire, connect: Connect) -> None:
    answers: list[str] = []

    def answering(name: str) -> Any:
        async def answer(context: CallContext, request: Ask) -> Told:
            answers.append(name)
            return Told(text=name)

        return answer

    await wire.answering(answering("first"))
    second = CallServer(await connect("evaluate"), "evaluate")
    second.answer(ASK, answering("second"))
    await second.start()
    await asyncio.gather(*(wire.client(ASK, CONTEXT, Ask(number=n)) for n in range(50)))
    await second.stop()
    assert len(answers) == 50
    assert set(answers) == {"first", "second"}


async def test_stopping_answers_what_it_has(wire: Wire) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def nearly(context: CallContext, request: Ask) -> Told:
        started.set()
        await release.wait()
        return Told(text="done")

    await wire.answering(nearly)
    asking = asyncio.create_task(wire.client(ASK, CONTEXT, Ask(number=7)))
    await started.wait()
    stopping = asyncio.create_task(wire.server.stop(grace=3600))
    release.set()
    await stopping
    assert (await asking).text == "done"
    with pytest.raises(Failure, match="no worker"):
        await wire.client(ASK, CONTEXT, Ask(number=7))


async def test_stopping_refuses_what_takes_too_long(wire: Wire) -> None:
    started = asyncio.Event()

    async def endless(context: CallContext, request: Ask) -> Told:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    await wire.answering(endless)
    asking = asyncio.create_task(wire.client(ASK, CONTEXT, Ask(number=7)))
    await started.wait()
    await wire.server.stop(grace=0)
    with pytest.raises(Failure, match="evaluate is stopping"):
        await asking


async def test_what_is_too_large_is_refused_on_either_side(wire: Wire) -> None:
    async def verbose(context: CallContext, request: Ask) -> Told:
        return Told(text="x" * 2_000_000)

    await wire.answering(verbose)
    with pytest.raises(Failure) as caught:
        await wire.client(ASK, CONTEXT, Ask(number=7))
    assert (caught.value.kind, caught.value.code) == (FailureKind.TOO_LARGE, "ModelArts.9004")
    with pytest.raises(Failure, match="the request has"):
        await wire.client(ASK, CONTEXT, Told(text="x" * 2_000_000))  # type: ignore[misc]  # unchecked callers
    assert not any(bus.closed.is_set() for bus in wire.buses)


async def test_headers_of_the_caller_are_not_sent_back(wire: Wire) -> None:
    await wire.answering(echo)
    gateway = wire.buses[1].nats
    reply = await gateway.request(ASK.subject, b"{}", timeout=3600, headers={"Authorization": "secret"})
    assert reply.headers is None
    probe = await gateway.request(ASK.subject, b"", timeout=3600, headers={PROBE: "1"})
    assert probe.headers is None


async def test_log_lines_of_a_call_name_it(wire: Wire) -> None:
    bound: list[dict[str, Any]] = []

    async def look(context: CallContext, request: Ask) -> Told:
        bound.append(dict(structlog.contextvars.get_contextvars()))
        return Told(text="")

    await wire.answering(look)
    await wire.client(ASK, CONTEXT, Ask(number=7))
    assert bound == [{"correlationid": "c1", "project": "p1", "actor": "ann", "call": "evaluate.ask"}]


async def test_calls_go_on_after_the_broker_was_killed(wire: Wire, server: Any, until: Callable[..., Any]) -> None:
    await wire.answering(echo)
    server.kill()
    server.start()
    await until(lambda: all(bus.stats.reconnects == 1 for bus in wire.buses))
    assert (await wire.client(ASK, CONTEXT, Ask(number=7))).text.endswith("7")


async def test_only_the_services_own_calls_and_each_once(wire: Wire) -> None:
    wire.server.answer(ASK, echo)
    with pytest.raises(ValueError, match="cannot answer"):
        wire.server.answer(ASK, echo)
    with pytest.raises(ValueError, match="cannot answer"):
        wire.server.answer(Call("import", "ask", Ask, Told), echo)


async def test_a_started_server_is_there_and_a_stopping_one_loses_nothing(wire: Wire, connect: Connect) -> None:
    """Needs the client's flush to be a barrier: servers come and go while one client keeps asking."""
    bus = await connect("evaluate")
    answered = 0
    for _ in range(50):
        server = CallServer(bus, "evaluate")
        server.answer(ASK, echo)
        await server.start()
        asking = [asyncio.create_task(wire.client(ASK, CONTEXT, Ask(number=n), timeout=3600)) for n in range(20)]
        await asking[0]
        await server.stop()
        for result in await asyncio.gather(*asking, return_exceptions=True):
            answered += isinstance(result, Told)
            assert isinstance(result, Told) or "no worker" in str(result)
    assert answered >= 50
