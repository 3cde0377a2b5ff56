"""Versions as documents: the named queries of this service on its main collection.

Archived versions and tombstones lie in projects of their own (see domain.versions), so every query here is about
versions in use, unless it says otherwise.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from modelyard_bus.calls import Written
from modelyard_contracts.calls.version import HistoryRecord, ListVersions, VersionPage
from modelyard_contracts.catalogue import VERSION_RECORD
from modelyard_contracts.ids import derived_id
from modelyard_contracts.jobs import RecordJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_contracts.package import MODEL_TYPES
from modelyard_runtime.clock import now_ms
from modelyard_store.aggregates import Aggregates, Nudge
from modelyard_store.documents import (
    AnyOf,
    Between,
    Collection,
    Condition,
    Contains,
    Document,
    Documents,
    Duplicate,
    Equals,
    Has,
    Index,
    Measures,
    Query,
    Sort,
    Stale,
)
from modelyard_store.outbox import TOLD
from modelyard_store.watched import due_by
from modelyard_version.domain.aliases import Alias
from modelyard_version.domain.cursors import Position, cursor_after, position_of
from modelyard_version.domain.history import Head, Occasion, recorded
from modelyard_version.domain.metrics import stored_name
from modelyard_version.domain.search import METRICS, Comparison, comparisons
from modelyard_version.domain.versions import GENESIS, Version, VersionOutcome, archive_of
from modelyard_version.errors import Contended
from modelyard_version.repository.derived import DERIVED, DerivedVersions, derived, tag_text
from modelyard_work.sweeping import each_once

VERSIONS: Final = Collection(
    "versions",
    indexes=(
        Index(("project", "model_name", "model_version"), unique=True),
        Index(("home", "model_name", "model_version"), unique=True),
        Index(("home", "model_name", "version_order")),
        Index(("home", "name_key")),
        Index(("expires_at",)),
        Index(("project", "model_name", "version_order")),
        Index(("project", "model_name", "create_at")),
        Index(("project", "model_name", "model_size")),
        Index(("project", "model_version", "create_at")),
        Index(("project",)),
        Index(("project", "create_at")),
        Index(("project", "version_order")),
        Index(("project", "model_size")),
        Index(("project", "model_status", "create_at")),
        Index(("project", "model_type", "create_at")),
        Index(("project", "workspace_id", "create_at")),
        Index(("project", "labels", "create_at")),
        Index(("project", "labels", "version_order")),
        Index(("project", "labels", "model_size")),
        Index(("project", "created_by", "create_at")),
        Index(("project", "aliases", "create_at")),
        Index(("project", "tagged", "create_at")),
        Index(("project", "metrics")),
        Index(("derived",)),
        Index(("project", "training.job_id", "create_at")),
        Index(("project", "training.job_id", "training.job_version", "create_at")),
        Index(("project", "training.dataset.digest", "create_at")),
        Index(("project", "training.dataset.uri", "create_at")),
        Index(("project", "training.code.commit", "create_at")),
        Index(("project", "training.code.commit", "training.code.repository", "create_at")),
        Index(("project", "source.training_job_id", "create_at")),
        Index(("project", "evaluated_on", "create_at")),
        Index(("project", "imported_from", "create_at")),
        due_by("model_status"),
        TOLD,
    ),
    substrings=("model_name", "description"),
    members=("labels", "aliases", "tagged", "evaluated_on", "imported_from"),
    numbers=("metrics",),
    aside=("row", "project", "model_name", "model_status", "create_at", "version_order", "model_size"),
    counted=("project", "model_name"),
)
SORTS: Final = {"create_at": "create_at", "model_version": "version_order", "model_size": "model_size"}
ALIASES: Final = Collection("aliases", indexes=(Index(("project", "model_name", "alias")), TOLD))
COLLECTIONS: Final = (VERSIONS, ALIASES)
OWN_NAME: Final = "service:version"
MOST_BYTES: Final = 800_000
"""Of the rows of one page: a message holds 1 MiB."""
PAGE: Final = 50
"""Versions that are in memory at once while all are walked."""

Decide = Callable[[Version], VersionOutcome | None]


class Overtaken(Exception):
    """Somebody else moved the alias since it was read."""


class VersionRepository:
    """Versions in use of one project, archived ones and tombstones for the few who must see them.

    Whatever changes a version goes through here, and gets its record in the version's history here."""

    def __init__(self, documents: Documents, nudge: Nudge, now: Callable[[], int] = now_ms) -> None:
        self._documents = documents
        self._now = now
        self.watched = self._versions = DerivedVersions(
            documents, VERSIONS, Version, "version", nudge, now=now, waits_by="model_status", waits_in=("publishing",)
        )

    async def add(self, outcome: VersionOutcome, cause: Cause) -> None:
        """Raises Duplicate, by id or by (project, name, number)."""
        told = recorded(None, outcome, self._occasion(cause))
        version = told.value
        await self._versions.add(version.project, version.model_id, told, cause)

    async def get(self, project: str, model_id: str) -> Version | None:
        """None also for an archived one, a tombstone and a version of another project."""
        return await self._versions.get(project, model_id)

    async def archived(self, project: str, model_id: str) -> Version | None:
        return await self._versions.get(archive_of(project), model_id)

    async def kept(self, project: str, model_id: str) -> Version | None:
        """In use or archived: what lies in its folder is needed."""
        found = await self._versions.get(None, model_id)
        return found if found and found.deleted_at is None and found.owner == project else None

    async def highest(self, project: str, model_name: str) -> int | None:
        """The order of the highest number that the name has ever had; None for a new name."""
        orders = await self._orders(project, Equals("model_name", model_name))
        return max(orders, default=None)

    async def used(self, project: str, model_name: str, model_version: str) -> bool:
        """Whether the name has, or ever had, a version of that number."""
        return bool(
            await self._orders(project, Equals("model_name", model_name), Equals("model_version", model_version))
        )

    async def _orders(self, project: str, *where: Condition) -> list[int]:
        """The highest of those that have, or had, their number in the project, wherever they lie now."""
        newest = (Sort("version_order", descending=True),)
        found = [
            version
            for place in ("home", "project")  # versions of earlier releases have no home
            for version in await self._documents.find(
                VERSIONS, Query(where=(Equals(place, project), *where), sort=newest, limit=1, only=("version_order",))
            )
        ]
        return [version.body["version_order"] for version in found]

    async def twin(self, project: str, model_name: str) -> str | None:
        """A name that the project has had a version of and that differs by upper and lower case only."""
        where = (Equals("home", project), Equals("name_key", model_name.casefold()))
        found = await self._documents.find(VERSIONS, Query(where=where, limit=1, only=("model_name",)))
        return next((str(each.body["model_name"]) for each in found if each.body["model_name"] != model_name), None)

    async def expired(self, limit: int) -> list[str]:
        """Ids of archived versions, of any project, whose time is over."""
        query = Query(where=(Between("expires_at", 0, self._now()),), sort=(Sort("expires_at"),), limit=limit)
        return [found.id for found in await self._documents.find(VERSIONS, query)]

    async def change(self, project: str | None, model_id: str, decide: Decide, cause: Cause) -> Version | None:
        """The version as it is afterwards, None when there is none (any more). Raises Contended."""

        def decided(version: Version) -> VersionOutcome | None:
            outcome = decide(version)
            return outcome and recorded(version, outcome, self._occasion(cause))

        try:
            return await self._versions.change(project, model_id, decided, cause)
        except Stale as error:
            raise Contended(f"version {model_id}") from error

    async def any(self, model_id: str) -> Version | None:
        """Tombstones too."""
        return await self._versions.get(None, model_id)

    async def head(self, project: str, model_id: str) -> tuple[Head | None, list[HistoryRecord]]:
        """The head of a version's history, also of a tombstone of any project, and the records that wait to be sent.

        None when there is no such document, or it is a living version of another project."""
        found = await self._documents.get(VERSIONS, model_id)
        if found is None or _foreign(found, project):
            return None, []
        body = found.body
        envelopes = [message["envelope"] for message in body.get("events", ())]
        waiting = [
            RecordJob.model_validate(envelope["data"]).record
            for envelope in envelopes
            if envelope["type"] == VERSION_RECORD.subject and envelope["project"] == project
        ]
        return Head(body.get("history_seq", 0), body.get("history_hash", GENESIS), body.get("history_at", 0)), waiting

    def _occasion(self, cause: Cause) -> Occasion:
        return Occasion(cause.by or OWN_NAME, self._now(), cause.correlationid or "")

    async def numbered(self, project: str, model_name: str, model_version: str) -> Version | None:
        where = (*_named(project, model_name), Equals("model_version", model_version))
        found = await self._versions.find(Query(where=where, limit=1))
        return found[0] if found else None

    async def under(self, project: str, model_name: str) -> AsyncIterator[Version]:
        """All of the name in the order of their numbers, a page at a time."""
        query = Query(where=_named(project, model_name), sort=(Sort("version_order"),), limit=PAGE)
        async for version in self._walked(query, lambda last: (last.version_order, last.model_id)):
            yield version

    async def all_of(self, project: str) -> AsyncIterator[Version]:
        """Every version of the project, archived ones too, by id, a page at a time; what is made, moved or deleted
        meanwhile may be missed."""
        walks = [self._in(place) for place in (project, archive_of(project))]
        heads = [await anext(walk, None) for walk in walks]
        while left := [head for head in heads if head is not None]:
            first = min(left, key=lambda head: head.model_id)
            yield first
            place = heads.index(first)
            heads[place] = await anext(walks[place], None)

    def _in(self, place: str) -> AsyncIterator[Version]:
        query = Query(where=(Equals("project", place),), limit=PAGE)
        return self._walked(query, lambda last: (last.model_id,))

    async def _walked(self, query: Query, position: Callable[[Version], tuple[Any, ...]]) -> AsyncIterator[Version]:
        while found := await self._versions.find(query):
            for version in found:
                yield version
            query = replace(query, after=position(found[-1]))

    async def traced(self, project: str, wanted: Sequence[Condition], limit: int) -> list[Version]:
        """Newest first. Each field must be indexed."""
        query = Query(
            where=(Equals("project", project), *wanted), sort=(Sort("create_at", descending=True),), limit=limit
        )
        return await self._versions.find(query)

    async def page(self, project: str, wanted: ListVersions) -> Written[VersionPage]:
        """One page of rows, how many there are on all pages unless the page has a cursor or a `where` whose rows go on
        behind it, and where the next begins. It ends early where the rows fill a message.

        Raises BadCursor and BadWhere."""
        compared = comparisons(wanted.where) if wanted.where is not None else ()
        where = tuple(_conditions(archive_of(project) if wanted.archived else project, wanted, compared))
        sort = (Sort(_sorted_by(wanted.sort_by), descending=wanted.order == "desc"),)
        after = position_of(wanted)
        only = ("row",) if wanted.sort_by.startswith(METRICS) else ("row", sort[0].field)
        query = Query(where, sort, offset=wanted.offset, limit=wanted.limit + 1, after=after, only=only)
        found = await self._documents.find(VERSIONS, query)
        rows = await self._fitting(found[: wanted.limit])
        more = len(found) > len(rows)
        total = None
        if after is None and not more and (rows or not wanted.offset):  # the last page tells the total
            total = wanted.offset + len(rows)
        elif after is None and wanted.where is None:  # counting costs time per match
            total = await self._documents.count(VERSIONS, where)
        cursor = cursor_after(wanted, _position(wanted, query, found[len(rows) - 1])) if more else None
        ends = f'"count":{len(rows)},"models":[{",".join(rows)}],"next_cursor":{json.dumps(cursor)}'
        return Written(f'{{"total_count":{json.dumps(total)},{ends}}}')

    async def _fitting(self, found: Sequence[Document]) -> list[str]:
        rows: list[str] = []
        room = MOST_BYTES
        for document in found:
            row = document.body.get("row") or await self._row(document.id)
            room -= len(row.encode()) + 1
            if rows and room < 0:
                break
            rows.append(row)
        return rows

    async def _row(self, model_id: str) -> str:
        """Of a document of an earlier release."""
        version = await self._versions.get(None, model_id)
        return str(derived(version)["row"]) if version else "null"

    async def derive(self) -> int:
        """Give documents of earlier releases what lists look for; how many. A chore."""
        return await each_once(self._underived, self._derive)

    async def _underived(self) -> list[str]:
        query = Query(where=(AnyOf("derived", (None, *range(1, DERIVED))),), limit=PAGE, only=("derived",))
        return [found.id for found in await self._documents.find(VERSIONS, query)]

    async def _derive(self, model_id: str) -> bool:
        document = await self._documents.get(VERSIONS, model_id)
        version = await self._versions.get(None, model_id)
        if document is None or version is None:
            return False
        try:
            await self._documents.save(VERSIONS, replace(document, body=document.body | derived(version)))
        except Stale:  # whoever saved it has written them
            return False
        return True


