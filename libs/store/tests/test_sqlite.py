"""What only the SQLite adapter promises: plans, crash safety, several processes, a bounded price."""

import asyncio
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelyard_store.documents import (
    AnyOf,
    Between,
    Collection,
    Condition,
    Contains,
    Document,
    Equals,
    Has,
    Query,
    Sort,
    StoreUnavailable,
)
from modelyard_store.sqlite import SqliteDocuments
from modelyard_store.sqlite_sql import FEW

NEWEST = (Sort("created_at", descending=True),)
MINE = Equals("project", "p")

WRITER = """
import asyncio, sys
from pathlib import Path
from modelyard_store.documents import Collection, Index
from modelyard_store.sqlite import SqliteDocuments
from modelyard_store.sqlite_sql import FEW

async def main(path, name, writers):
    documents = SqliteDocuments(Path(path))
    collection = Collection("written", (Index(("by", "n")),), ("text",))
    await documents.open([collection])
    async def write(writer):
        n = 0
        while True:
            body = {"by": name, "n": n, "text": f"text {n}"}
            added = await documents.add(collection, f"{name}-{writer}-{n}", body)
            print(added.id, flush=True)
            n += 1
    await asyncio.gather(*(write(w) for w in range(writers)))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""
WRITTEN = Collection("written")


@pytest.fixture
async def documents(tmp_path: Path, versions: Collection) -> AsyncIterator[SqliteDocuments]:
    store = SqliteDocuments(tmp_path / "new folder" / "documents.db")
    await store.open([versions])
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("where", "sort", "plan"),
    [
        ((MINE,), NEWEST, "versions (project,created_at)"),
        ((MINE, Equals("state", "ready")), NEWEST, "versions (project,state,created_at)"),
        ((MINE, AnyOf("state", ("ready", "failed"))), NEWEST, "versions (project,created_at)"),
        ((MINE, Between("created_at", 5, 9)), NEWEST, "versions (project,created_at)"),
        ((MINE, Equals("name", "n")), (), "versions (project,name)"),
        ((MINE, Contains("name", "net")), NEWEST, "versions known rows + sort"),
        ((Contains("name", "net"),), (), "versions known rows + sort"),
        ((MINE, Contains("name", "模")), NEWEST, "versions known rows + sort"),
        ((Equals("request_key", "k"),), (), "versions (request_key)"),
        ((AnyOf("id", ("a", "b")),), (), "sqlite_autoindex_versions_1"),
        ((MINE, Has("labels", "a")), NEWEST, "versions members (project,labels,created_at)"),
        ((Has("labels", "a"), MINE, Has("labels", "b")), NEWEST, "versions known rows + sort"),
        ((MINE, Has("labels", "a")), (Sort("state"),), "versions members (project,labels,state)"),
        ((MINE, Has("labels", "a"), Contains("name", "net")), NEWEST, "versions known rows + sort"),
        ((MINE, Has("labels", "a")), (Sort("size"),), "versions members (project,labels,created_at) + sort"),
        ((Equals("flag", True),), (), None),
        ((), NEWEST, None),
    ],
)
async def test_the_plan_shows_the_declared_index(
    documents: SqliteDocuments, versions: Collection, where: tuple[Condition, ...], sort: tuple[Sort, ...], plan: str
) -> None:
    assert await documents.explain(versions, Query(where, sort)) == plan


@pytest.mark.parametrize("text", ["net", "t"])
async def test_a_text_that_many_hold_is_found_along_an_index(
    documents: SqliteDocuments, versions: Collection, text: str
) -> None:
    bodies = [
        {"project": "pq"[n % 2], "name": f"net-{n}", "created_at": n, "labels": ["a"] if n % 3 else ["b"]}
        for n in range(FEW + 10)
    ]
    await asyncio.gather(*(documents.add(versions, f"d{n}", body) for n, body in enumerate(bodies)))
    holds, labelled = Contains("name", text), Has("labels", "a")
    assert await documents.explain(versions, Query((MINE, holds), NEWEST)) == "versions (project,created_at)"
    assert await documents.count(versions, (MINE, holds)) == FEW / 2 + 5
    found = await documents.find(versions, Query((MINE, holds), NEWEST, limit=3))
    assert [each.body["created_at"] for each in found] == [FEW + 8, FEW + 6, FEW + 4]
    plan = await documents.explain(versions, Query((MINE, holds, labelled), NEWEST))
    assert plan == "versions known rows + sort"  # those with the label are few
    assert await documents.count(versions, (MINE, holds, labelled)) == sum(
        body["project"] == "p" and body["labels"] == ["a"] for body in bodies
    )
    rare = Contains("name", "net-10")
    assert await documents.explain(versions, Query((MINE, holds, rare), NEWEST)) == "versions known rows + sort"
    assert [each.id for each in await documents.find(versions, Query((MINE, holds, rare), NEWEST, limit=3))] == [
        "d108", "d106", "d104",
    ]  # fmt: skip


async def test_later_pages_start_from_the_index(documents: SqliteDocuments, versions: Collection) -> None:
    query = Query((MINE,), NEWEST, after=(5, "x"))
    assert await documents.explain(versions, query) == "versions (project,created_at)"
    query = Query((MINE, Has("labels", "a")), NEWEST, after=(5, "x"))
    assert await documents.explain(versions, query) == "versions members (project,labels,created_at)"


async def test_the_price_does_not_grow_with_what_is_stored(documents: SqliteDocuments, versions: Collection) -> None:
    """SQLite's own counter of virtual machine steps, so that no clock decides."""
    few = await _steps_of_a_day(documents, versions, stored=200)
    many = await _steps_of_a_day(documents, versions, stored=20_000)
    assert many < few * 1.5


