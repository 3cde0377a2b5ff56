"""A file that is locked, full or damaged: readiness says so, nothing is half written, and it is whole again after."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from modelyard_store import sqlite_writer
from modelyard_store.documents import Collection, StoreUnavailable
from modelyard_store.sqlite import SqliteDocuments
from modelyard_testkit.small_disk import fill, small_disk

THINGS = Collection("things")
Open = Callable[[Path], Awaitable[SqliteDocuments]]
LARGE = {"text": "x" * 100_000}


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    made: list[SqliteDocuments] = []

    async def open_one(path: Path) -> SqliteDocuments:
        documents = SqliteDocuments(path)
        made.append(documents)
        await documents.open((THINGS,))
        return documents

    yield open_one
    for documents in made:
        await documents.close()


async def test_a_file_that_another_process_has_locked_is_not_ready(tmp_path: Path, opened: Open) -> None:
    documents = await opened(tmp_path / "things.db")
    with closing(sqlite3.connect(tmp_path / "things.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another process may hold its lock" in str(await documents.check())
        other.execute("ROLLBACK")
    assert await documents.check() is None


class Clock:
    """Goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_lock_that_is_known_to_be_held_is_not_waited_for_again(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, clock = await opened(tmp_path / "things.db"), Clock()
    monkeypatch.setattr(sqlite_writer, "time", clock)

    async def waited(id: str) -> float:
        began = clock.now
        with pytest.raises(StoreUnavailable, match="locked"):
            await documents.add(THINGS, id, {})
        return clock.now - began

    with closing(sqlite3.connect(tmp_path / "things.db", isolation_level=None)) as other:
        for time in range(2):  # the second time it is no longer known
            other.execute("BEGIN IMMEDIATE")
            assert await waited("a") > 9
            assert await waited("b") < 1
            assert await waited("c") < 1
            assert "another process may hold its lock" in str(await documents.check())
            other.execute("ROLLBACK")
            await documents.add(THINGS, f"free{time}", {})


async def test_a_full_disk_is_not_ready_until_there_is_room(tmp_path: Path, opened: Open) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        documents = await opened(disk / "things.db")
        kept = await documents.add(THINGS, "before", LARGE)
        filler = fill(disk)
        assert "full" in str(await documents.check())
        with pytest.raises(StoreUnavailable):
            await documents.add(THINGS, "during", LARGE)
        assert await documents.get(THINGS, "before") == kept
        filler.unlink()
        assert await documents.check() is None
        assert await documents.get(THINGS, "during") is None
        await documents.add(THINGS, "during", LARGE)
        await documents.close()


async def test_a_damaged_page_is_said_once_it_was_met(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "things.db"
    first = await opened(path)
    for number in range(50):
        await first.add(THINGS, f"{number:03d}", LARGE)
    await first.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    documents = await opened(path)
    assert await documents.check() is None, "nobody has met it"
    met = 0
    for number in range(50):
        try:
            assert (await documents.get(THINGS, f"{number:03d}")) is not None
        except StoreUnavailable:
            met += 1
    assert 0 < met < 50
    assert "restore it from a backup" in str(await documents.check())
