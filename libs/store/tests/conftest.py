"""The two document adapters, as one parameter of every contract test, and objects on a real S3."""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from modelyard_store import open_documents
from modelyard_store.documents import Collection, Documents, Index


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
        ),
        substrings=("name", "about"),
        members=("labels",),
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
