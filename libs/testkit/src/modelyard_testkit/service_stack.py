"""One service on a real NATS, with its own permissions, and a real S3; the test plays everybody else.

The fixture `service_stack`, for the `test_service.py` of a service. Loaded by the root `conftest.py`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from pydantic import BaseModel

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts import codes
from modelyard_contracts.calls import version
from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.catalogue import Event
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role
from modelyard_local.servers import S3Server
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_testkit.servers import RunningNats

RequestT = TypeVar("RequestT", bound=BaseModel)
ReplyT = TypeVar("ReplyT", bound=BaseModel)
DataT = TypeVar("DataT", bound=BaseModel)


@dataclass
class ServiceStack:
    """In a project of its own, because all tests share the servers."""

    nats: RunningNats
    s3: S3Server
    folder: Path
    objects: Objects
    exits: AsyncExitStack
    project: str = field(default_factory=lambda: f"p-{uuid4().hex[:8]}")
    buses: dict[str, Bus] = field(default_factory=dict)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    heard: AsyncGenerator[Envelope, None] | None = None

    async def bus(self, identity: str) -> Bus:
        """As somebody, who may do what the catalogue says."""
        if identity not in self.buses:
            settings = BusSettings(self.nats.url, identity, identity, self.nats.passwords[identity])
            self.buses[identity] = await Bus.connect(settings)
            self.exits.push_async_callback(self.buses[identity].close)
        return self.buses[identity]

    def settings(self, service: str) -> dict[str, Any]:
        """What every service has to be told."""
        return {
            "nats_url": self.nats.url,
            "nats_user": service,
            "nats_password": self.nats.passwords[service],
            "document_url": f"sqlite:///{self.folder}/{service}.db",
            "s3_endpoint": self.s3.endpoint,
            "s3_access_key": self.s3.access_key,
            "s3_secret_key": self.s3.secret_key,
        }

    async def answer(
        self, call: Call[RequestT, ReplyT], handler: Callable[[CallContext, RequestT], Awaitable[ReplyT]]
    ) -> None:
        """Play the service that is asked."""
        server = CallServer(await self.bus(call.service), call.service)
        server.answer(call, handler)
        await server.start()
        self.exits.push_async_callback(server.stop)

    async def play_versions(self) -> dict[str, version.VersionView]:
        """The version service, as far as `version.get`: it knows what is put in here, by model id."""
        known: dict[str, version.VersionView] = {}

        async def get(context: CallContext, request: version.GetVersion) -> version.VersionView:
            view = known.get(request.model_id)
            if view is None or view.project != context.project:
                raise Failure(FailureKind.NOT_FOUND, codes.NOT_FOUND, "there is no such version")
            return view

        await self.answer(version.GET, get)
        return known

    async def ask(self, call: Call[RequestT, ReplyT], request: RequestT) -> ReplyT:
        """As the gateway does for Alice, who may write."""
        context = CallContext(project=self.project, actor="alice", role=Role.WRITER, correlationid="c-1")
        return await CallClient(await self.bus("gateway"))(call, context, request)

    async def say(self, event: Event[DataT], about: str, fact: DataT, *, correlationid: str = "c-2") -> None:
        """As the service whose event it is."""
        envelope = Envelope(
            source=f"modelyard/{event.producer}",
            type=event.subject,
            subject=about,
            project=self.project,
            correlationid=correlationid,
            data=fact.model_dump(mode="json", exclude_none=True),
        )
        await (await self.bus(event.producer)).publish(event.subject, envelope)

    async def next_said(self, wanted: Callable[[Envelope], bool] = lambda _: True) -> Envelope:
        """The next event of this project, of those that are wanted."""
        if self.heard is None:
            gateway = await self.bus("gateway")
            self.heard = await self.exits.enter_async_context(aclosing(gateway.watch_events(since=self.since)))
        async for envelope in self.heard:
            if envelope.project == self.project and wanted(envelope):
                return envelope
        raise AssertionError("the stream of events ended")


@pytest.fixture
async def service_stack(nats_server: RunningNats, s3_server: S3Server, tmp_path: Path) -> AsyncIterator[ServiceStack]:
    """Start the service in it: `supervise(await build(Settings(**service_stack.settings("its name"))))`."""
    async with AsyncExitStack() as exits:
        objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
        exits.push_async_callback(objects.close)
        for bucket in ("artifacts", "datasets", "training"):
            await objects.ensure_bucket(bucket)
        stack = ServiceStack(nats_server, s3_server, tmp_path, objects, exits)
        await (await stack.bus("operator")).declare()
        yield stack
