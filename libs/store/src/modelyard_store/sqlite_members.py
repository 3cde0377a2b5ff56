"""Indexes over lists and maps: a table with one row for each text in a document's list, or each number in its map, kept
by triggers.

So the rows follow the documents within each transaction, whoever writes them. Such a table is its own index: its
columns `k0`, `k1` … are the fields of the declared index, `doc` the document's id and `owner` its row. Of a map, the
last `k` is the name and `number` the number. Called by
`sqlite_schema`; how a query starts from one is in `sqlite_sql`.
"""

from modelyard_store.documents import Collection, Index
from modelyard_store.sqlite_sql import by_document, member_table, path_of, raw, value_of


def tables(collection: Collection) -> dict[str, list[str]]:
    """Name of each table and the statements that make it, fill it and keep it."""
    lists = [index for index in collection.indexes if _list_in(collection, index)]
    maps = [index for index in collection.indexes if index.fields[-1] in collection.numbers]
    return {
        **{member_table(collection, index): _statements(collection, index) for index in lists},
        **{member_table(collection, index): _number_statements(collection, index) for index in maps},
    }


def _list_in(collection: Collection, index: Index) -> str | None:
    return next((field for field in index.fields if field in collection.members), None)


def _statements(collection: Collection, index: Index) -> list[str]:
    name, table, listed = member_table(collection, index), collection.name, _list_in(collection, index)
    assert listed is not None  # noqa: S101 - for the type checker
    keys = [f"k{number}" for number in range(len(index.fields))]

    def of(row: str, expression: str) -> str:
        return expression.replace("(body", f"({row}.body")

    def rows(row: str) -> str:
        values = ",".join("item.value" if field == listed else of(row, value_of(field)) for field in index.fields)
        texts = f"json_each({row}.body,'{path_of(listed)}') AS item WHERE item.type='text'"
        source = f"{table} AS {row},{texts}" if row == "document" else texts
        return f"SELECT DISTINCT {values},{row}.id,{row}.row FROM {source}"  # noqa: S608 - checked names

    def forget(row: str) -> str:
        same = " AND ".join(
            f"k{number} IN (SELECT value FROM json_each({row}.body,'{path_of(listed)}'))"  # noqa: S608 - checked names
            if field == listed
            else f"k{number}={of(row, value_of(field))}"
            for number, field in enumerate(index.fields)
        )
        return f'DELETE FROM "{name}" WHERE {same} AND doc={row}.id;'  # noqa: S608 - checked names

    insert = f'INSERT INTO "{name}"({",".join(keys)},doc,owner)'
    new, old = (",".join(of(row, raw(field)) for field in index.fields) for row in ("new", "old"))
    return [
        f'CREATE TABLE "{name}" ({",".join(keys)},doc,owner,PRIMARY KEY ({",".join(keys)},doc)) WITHOUT ROWID',
        f"{insert} {rows('document')}",
        f'CREATE TRIGGER "{name} add" AFTER INSERT ON {table} BEGIN {insert} {rows("new")}; END',
        f'CREATE TRIGGER "{name} remove" AFTER DELETE ON {table} BEGIN {forget("old")} END',
        f'CREATE TRIGGER "{name} save" AFTER UPDATE OF body ON {table} WHEN ({new}) IS NOT ({old}) '
        f"BEGIN {forget('old')} {insert} {rows('new')}; END",
    ]


def _number_statements(collection: Collection, index: Index) -> list[str]:
    name, table, path = member_table(collection, index), collection.name, path_of(index.fields[-1])
    keys = [f"k{number}" for number in range(len(index.fields))]
    columns = f"{','.join(keys)},number,doc"

    def of(row: str, expression: str) -> str:
        return expression.replace("(body", f"({row}.body")

    def rows(row: str) -> str:
        before = "".join(f"{of(row, value_of(field))}," for field in index.fields[:-1])
        numbers = f"json_each({row}.body,'{path}') AS item WHERE item.type IN ('integer','real')"
        source = f"{table} AS {row},{numbers}" if row == "document" else numbers
        return f"SELECT {before}item.key,item.value,{row}.id,{row}.row FROM {source}"  # noqa: S608 - checked names

    def forget(row: str) -> str:
        same = "".join(f"k{number}={of(row, value_of(field))} AND " for number, field in enumerate(index.fields[:-1]))
        held = f"{keys[-1]} IN (SELECT key FROM json_each({row}.body,'{path}'))"  # noqa: S608 - checked names
        return f'DELETE FROM "{name}" WHERE {same}{held} AND doc={row}.id;'  # noqa: S608 - checked names

    insert = f'INSERT INTO "{name}"({columns},owner)'
    new, old = (",".join(of(row, raw(field)) for field in index.fields) for row in ("new", "old"))
    return [
        f'CREATE TABLE "{name}" ({columns},owner,PRIMARY KEY ({columns})) WITHOUT ROWID',
        f'CREATE INDEX "{by_document(collection, index)}" ON "{name}"({",".join(keys)},doc)',
        f"{insert} {rows('document')}",
        f'CREATE TRIGGER "{name} add" AFTER INSERT ON {table} BEGIN {insert} {rows("new")}; END',
        f'CREATE TRIGGER "{name} remove" AFTER DELETE ON {table} BEGIN {forget("old")} END',
        f'CREATE TRIGGER "{name} save" AFTER UPDATE OF body ON {table} WHEN ({new}) IS NOT ({old}) '
        f"BEGIN {forget('old')} {insert} {rows('new')}; END",
    ]
