"""Documents in MongoDB: what production uses. Built by `modelyard_store.open_documents`.

The only file that knows Motor, whose support ends in 2027: PyMongo's own async client has the same methods. Documents
are replaced as a whole, ids are strings and instants integers, so nothing here depends on a server's finer points.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import DuplicateKeyError, PyMongoError

from modelyard_store import mongo_query, rules
from modelyard_store.documents import (
    Body,
    Collection,
    Condition,
    Document,
    Duplicate,
    Query,
    Stale,
    StoreUnavailable,
)

_MILLISECONDS: dict[str, Any] = {
    "serverSelectionTimeoutMS": 5000,
    "connectTimeoutMS": 2000,
    "socketTimeoutMS": 20_000,
}
_CHECK = "modelyard_check"


class MongoDocuments:
    """The `Documents` port on one database. Writes are acknowledged by a majority, from its journal.

    Time limits may be set in the URI."""

    def __init__(self, uri: str, database: str) -> None:
        own = {name: value for name, value in _MILLISECONDS.items() if name.lower() not in uri.lower()}
        self._client: AsyncIOMotorClient[Body] = AsyncIOMotorClient(uri, w="majority", journal=True, **own)
        self._database = self._client[database]
        self._declared: set[Collection] = set()

    async def open(self, collections: Sequence[Collection]) -> None:
        async with _reachable():
            for collection in collections:
                await self._declare(collection)
        self._declared.update(collections)

    async def add(self, collection: Collection, id: str, body: Body) -> Document:
        document = Document(id, 1, rules.from_json(rules.to_json(collection, body)))
        target = self._collection(collection)
        async with _reachable():
            try:
                await target.insert_one(mongo_query.stored(collection, document))
            except DuplicateKeyError as error:
                taken = await target.find_one({"_id": id}) is not None
                raise _duplicate(collection, error, taken=taken) from error
        return document

    async def get(self, collection: Collection, id: str) -> Document | None:
        async with _reachable():
            found = await self._collection(collection).find_one({"_id": id})
        return mongo_query.document(found) if found is not None else None

    async def save(self, collection: Collection, document: Document) -> Document:
        body = rules.from_json(rules.to_json(collection, document.body))
        saved = Document(document.id, document.revision + 1, body)
        async with _reachable():
            try:
                done = await self._collection(collection).replace_one(
                    _at_revision(document), mongo_query.stored(collection, saved)
                )
            except DuplicateKeyError as error:
                raise _duplicate(collection, error, taken=False) from error
        _unless_stale(done.matched_count, document)
        return saved

    async def remove(self, collection: Collection, document: Document) -> None:
        async with _reachable():
            done = await self._collection(collection).delete_one(_at_revision(document))
        _unless_stale(done.deleted_count, document)

    async def find(self, collection: Collection, query: Query) -> list[Document]:
        async with _reachable():
            return [mongo_query.document(found) for found in await self._cursor(collection, query).to_list(None)]

    async def count(self, collection: Collection, where: Sequence[Condition]) -> int:
        rules.check_declared(collection, where)
        async with _reachable():
            return int(await self._collection(collection).count_documents(mongo_query.conditions(where)))

    async def with_outbox(self, collection: Collection, limit: int) -> list[Document]:
        async with _reachable():
            cursor = self._collection(collection).find({"body.outbox": {"$gt": 0}}).sort([("id", 1)]).limit(limit)
            return [mongo_query.document(found) for found in await cursor.to_list(None)]

    async def explain(self, collection: Collection, query: Query) -> str | None:
        async with _reachable():
            plan = await self._cursor(collection, query).explain()
        return index_used(plan["queryPlanner"]["winningPlan"])

    async def check(self) -> str | None:
        try:
            async with _reachable():
                await self._database[_CHECK].replace_one({"_id": "check"}, {"_id": "check"}, upsert=True)
        except StoreUnavailable as error:
            return str(error)
        return None

    async def close(self) -> None:
        self._client.close()

    async def _declare(self, collection: Collection) -> None:
        target, wanted = self._database[collection.name], mongo_query.indexes(collection)
        for name, there in (await target.index_information()).items():
            keys = tuple(key for key, _ in there["key"])
            if keys != ("_id",) and keys not in wanted:
                await target.drop_index(name)
        for keys, options in wanted.items():
            await target.create_index([(key, 1) for key in keys], **options)

    def _collection(self, collection: Collection) -> Any:
        if collection not in self._declared:
            raise LookupError(f"{collection.name} was not given to open()")
        return self._database[collection.name]

    def _cursor(self, collection: Collection, query: Query) -> Any:
        rules.check_query(collection, query)
        found = self._collection(collection).find(mongo_query.selection(query)).sort(mongo_query.order(query))
        return found.skip(query.offset).limit(query.limit)


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable(f"MongoDB: {error}") from error


def _at_revision(document: Document) -> dict[str, Any]:
    return {"_id": document.id, "revision": document.revision}


def _unless_stale(changed: int, document: Document) -> None:
    if changed == 0:
        raise Stale(f"{document.id} is no longer at revision {document.revision}")


def _duplicate(collection: Collection, error: DuplicateKeyError, *, taken: bool) -> Duplicate:
    told = str(error.details)  # servers name the index in different places
    for number, index in enumerate(collection.indexes):
        if not taken and index.unique and f"unique_u{number}" in told.replace("unique.u", "unique_u"):
            return Duplicate(collection.name, index.fields)
    return Duplicate(collection.name, ("id",))


def index_used(winning_plan: Any) -> str | None:
    stages = _stages(winning_plan)
    used = next((stage["indexName"] for stage in stages if stage.get("stage") == "IXSCAN"), None)
    sorts = any(stage.get("stage") == "SORT" for stage in stages)
    return f"{used}{' + sort' if sorts else ''}" if used else None


def _stages(plan: Any) -> Sequence[Mapping[str, Any]]:
    """Every stage of a plan, which servers nest under different names."""
    if isinstance(plan, list):
        return [stage for part in plan for stage in _stages(part)]
    if not isinstance(plan, dict):
        return []
    return [plan, *(stage for part in plan.values() for stage in _stages(part))]
