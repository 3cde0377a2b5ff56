"""The two document adapters, as one parameter of every contract test, and objects on a real S3."""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard_local.servers import S3Server
from modelyard_store import open_documents
from modelyard_store.documents import Collection, Documents, Index
from modelyard_store.objects import Objects, ObjectSettings

MIB = 1 << 20


@pytest.fixture
def versions() -> Collection:
    return Collection(
        "versions",
        indexes=(
            Index(("project", "name"), unique=True),
            Index(("project", "created_at")),
            Index(("project", "state", "created_at")),
            Index(("project", "flag")),
            Index(("project", "owner.team", "size")),
            Index(("request_key",), unique=True),
            Index(("project", "labels", "created_at")),
            Index(("project", "labels", "state")),
            Index(("project", "metrics")),
        ),
        substrings=("name", "about"),
        members=("labels",),
        numbers=("metrics",),
        aside=("project", "name", "created_at"),
        counted=("project", "name"),
    )


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One empty store that several adapters may open at once."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/documents.db"
    server: str = request.getfixturevalue("mongo_uri")
    return f"{server.rstrip('/')}/store_{secrets.token_hex(6)}"


@pytest.fixture
async def another(url: str, versions: Collection) -> AsyncIterator[Callable[[], Awaitable[Documents]]]:
    """Opens one more adapter on the same store, as another process would."""
    async with AsyncExitStack() as stack:

        async def open_one() -> Documents:
            documents = open_documents(url)
            stack.push_async_callback(documents.close)
            await documents.open([versions])
            return documents

        yield open_one


@pytest.fixture
async def documents(another: Callable[[], Awaitable[Documents]]) -> Documents:
    return await another()


@pytest.fixture
def mongo_is_real() -> bool:
    return "MODELYARD_TEST_MONGO_URI" in os.environ


@pytest.fixture
async def connect(s3_server: S3Server) -> AsyncIterator[Callable[..., Objects]]:
    opened: list[Objects] = []
    usual = ObjectSettings(
        s3_server.endpoint, s3_server.access_key, s3_server.secret_key, part_size=5 * MIB, copy_part_size=6 * MIB
    )

    def with_settings(**changed: Any) -> Objects:
        opened.append(Objects.connect(replace(usual, **changed)))
        return opened[-1]

    yield with_settings
    for objects in opened:
        await objects.close()


@pytest.fixture
async def bucket(objects: Objects) -> str:
    name = f"store-{secrets.token_hex(6)}"
    await objects.ensure_bucket(name)
    return name
