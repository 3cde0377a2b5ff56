"""The version service's own queries on both document stores, with few and with many versions; no gateway, no bus."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from figures import Aim, Table, load, median, percentile
from seeding import seed_beside

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import ListVersions, SetAlias, VersionPage
from modelyard_contracts.shapes import Role
from modelyard_runtime.clock import now_ms
from modelyard_store.opening import open_documents
from modelyard_testkit.servers import MongoWireServer
from modelyard_version.handlers.aliases import AliasHandlers
from modelyard_version.repository.moves import MoveRepository
from modelyard_version.repository.versions import COLLECTIONS, AliasRepository, VersionRepository

_NAME = "many"
_OF_NAME = 200
_CONTEXT = CallContext(project="default", actor="token:bench", role=Role.ADMIN, correlationid="bench")

Ask = Callable[[int], Awaitable[object]]


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    real = "MODELYARD_TEST_MONGO_URI" in os.environ
    table = Table(
        "Questions to the document stores, p50 ms (p95)",
        ("store", "versions", *_QUESTIONS, "load"),
        notes=[
            "Rows are decoded as for an answer. “page” is 100 rows by cursor, “list” the newest 100 with the total "
            f"count of all; “name” a substring that {_OF_NAME} versions hold (100 rows, counted), “label” one that one "
            "version carries.",
            "MongoDB is the one in MODELYARD_TEST_MONGO_URI."
            if real
            else "MongoDB is nx-27017 here, a development stand-in on SQLite that does not stand many documents: its "
            "times say how often the store is asked, not how fast a MongoDB is.",
        ],
    )
    grows: list[tuple[str, str, float]] = []
    async with _stores(folder) as stores:
        for store, url in stores.items():
            small: dict[str, float] = {}
            for index, versions in enumerate(_sizes(store, real=real, quick=quick)):
                found = await _ask_all(f"{url}{index}", versions, 20 if quick else 100)
                cells = (f"{median(took):.2f} ({percentile(took, 0.95):.2f})" for took in found.values())
                table.rows.append((store, versions, *cells, load()))
                if index == 0:
                    small = {name: median(took) for name, took in found.items()}
                grows += [(store, name, median(took) / small[name]) for name, took in found.items() if index]
    return [table], [
        Aim(f"{store}: {name} with 100 times as many versions", "unchanged (within 50 %)", f"{ratio:.2f}×", ratio < 1.5)
        for store, name, ratio in grows
        if name != "list" and (real or store == "SQLite")  # a list asks for an exact count of everything
    ]


def _sizes(store: str, *, real: bool, quick: bool) -> tuple[int, int]:
    if store == "MongoDB" and not real:
        return 300, 1_000
    return 1_000, 10_000 if quick else 100_000


@asynccontextmanager
async def _stores(folder: Path) -> AsyncIterator[dict[str, str]]:
    """What a database's URL begins with, for each store."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs
    if given := os.environ.get("MODELYARD_TEST_MONGO_URI"):
        yield {"SQLite": f"sqlite:///{folder}/documents", "MongoDB": f"{given.rstrip('/')}/modelyard_bench_{now_ms()}_"}
        return
    (folder / "mongo").mkdir()
    server = MongoWireServer(folder / "mongo", port=0)
    await server.start()
    try:
        yield {"SQLite": f"sqlite:///{folder}/documents", "MongoDB": f"{server.uri}bench"}
    finally:
        await server.stop()


async def _ask_all(url: str, versions: int, repeats: int) -> dict[str, list[float]]:
    ids = await seed_beside(url, _NAME, _OF_NAME, versions - _OF_NAME)
    documents = open_documents(url)
    await documents.open(COLLECTIONS)
    register = VersionRepository(documents, lambda: None)
    aliasing = AliasHandlers(register, AliasRepository(documents, lambda: None), MoveRepository(documents), now_ms)
    first = VersionPage.model_validate_json((await register.page("default", ListVersions(limit=100))).json)
    questions: dict[str, Ask] = {
        "show": lambda turn: register.get("default", ids[turn * 7 % versions]),
        "page": lambda _: register.page("default", ListVersions(limit=100, cursor=first.next_cursor)),
        "list": lambda _: register.page("default", ListVersions(limit=100)),
        "name": lambda _: register.page("default", ListVersions(model_name=_NAME[1:], limit=100)),
        "label": lambda _: register.page("default", ListVersions(label="rare")),
        "alias move": lambda turn: aliasing.set_alias(
            _CONTEXT, SetAlias(model_name=_NAME, alias="champion", model_version=f"0.0.{1 + turn % 2}")
        ),
    }
    found = {name: [await _timed(ask, turn) for turn in range(repeats + 1)][1:] for name, ask in questions.items()}
    await documents.close()
    return found


async def _timed(ask: Ask, turn: int) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    await ask(turn)
    return (time.perf_counter() - started) * 1000


_QUESTIONS = ("show", "page", "list", "name", "label", "alias move")