class AliasRepository:
    """One document for each alias of a name. It stays when the alias is removed: its move number must only rise."""

    def __init__(self, documents: Documents, nudge: Nudge) -> None:
        self._aliases = Aggregates(documents, ALIASES, Alias, "version", nudge)

    async def get(self, project: str, model_name: str, alias: str) -> Alias:
        """One that was never moved when there is none."""
        found = await self._aliases.get(project, _alias_id(project, model_name, alias))
        return found or Alias(project, model_name, alias)

    async def of_name(self, project: str, model_name: str) -> list[Alias]:
        query = Query(where=_named(project, model_name), sort=(Sort("alias"),))
        return await self._aliases.find(query)

    async def replace(self, seen: Alias, outcome: Outcome[Alias], cause: Cause) -> None:
        """Raises Overtaken when the alias is not as it was `seen` any more."""
        id = _alias_id(seen.project, seen.model_name, seen.alias)

        def decided(now: Alias) -> Outcome[Alias]:
            if now.move != seen.move:
                raise Overtaken
            return outcome

        if seen.move:
            await self._aliases.change(seen.project, id, decided, cause)
            return
        try:
            await self._aliases.add(seen.project, id, outcome, cause)
        except Duplicate as error:
            raise Overtaken from error


def _alias_id(project: str, model_name: str, alias: str) -> str:
    return derived_id(project, "version.alias", model_name, alias)


