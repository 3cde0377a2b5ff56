"""The real application over HTTP, with real token documents; behind it a recorder instead of the other services."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from modelyard_bus.calls import CallContext
from modelyard_contracts.calls import Call
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Role
from modelyard_gateway.app import create_app
from modelyard_gateway.backends import Backends
from modelyard_gateway.domain import Token, token_id_of
from modelyard_gateway.repository import PROJECTS, TOKENS, AccessRepository
from modelyard_gateway.settings import GatewaySettings
from modelyard_gateway.streams import StreamCount
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
        self.asked.append((call.subject, context, request))
        answer = self.answers[call.subject]
        if isinstance(answer, Failure):
            raise answer
        return answer

    async def relayed(
        self, call: Call[Any, Any], context: CallContext, request: BaseModel, timeout: float = 5
    ) -> bytes:
        return (await self(call, context, request, timeout)).model_dump_json().encode()


@dataclass(frozen=True)
class Yard:
    http: httpx.AsyncClient
    calls: RecordingCalls
    access: AccessRepository

    async def token(self, role: Role, project: str = "default", name: str | None = None) -> dict[str, str]:
        """Headers of a fresh token."""
        secret = f"secret-{project}-{role}-{name}"
        token = Token(token_id_of(secret), name or str(role), project, role, 1, "test")
        await self.access.add_token(token)
        return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    documents = SqliteDocuments(tmp_path / "gateway.sqlite")
    await documents.open((PROJECTS, TOKENS))
    access = AccessRepository(documents)
    await access.keep_operator("default", OPERATOR, 1)
    settings = GatewaySettings(max_body_bytes=10_000)
    calls = RecordingCalls()
    streams = StreamCount(settings.max_streams)
    backends = Backends(settings, None, calls, access, None, lambda: 1_000, streams)  # type: ignore[arg-type]  # no bus
    app = create_app(settings, backends)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://yard") as http:
        yield Yard(http, calls, access)
    await documents.close()
