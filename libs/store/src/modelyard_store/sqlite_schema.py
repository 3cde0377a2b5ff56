"""Makes the tables and exactly the declared indexes of a SQLite file. Called by `sqlite` when a service opens it."""

import sqlite3
from collections.abc import Sequence

from modelyard_store import sqlite_members, sqlite_sql
from modelyard_store.documents import Collection, Index
from modelyard_store.sqlite_sql import OUTBOX, raw, value_of


def declare(connection: sqlite3.Connection, collections: Sequence[Collection]) -> None:
    """Inside a transaction. What is there already and unchanged is left alone, so this is cheap at every start."""
    for collection in collections:
        connection.execute(_table(collection))
        there = _existing(connection, "index", collection.name)
        wanted = _indexes(collection)
        for name in there.keys() - wanted.keys() | {name for name in wanted if there.get(name, "") != wanted[name]}:
            connection.execute(f'DROP INDEX IF EXISTS "{name}"')
            if name in wanted:
                connection.execute(wanted[name])
        _declare_kept_tables(connection, collection)


def _declare_kept_tables(connection: sqlite3.Connection, collection: Collection) -> None:
    """Those that triggers keep in step with the documents: the text index, indexes over lists, what is kept aside."""
    text = f"{collection.name}__text"
    aside = sqlite_sql.aside_table(collection)
    wanted = {
        text: _text_index(collection) if collection.substrings else [],
        aside: _aside_table(collection) if collection.aside else [],
        **sqlite_members.tables(collection),
    }
    triggers = _existing(connection, "trigger", collection.name)
    pattern = f"{collection.name} members (*"
    found = connection.execute("SELECT name FROM sqlite_master WHERE type='table' AND name GLOB ?", (pattern,))
    for name in sorted({*wanted, *(row[0] for row in found)}):
        statements = wanted.get(name, [])
        mine = {trigger: sql for trigger, sql in triggers.items() if trigger.startswith(name)}
        own = (*_existing(connection, "table", name).values(), *_existing(connection, "index", name).values())
        there = {*own, *mine.values()}
        if there == {statement for statement in statements if statement.startswith("CREATE")}:
            continue
        for trigger in mine:
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')
        for statement in statements:
            connection.execute(statement)


def _existing(connection: sqlite3.Connection, kind: str, table: str) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type=? AND tbl_name=? AND sql IS NOT NULL", (kind, table)
        )
    )


def _table(collection: Collection) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {collection.name} (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, "
        "revision INTEGER NOT NULL, body TEXT NOT NULL)"
    )


def unique_name(collection: Collection, index: Index) -> str:
    return f"{collection.name} unique ({','.join(index.fields)})"


def _indexes(collection: Collection) -> dict[str, str]:
    """Name and statement of every index. A unique one needs a second index for reading (see `sqlite_sql`)."""
    table = collection.name
    outbox = f"{table} (outbox)"
    wanted = {outbox: f'CREATE INDEX "{outbox}" ON {table}(id) WHERE {OUTBOX}'}
    for index in collection.indexes:
        if not {*collection.members, *collection.numbers}.isdisjoint(index.fields):
            continue  # a table of its own, see `sqlite_members`
        name = f"{table} ({','.join(index.fields)})"
        wanted[name] = f'CREATE INDEX "{name}" ON {table}({",".join(map(value_of, index.fields))},id)'
        if index.unique:
            name = unique_name(collection, index)
            wanted[name] = f'CREATE UNIQUE INDEX "{name}" ON {table}({",".join(map(raw, index.fields))})'
    return wanted


def _text_index(collection: Collection) -> list[str]:
    """A trigram index kept by triggers, in step with the documents whoever writes them. It holds the texts too: what
    is too short for trigrams is looked for in them."""
    name, target = collection.name, f"{collection.name}__text"
    columns = [f"c{n}" for n in range(len(collection.substrings))]
    texts = [raw(field) for field in collection.substrings]
    new, old = (",".join(text.replace("(body", f"({row}.body") for text in texts) for row in ("new", "old"))
    insert = f"INSERT INTO {target}(rowid,{','.join(columns)}) VALUES (new.row,{new});"  # noqa: S608 - checked names
    delete = f"DELETE FROM {target} WHERE rowid=old.row;"  # noqa: S608 - checked names
    return [
        f"CREATE VIRTUAL TABLE {target} USING fts5({','.join(columns)}, tokenize='trigram')",
        f"INSERT INTO {target}(rowid,{','.join(columns)}) SELECT row,{','.join(texts)} FROM {name}",  # noqa: S608 - checked names
        f"CREATE TRIGGER {target}_add AFTER INSERT ON {name} BEGIN {insert} END",
        f"CREATE TRIGGER {target}_remove AFTER DELETE ON {name} BEGIN {delete} END",
        f"CREATE TRIGGER {target}_save AFTER UPDATE OF body ON {name} WHEN ({new}) IS NOT ({old}) "
        f"BEGIN {delete} {insert} END",
    ]


def _aside_table(collection: Collection) -> list[str]:
    """The values that lists show, by row: a page of them reads no bodies."""
    name, target = collection.name, sqlite_sql.aside_table(collection)
    columns = ",".join(sqlite_sql.aside_columns(collection, collection.aside))
    values = ",".join(raw(field) for field in collection.aside)
    new, old = (values.replace("(body", f"({row}.body") for row in ("new", "old"))
    insert = f"INSERT INTO {target}(whole,{columns}) VALUES (new.row,{new});"  # noqa: S608 - checked names
    delete = f"DELETE FROM {target} WHERE whole=old.row;"  # noqa: S608 - checked names
    counted = ",".join(sqlite_sql.aside_columns(collection, collection.counted))
    return [
        f"CREATE TABLE {target} (whole INTEGER PRIMARY KEY,{columns})",
        *([f'CREATE INDEX "{target} counted" ON {target}({counted})'] if counted else []),
        f"INSERT INTO {target}(whole,{columns}) SELECT row,{values} FROM {name}",  # noqa: S608 - checked names
        f"CREATE TRIGGER {target}_add AFTER INSERT ON {name} BEGIN {insert} END",
        f"CREATE TRIGGER {target}_remove AFTER DELETE ON {name} BEGIN {delete} END",
        f"CREATE TRIGGER {target}_save AFTER UPDATE OF body ON {name} WHEN ({new}) IS NOT ({old}) "
        f"BEGIN {delete} {insert} END",
    ]