def labels_of(number: int, stored: int) -> list[str]:
    return ["common", f"rare in {stored}"] if number < 5 else ["common"]


async def _steps_of_a_day(documents: SqliteDocuments, versions: Collection, stored: int) -> int:
    bodies = (
        {"project": "p", "name": f"{stored}-{n}", "created_at": n, "state": "ready", "labels": labels_of(n, stored)}
        for n in range(stored)
    )
    await asyncio.gather(*(documents.add(versions, f"{stored}-{n}", body) for n, body in enumerate(bodies)))
    newest = Query((MINE,), NEWEST, limit=100)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    documents._readers.shutdown()
    documents._readers = ThreadPoolExecutor(1)  # so that one connection counts everything
    await documents.get(versions, "its connection")
    counted = documents._connections[-1]
    counted.set_progress_handler(step, 10)
    page = await documents.find(versions, newest)
    await documents.find(versions, Query((MINE,), NEWEST, limit=100, after=newest.position(page[-1])))
    await documents.find(versions, Query((MINE, Equals("state", "ready")), NEWEST, limit=100))
    await documents.find(versions, Query((MINE, Has("labels", "common")), NEWEST, limit=100))
    assert await documents.count(versions, (MINE, Has("labels", f"rare in {stored}"))) == 5
    await documents.get(versions, page[0].id)
    await documents.with_outbox(versions, 100)
    counted.set_progress_handler(None, 10)
    assert len(page) == 100
    assert steps > 100
    return steps


@pytest.mark.fault
async def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    acknowledged: set[str] = set()
    for life in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), f"life{life}", "16", stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(300 + 37 * life):
            acknowledged.add((await process.stdout.readline()).decode().strip())
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        acknowledged.update(line.decode() for line in rest.split(b"\n")[:-1])
        assert await process.wait() == -signal.SIGKILL
    with sqlite3.connect(path) as connection:
        stored = {id for (id,) in connection.execute("SELECT id FROM written")}
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert acknowledged <= stored
    assert len(acknowledged) > 900


async def test_several_processes_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), f"process{n}", "4",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for n in range(4)
    ]  # fmt: skip
    try:
        for _ in range(100):
            for process in processes:
                assert process.stdout is not None
                assert (await process.stdout.readline()).startswith(b"process")
    finally:
        for process in processes:
            process.kill()
            await process.communicate()


async def test_writes_that_wait_together_are_committed_together(
    documents: SqliteDocuments, versions: Collection
) -> None:
    """A foreign lock holds the writer; all that has queued up meanwhile lands in few transactions."""
    other = sqlite3.connect(documents._path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    adding = [asyncio.create_task(documents.add(versions, f"x{n}", {"project": "p"})) for n in range(200)]
    await asyncio.sleep(0)
    before = other.execute("PRAGMA data_version").fetchone()[0]
    other.execute("COMMIT")
    await asyncio.gather(*adding)
    assert other.execute("PRAGMA data_version").fetchone()[0] - before <= 3
    other.close()


async def test_a_disk_that_refuses_reaches_every_caller(documents: SqliteDocuments, versions: Collection) -> None:
    await documents.add(versions, "before", {})
    assert documents._writer is not None
    pages = documents._writer._connection.execute("PRAGMA page_count").fetchone()[0]
    documents._writer._connection.execute(f"PRAGMA max_page_count={pages}")
    results = await asyncio.gather(
        *(documents.add(versions, f"x{n}", {"name": "y" * 20_000}) for n in range(20)), return_exceptions=True
    )
    assert all(isinstance(result, StoreUnavailable) for result in results)
    documents._writer._connection.execute("PRAGMA max_page_count=1000000")
    assert await documents.check() is None
    assert (await documents.add(versions, "x0", {})).revision == 1


async def test_one_refused_write_does_not_hurt_its_neighbours(documents: SqliteDocuments, versions: Collection) -> None:
    await documents.add(versions, "taken", {})
    results = await asyncio.gather(
        *(documents.add(versions, id, {}) for id in ("a", "taken", "b")),
        documents.save(versions, Document("gone", 1, {})),
        documents.add(versions, "\ud800", {}),
        documents.add(versions, "c", {}),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == [
        "Document", "Duplicate", "Document", "Stale", "UnicodeEncodeError", "Document",
    ]  # fmt: skip


async def test_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        await SqliteDocuments(tmp_path / "file" / "documents.db").open([WRITTEN])
    (tmp_path / "not.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable):
        await SqliteDocuments(tmp_path / "not.db").open([WRITTEN])


async def test_the_loop_stays_free_while_a_search_reads_everything(
    documents: SqliteDocuments, versions: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search waits until the loop has turned: on the loop's own thread it would wait in vain."""
    await documents.add(versions, "x", {"name": "a name"})
    reading, turned, read = threading.Event(), threading.Event(), documents._rows

    def held(sql: str, values: Sequence[Any]) -> list[Any]:
        reading.set()
        assert turned.wait(60), "the loop stands still"
        return read(sql, values)

    monkeypatch.setattr(documents, "_rows", held)
    searching = asyncio.create_task(documents.find(versions, Query((Contains("name", "zz"),))))
    while not reading.is_set():  # noqa: ASYNC110 - a thread sets no asyncio.Event
        await asyncio.sleep(0)
    turned.set()
    assert await searching == []
