"""Documents in one SQLite file: the zero-install default. Built by `modelyard_store.open_documents`.

JSON text in one table per collection, WAL, `synchronous=FULL`: what was acknowledged survives a power cut. Reads run
in a few threads with a connection each, writes in one thread (see `sqlite_writer`). Several processes may use the
file. Needs SQLite 3.38 with FTS5.
"""

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any, Final, TypeVar

from modelyard_contracts import codes
from modelyard_contracts.failures import FailureKind, NotStorable
from modelyard_store import rules, sqlite_schema, sqlite_sql
from modelyard_store.documents import (
    Body,
    Collection,
    Condition,
    Document,
    Duplicate,
    Has,
    Query,
    Sort,
    Stale,
    StoreUnavailable,
)
from modelyard_store.sqlite_writer import Writer, connect, damage_in

T = TypeVar("T")
_READERS = 4
_CHECK = Collection("modelyard_check")
_ROOM = json.dumps({"room": "." * 32_768})
"""What a check writes: about what a change of one document needs of the disk."""
CHECK_SECONDS: Final = 1.0


class SqliteDocuments:
    """The `Documents` port on the file at `path`. Its folder is made if it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Writer | None = None
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix=f"reads {path.name}")
        self._mine = local()
        self._connections: list[sqlite3.Connection] = []
        self._declared: set[Collection] = set()
        self._opening = asyncio.Lock()
        self._closed = False
        self._damage: str | None = None

    async def open(self, collections: Sequence[Collection]) -> None:
        async with self._opening:
            if self._writer is None:
                self._writer = await self._off_loop(self._start)
            await self._writer.submit(lambda connection: sqlite_schema.declare(connection, (_CHECK, *collections)))
            self._declared.update(collections, (_CHECK,))

    async def add(self, collection: Collection, id: str, body: Body) -> Document:
        text = rules.to_json(collection, body)
        document = Document(id, 1, rules.from_json(text))
        sql = f"INSERT INTO {self._table(collection)}(id,revision,body) VALUES (?,1,?)"  # noqa: S608 - a checked name
        await self._write(lambda connection: _unless_duplicate(connection, collection, id, sql, (id, text)))
        return document

    async def get(self, collection: Collection, id: str) -> Document | None:
        sql = f"SELECT id,revision,body FROM {self._table(collection)} WHERE id=?"  # noqa: S608 - a checked name
        rows = await self._read(sql, [id])
        return _document(rows[0]) if rows else None

    async def save(self, collection: Collection, document: Document) -> Document:
        text = rules.to_json(collection, document.body)
        saved = Document(document.id, document.revision + 1, rules.from_json(text))
        sql = f"UPDATE {self._table(collection)} SET revision=revision+1, body=? WHERE id=? AND revision=?"  # noqa: S608 - names of ours
        values = (text, document.id, document.revision)
        await self._write(lambda c: _unless_stale(_unless_duplicate(c, collection, document.id, sql, values), document))
        return saved

    async def remove(self, collection: Collection, document: Document) -> None:
        sql = f"DELETE FROM {self._table(collection)} WHERE id=? AND revision=?"  # noqa: S608 - a checked name
        await self._write(lambda c: _unless_stale(c.execute(sql, (document.id, document.revision)).rowcount, document))

    async def find(self, collection: Collection, query: Query) -> list[Document]:
        rules.check_query(collection, query)
        self._table(collection)

        def read() -> list[Document]:
            with self._snapshot():
                hits = self._hits(collection, query.where, query.sort, query.only)
                rows = self._rows(*sqlite_sql.select(collection, query, hits))
            if sqlite_sql.kept_aside(collection, query.only):
                shown = (dict(zip(query.only, row[2:], strict=True)) for row in rows)
                return [Document(row[0], row[1], body) for row, body in zip(rows, shown, strict=True)]
            return [_document(row, query.only) for row in rows]

        return await self._off_loop(read)

    async def count(self, collection: Collection, where: Sequence[Condition]) -> int:
        rules.check_declared(collection, where)
        self._table(collection)

        def read() -> int:
            with self._snapshot():
                hits = self._hits(collection, where)
                return int(self._rows(*sqlite_sql.count(collection, where, hits))[0][0])

        return await self._off_loop(read)

    async def with_outbox(self, collection: Collection, limit: int) -> list[Document]:
        sql = (
            f"SELECT id,revision,body FROM {self._table(collection)} "  # noqa: S608 - a checked name
            f"WHERE {sqlite_sql.OUTBOX} ORDER BY id LIMIT ?"
        )
        return [_document(row) for row in await self._read(sql, [limit])]

    async def explain(self, collection: Collection, query: Query) -> str | None:
        rules.check_query(collection, query)

        def read() -> str | None:
            sql, values = sqlite_sql.select(
                collection, query, self._hits(collection, query.where, query.sort, query.only)
            )
            return _index_used(collection, [row[3] for row in self._rows(f"EXPLAIN QUERY PLAN {sql}", values)])

        return await self._off_loop(read)

    async def check(self) -> str | None:
        """A write takes as long as the lock of another process does; it is not waited for longer than a moment."""
        sql = f"INSERT OR REPLACE INTO {_CHECK.name}(id,revision,body) VALUES ('check',1,?)"  # noqa: S608 - names of ours
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._write(lambda connection: connection.execute(sql, (_ROOM,)))
        except TimeoutError:
            return f"{self._path}: a write takes longer than {CHECK_SECONDS:g} s; another process may hold its lock"
        except StoreUnavailable as error:
            return str(error)
        damage = self._damage or (self._writer.damage if self._writer else None)
        return damage and f"{self._path} is damaged: stop the service and restore it from a backup ({damage})"

    async def close(self) -> None:
        """Waits until everything submitted is committed."""
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._stop)

    def _start(self) -> Writer:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            writer = Writer(self._path)
            writer.start()
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
        return writer

    def _stop(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._readers.shutdown()
        while self._connections:
            self._connections.pop().close()

    def _table(self, collection: Collection) -> str:
        if collection not in self._declared:
            raise LookupError(f"{collection.name} was not given to open()")
        return collection.name

    async def _write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            raise StoreUnavailable(f"{self._path} is not open")
        return await self._writer.submit(run)

    async def _read(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return await self._off_loop(lambda: self._rows(sql, values))

    async def _off_loop(self, run: Callable[[], T]) -> T:
        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except sqlite3.Error as error:
            self._damage = self._damage or damage_in(error)
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def _rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return self._connection().execute(sql, values).fetchall()

    def _hits(
        self,
        collection: Collection,
        where: Sequence[Condition],
        sort: Sequence[Sort] = (),
        only: tuple[str, ...] = (),
    ) -> sqlite_sql.Hits | None:
        """The rows that one condition leaves, if they are few: the query then starts from them."""
        cheap, dear = sqlite_sql.findable(collection, where)
        if not dear and len(cheap) == 1 and isinstance(cheap[0], Has):
            return None  # the walk along a list's own index stops at the end of the page
        few = sqlite_sql.FEW_ASIDE if sqlite_sql.kept_aside(collection, only) else sqlite_sql.FEW
        # A walk along numbers comes by all documents that have one, however few meet the other conditions.
        walked = sqlite_sql.orders_by_number(where, sort)
        for most in (few, few * len((*cheap, *dear))) if walked else (few,):
            for wanted in (cheap, dear):
                found = [sqlite_sql.hits(collection, where, each, most) for each in wanted]
                counts = [int(self._rows(*each.count())[0][0]) for each in found]
                if min(counts, default=most + 1) <= most:
                    return found[counts.index(min(counts))]
        return None

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """What is read within belongs to one moment."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        """The one of this thread."""
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = connect(self._path)
            connection.execute("PRAGMA query_only=1")
            self._connections.append(connection)
        return connection


def _unless_duplicate(
    connection: sqlite3.Connection, collection: Collection, id: str, sql: str, values: tuple[Any, ...]
) -> int:
    try:
        return connection.execute(sql, values).rowcount
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            message = f"{collection.name}: {error}"
            raise NotStorable(FailureKind.INVALID, codes.PARAMETER_INVALID, message) from error
        for index in collection.indexes:
            if index.unique and f"'{sqlite_schema.unique_name(collection, index)}'" in str(error):
                taken = (
                    sql.startswith("INSERT")
                    and connection.execute(
                        f"SELECT 1 FROM {collection.name} WHERE id=?",  # noqa: S608 - a checked name
                        (id,),
                    ).fetchone()
                )
                raise Duplicate(collection.name, ("id",) if taken else index.fields) from error
        raise Duplicate(collection.name, ("id",)) from error


def _unless_stale(changed: int, document: Document) -> None:
    if changed == 0:
        raise Stale(f"{document.id} is no longer at revision {document.revision}")


def _document(row: tuple[str, int, str], only: tuple[str, ...] = ()) -> Document:
    found = json.loads(row[2])  # what lies there was checked on its way in
    return Document(row[0], row[1], dict(zip(only, found, strict=False)) if only else found)


def _index_used(collection: Collection, plan: Sequence[str]) -> str | None:
    members = next((line for line in plan if line.startswith(f"SEARCH {collection.name} members")), None)
    table = next(line for line in plan if re.match(rf"(SEARCH|SCAN) {collection.name}\b(?!__| members)", line))
    if "SCAN hits" in plan:
        used = f"{collection.name} known rows"
    elif members:
        used = members.removeprefix("SEARCH ").partition(" USING ")[0]
    elif table.startswith("SCAN"):
        return None
    else:
        used = re.sub(r" \([^()]*\?\)$", "", table.partition("INDEX ")[2])
    return used + (" + sort" if any("USE TEMP B-TREE FOR" in line for line in plan) else "")
