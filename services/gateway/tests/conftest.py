"""The real application over HTTP, with real token documents; behind it a recorder instead of the other services."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from modelyard_contracts.calls import Call, imports
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Role
from modelyard_gateway.app import create_app
from modelyard_gateway.attempts import Attempts
from modelyard_gateway.backends import Backends
from modelyard_gateway.domain import Token, token_id_of
from modelyard_gateway.lanes import Lanes
from modelyard_gateway.lookups import Lookups
from modelyard_gateway.repository import COLLECTIONS, AccessRepository
from modelyard_gateway.settings import GatewaySettings
from modelyard_gateway.streams import StreamCount
from modelyard_gateway.turns import Turns
from modelyard_gateway.watching import Watches
from modelyard_store.sqlite import SqliteDocuments

OPERATOR = "operator-secret-operator-secret-operator"


@dataclass
class RecordingCalls:
    """Answers each call with what a test put there; remembers who asked what."""

    answers: dict[str, BaseModel | Failure] = field(default_factory=dict)
    asked: list[tuple[str, CallContext, BaseModel]] = field(default_factory=list)

    async def __call__(
        self, call: Call[Any, Any], context: CallContext, request: BaseModel, timeout: float = 5
    ) -> BaseModel:
        if call is imports.CHECK_SOURCE and call.subject not in self.answers:
            return Nothing()
        self.asked.append((call.subject, context, request))
        answer = self.answers[call.subject]
        if isinstance(answer, Failure):
            raise answer
        return answer

    async def relayed(
        self, call: Call[Any, Any], context: CallContext, request: BaseModel, timeout: float = 5
    ) -> bytes:
        return (await self(call, context, request, timeout)).model_dump_json().encode()


@dataclass
class Beats:
    """Simulated seconds: who waits for the next one goes on when a test says so."""

    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self) -> None:
        beat: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(beat)
        async with self._changed:
            self._changed.notify_all()
        await beat

    @property
    def waiting(self) -> int:
        return sum(not future.done() for future in self._waiting)

    async def tick(self, waiting: int = 1, *, cancel: bool = False) -> None:
        """As soon as that many wait."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.waiting == waiting)
            for beat in self._waiting:
                if cancel:
                    beat.cancel()
                elif not beat.done():
                    beat.set_result(None)


@dataclass
class Announcements:
    """What workers announce, as the bus passes it on to whoever listens."""

    ears: list[tuple[str, str, asyncio.Queue[Any]]] = field(default_factory=list)
    deaf: Exception | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, kind: str, identifier: str) -> AsyncGenerator[dict[str, Any], None]:
        if self.deaf is not None:
            raise self.deaf
        ear = (kind, identifier, asyncio.Queue[Any]())
        self.ears.append(ear)
        try:
            await self._tell()
            while True:
                yield await ear[2].get()
        finally:
            self.ears.remove(ear)
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def heard_by(self, number: int) -> None:
        """Waits until that many listen."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.ears) == number)

    async def announce(self, kind: str, identifier: str, announced: dict[str, Any]) -> None:
        """As soon as somebody listens to it."""
        await self.heard_by(1)
        [queue] = [queue for *name, queue in self.ears if name == [kind, identifier]]
        queue.put_nowait(announced)


@dataclass(frozen=True)
class Yard:
    backends: Backends
    app: ASGIApp
    http: httpx.AsyncClient
    calls: RecordingCalls
    access: AccessRepository
    beats: Beats
    attempt_beats: Beats
    announcements: Announcements

    def put(self, **settings: Any) -> None:
        """Other values of these settings."""
        object.__setattr__(self.backends, "settings", self.backends.settings.model_copy(update=settings))

    async def token(self, role: Role, project: str = "default", name: str | None = None) -> dict[str, str]:
        """Headers of a fresh token."""
        secret = f"secret-{project}-{role}-{name}"
        token = Token(token_id_of(secret), name or str(role), project, role, 1, "test")
        await self.access.add_token(token)
        return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    documents = SqliteDocuments(tmp_path / "gateway.sqlite")
    await documents.open(COLLECTIONS)
    access = AccessRepository(documents)
    await access.keep_operator("default", OPERATOR, 1)
    settings = GatewaySettings(max_body_bytes=10_000, access_master_key=SecretStr("master-key" * 4))
    calls, beats, attempt_beats, announcements = RecordingCalls(), Beats(), Beats(), Announcements()
    backends = Backends(
        settings=settings,
        bus=None,  # type: ignore[arg-type]  # no bus
        calls=calls,  # type: ignore[arg-type]  # stands in for it
        access=access,
        lookups=Lookups(access, lambda: 1_000),
        dead_letters=None,  # type: ignore[arg-type]  # no bus
        now=lambda: 1_000,
        streams=StreamCount(3, 3, 3),
        turns=Turns(Lanes(per_token=2, per_project=3)),
        unproven=Lanes(per_token=2, per_project=3),
        attempts=Attempts(lambda: 1_000, attempt_beats),
        watches=Watches(announcements, beats),
    )
    app = create_app(settings, backends)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    # captured: drawing the traceback of an expected failure for a terminal takes seconds
    async with httpx.AsyncClient(transport=transport, base_url="http://yard") as http:
        with capture_logs():
            yield Yard(backends, app, http, calls, access, beats, attempt_beats, announcements)
    await documents.close()