def _foreign(found: Document, project: str) -> bool:
    """A tombstone of an earlier release does not say whose it was."""
    home = found.body.get("home") or found.body["project"]
    return bool(home != project and (found.body.get("home") or found.body["deleted_at"] is None))


def _named(project: str, model_name: str) -> tuple[Condition, ...]:
    return Equals("project", project), Equals("model_name", model_name)


def _conditions(project: str, wanted: ListVersions, compared: Sequence[Comparison] = ()) -> Iterable[Condition]:
    yield Equals("project", project)
    if wanted.model_name:
        match = Equals if wanted.exact_match else Contains
        yield match("model_name", wanted.model_name)
    for field in ("model_version", "model_status", "model_type", "workspace_id"):
        if (value := getattr(wanted, field)) is not None:
            yield Equals(field, value)
    if wanted.not_model_type:  # also those whose type is not known yet
        yield AnyOf("model_type", (None, *(name for name in MODEL_TYPES if name != wanted.not_model_type)))
    if wanted.description:
        yield Contains("description", wanted.description)
    yield from (Has("labels", label) for label in wanted.label)
    yield from map(_compared, compared)
    asked = {each.name for each in compared if each.field == "metrics"}
    if (metric := wanted.sort_by.removeprefix(METRICS)) != wanted.sort_by and metric not in asked:
        yield Measures("metrics", stored_name(metric))


def _compared(wanted: Comparison) -> Condition:
    if wanted.field == "metrics":
        return Measures("metrics", stored_name(wanted.name), wanted.low, wanted.high)
    if wanted.text is None:
        return Between(wanted.field, wanted.low, wanted.high)
    if wanted.field == "tags":
        return Has("tagged", tag_text(wanted.name, wanted.text))
    if wanted.field in VERSIONS.members:
        return Has(wanted.field, wanted.text)
    match = Contains if wanted.contained else Equals
    return match(wanted.field, wanted.text)


def _sorted_by(name: str) -> str:
    metric = name.removeprefix(METRICS)
    return SORTS[name] if metric == name else f"metrics.{stored_name(metric)}"


def _position(wanted: ListVersions, query: Query, row: Document) -> Position:
    value, id = query.position(row)
    if wanted.sort_by.startswith(METRICS):  # which the row shows
        value = json.loads(row.body["row"])["metrics"][wanted.sort_by.removeprefix(METRICS)]
    return value if isinstance(value, int | float) else 0, str(id)
