"""The whole service on real NATS with its own permissions, on both document stores; the others are played."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts import catalogue
from modelyard_contracts.calls import evaluate, publish
from modelyard_contracts.calls import version as version_calls
from modelyard_contracts.calls.call import Page
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Role
from modelyard_publish.bootstrap import build
from modelyard_publish.settings import PublishSettings
from modelyard_runtime.process import supervise

pytestmark = pytest.mark.servers
FAR = 4_000_000_000_000


@dataclass
class Town:
    """The service, and the buses of those around it."""

    buses: dict[str, Bus]
    others: Any
    project: str
    heard: AsyncIterator[Envelope]

    async def ask(self, call: Any, request: BaseModel, project: str | None = None) -> Any:
        context = CallContext(project=project or self.project, actor="alice", role=Role.PUBLISHER, correlationid="c-1")
        return await CallClient(self.buses["gateway"])(call, context, request)

    async def say(self, identity: str, event: catalogue.Event[Any], fact: BaseModel, times: int = 2) -> None:
        """Twice, as another message each time: the broker's own duplicate check must not hide it."""
        for _ in range(times):
            envelope = Envelope(
                source=f"modelyard/{identity}",
                type=event.subject,
                subject=str(uuid4()),
                project=self.project,
                correlationid="c-9",
                data=fact.model_dump(mode="json"),
            )
            await self.buses[identity].publish(event.subject, envelope)

    async def next_said(self) -> Envelope:
        """The next that this service says of this project: other tests share the server."""
        async for envelope in self.heard:
            if envelope.project == self.project and envelope.source == "modelyard/publish":
                return envelope
        raise AssertionError("the stream of events ended")


@pytest.fixture
async def town(document_url: str, nats_server: Any, yard: Any) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        buses = {}
        for identity in ("operator", "gateway", "version", "evaluate"):
            password = nats_server.passwords[identity]
            buses[identity] = await Bus.connect(BusSettings(nats_server.url, identity, identity, password))
            stack.push_async_callback(buses[identity].close)
        await buses["operator"].declare()
        settings = PublishSettings(
            nats_url=nats_server.url,
            nats_user="publish",
            nats_password=nats_server.passwords["publish"],
            document_url=document_url,
        )
        await _play(stack, buses, yard.others)
        running = await stack.enter_async_context(supervise(await build(settings)))
        checks = {name: await check() for name, check in running.service.checks.items()}
        assert checks == {"nats": None, "durables": None, "documents": None}
        heard = buses["gateway"].watch_events(since=datetime.now(UTC))
        yield Town(buses, yard.others, f"p-{uuid4().hex[:8]}", heard)


async def _play(stack: AsyncExitStack, buses: dict[str, Bus], others: Any) -> None:
    """The version and evaluate services, as far as publish asks them."""
    for service, calls in (
        ("version", (version_calls.GET, version_calls.FILES)),
        ("evaluate", (evaluate.GET_DATASET,)),
    ):
        server = CallServer(buses[service], service)
        for call in calls:

            async def answer(context: CallContext, request: Any, call: Any = call) -> Any:
                return await others(call, context, request)

            server.answer(call, answer)
        await server.start()
        stack.push_async_callback(server.stop)


async def test_from_plan_to_leaderboard_to_deletion(town: Town, facts: Any) -> None:
    town.others.datasets["hidden"] = (town.project, facts.dataset_view("hidden", hidden=True))
    opened = await town.ask(
        publish.CREATE_COMPETITION, publish.CreateCompetition(title="Digits", dataset_id="hidden", deadline=FAR)
    )
    plan = facts.plan(evaluate=("d-1",), competitions=(opened.competition_id,))
    model_id = str(uuid4())
    town.others.versions[model_id] = facts.version_view(model_id, project=town.project, plan=plan)
    assert (await town.next_said()).type == catalogue.COMPETITION_OPENED.subject

    await town.say("version", catalogue.VERSION_PUBLISHED, facts.published(town.others.versions[model_id]))
    await town.say("evaluate", catalogue.EVALUATION_SUCCEEDED, facts.evaluated(model_id))
    told = {envelope.type: envelope for envelope in [await town.next_said(), await town.next_said()]}
    assert set(told) == {catalogue.PUBLICATION_LISTED.subject, catalogue.ENTRY_SUBMITTED.subject}
    assert {envelope.correlationid for envelope in told.values()} == {"c-9"}

    listing_id = told[catalogue.PUBLICATION_LISTED.subject].subject
    listing = await town.ask(publish.GET_LISTING, publish.GetListing(listing_id=listing_id), "p2")
    assert listing.card.startswith("# digits 0.0.1\n")
    links = await town.ask(publish.LISTING_FILES, publish.GetListing(listing_id=listing_id), "p2")
    assert links.files[0].path == "model/digits.onnx"

    entry_id = told[catalogue.ENTRY_SUBMITTED.subject].subject
    entry = await town.ask(publish.GET_ENTRY, publish.GetEntry(entry_id=entry_id))
    assert (entry.state, entry.score) == ("submitted", None)
    await town.say("evaluate", catalogue.EVALUATION_SUCCEEDED, facts.scored(entry, 0.97))
    assert (await town.next_said()).data["score"] == 0.97
    board = await town.ask(publish.LEADERBOARD, publish.GetCompetition(competition_id=opened.competition_id))
    assert [(row.rank, row.entry_id, row.score) for row in board.rows] == [(1, entry_id, 0.97)]
    page = await town.ask(publish.LIST_COMPETITIONS, Page())
    assert [each.entries for each in page.competitions if each.competition_id == opened.competition_id] == [1]

    await town.say("version", catalogue.VERSION_DELETED, facts.deleted(model_id))
    assert (await town.next_said()).type == catalogue.PUBLICATION_WITHDRAWN.subject
    with pytest.raises(Failure, match="no listing"):
        await town.ask(publish.GET_LISTING, publish.GetListing(listing_id=listing_id))


async def test_what_a_plan_asks_for_in_vain_is_said(town: Town, facts: Any) -> None:
    model_id = str(uuid4())
    plan = facts.plan(competitions=("missing",))
    view = facts.version_view(model_id, project=town.project, plan=plan, model_status="failed")
    town.others.versions[model_id] = view
    await town.say("version", catalogue.VERSION_PUBLISHED, facts.published(view))
    told = {envelope.type: envelope for envelope in [await town.next_said(), await town.next_said()]}
    assert set(told) == {catalogue.PUBLICATION_REFUSED.subject, catalogue.ENTRY_REJECTED.subject}
    assert {envelope.data["model_id"] for envelope in told.values()} == {model_id}
    entry = await town.ask(publish.GET_ENTRY, publish.GetEntry(entry_id=told[catalogue.ENTRY_REJECTED.subject].subject))
    assert (entry.state, entry.reason) == ("rejected", told[catalogue.ENTRY_REJECTED.subject].data["reason"])


async def test_a_verdict_on_nobodys_entry_becomes_a_dead_letter(town: Town, facts: Any) -> None:
    entry_id = str(uuid4())
    await town.say("evaluate", catalogue.EVALUATION_FAILED, facts.failed(entry_id), times=1)
    subscription = (
        await town.buses["operator"].nats.jetstream().subscribe("modelyard.dlq.publish-events", ordered_consumer=True)
    )
    async for message in subscription.messages:
        if entry_id.encode() in message.data:
            break
    await subscription.unsubscribe()
