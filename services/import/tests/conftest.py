"""A yard of one service: SQLite in a temporary folder, the real S3, and ears instead of a bus."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import IMPORT_FETCH, VERSION_REQUESTED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import Assembly, Original, VersionRequested
from modelyard_contracts.jobs import ImportJob
from modelyard_contracts.shapes import Location, Source, StorageSource
from modelyard_import.domain.images import Registries
from modelyard_import.domain.imports import Import
from modelyard_import.domain.sources import Places
from modelyard_import.fetching.bring import Bring
from modelyard_import.fetching.image import Images
from modelyard_import.fetching.inspection import Inspector
from modelyard_import.fetching.listing import PackageLimits
from modelyard_import.fetching.registry import registry_http
from modelyard_import.fetching.registry_auth import Login
from modelyard_import.handlers.fetch import FetchJobs
from modelyard_import.handlers.imports import ImportHandlers, import_id_of
from modelyard_import.repository import COLLECTIONS, IMPORTS, TRAINING_JOBS, Repository
from modelyard_local.servers import S3Server
from modelyard_runtime.subprocesses import Limits
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_store.outbox import Outbox
from modelyard_store.sqlite import SqliteDocuments
from modelyard_work.ending import Policy

PROJECT = "mine"
POLICY = Policy(lease_ms=10_000, deaths=11, patience=0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


@dataclass
class Ears:
    """Stands in for the bus where only progress is announced."""

    heard: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    async def announce(self, kind: str, entity_id: str, payload: dict[str, Any]) -> None:
        self.heard.append((kind, entity_id, payload))


@dataclass
class Yard:
    documents: SqliteDocuments
    objects: Objects
    repository: Repository
    clock: Clock
    ears: Ears
    buckets: dict[str, str]
    inspector: Inspector
    http: httpx.AsyncClient
    project: str = PROJECT
    folders: dict[str, str] = field(default_factory=dict)
    registries: Registries = field(default_factory=lambda: Registries(()))
    logins: dict[str, Login] = field(default_factory=dict)
    max_image_bytes: int = 10 << 30

    def fetcher(self, objects: Objects | None = None, *, max_bytes: int = 1 << 30) -> FetchJobs:
        objects = objects or self.objects
        limits = PackageLimits(max_files=50, max_bytes=max_bytes)
        places = Places(tuple(self.buckets.values()), self.folders)
        images = Images(objects, self.http, self.registries, self.logins, self.max_image_bytes)
        bring = Bring(self.repository, objects, self.inspector, images, limits, places, self.clock)
        return FetchJobs(self.repository, objects, cast(Bus, self.ears), bring, self.clock, POLICY)

    async def put_folder(self, folder: Path, bucket: str, prefix: str) -> Location:
        for path in sorted(folder.rglob("*")):  # noqa: ASYNC240 - a few small files
            if path.is_file():
                await self.objects.put(bucket, prefix + path.relative_to(folder).as_posix(), path.read_bytes())
        return Location(bucket=bucket, prefix=prefix)

    def requested(
        self,
        source: Source,
        model_id: str | None = None,
        assembly: Assembly | None = None,
        original: Original | None = None,
    ) -> tuple[Envelope, VersionRequested]:
        model_id = model_id or str(uuid.uuid4())
        destination = Location(bucket=self.buckets["artifacts"], prefix=f"{PROJECT}/models/{model_id}/source/")
        fact = VersionRequested(
            model_id=model_id,
            model_name="digits",
            model_version="0.0.1",
            source=source,
            destination=destination,
            assembly=assembly,
            original=original,
        )
        return envelope(VERSION_REQUESTED.subject, model_id, fact.model_dump(mode="json")), fact

    async def wait_for(
        self, source: Source | Location, assembly: Assembly | None = None, original: Original | None = None
    ) -> Import:
        """A waiting import of this source."""
        source = StorageSource(location=source) if isinstance(source, Location) else source
        message, fact = self.requested(source, assembly=assembly, original=original)
        await ImportHandlers(self.repository, self.clock).requested(message, fact)
        return await self.known(fact.model_id)

    async def bring_in(self, source: Source | Location, assembly: Assembly | None = None, **options: Any) -> Import:
        """The whole import in one delivery of its job."""
        waiting = await self.wait_for(source, assembly)
        await self.fetcher(**options).fetch(*self.job(waiting))
        return await self.known(waiting.model_id)

    def job(self, job: Import) -> tuple[Envelope, ImportJob]:
        data = ImportJob(import_id=job.import_id)
        return envelope(IMPORT_FETCH.subject, job.import_id, data.model_dump(mode="json")), data

    async def known(self, model_id: str) -> Import:
        found = await self.repository.imports.get(PROJECT, import_id_of(PROJECT, model_id))
        assert found is not None
        return found

    async def keys_of(self, job: Import) -> list[str]:
        """What lies in the version's source folder."""
        place = job.destination
        return [found.key.removeprefix(place.prefix) async for found in self.objects.list(place.bucket, place.prefix)]

    def envelope(self, subject: str, about: str, data: dict[str, Any], **more: Any) -> Envelope:
        return envelope(subject, about, data, **more)

    async def said(self) -> list[Envelope]:
        """Everything in the outboxes."""
        pages = [await Outbox(self.documents, collection).pending(100) for collection in (IMPORTS, TRAINING_JOBS)]
        return [
            Envelope.model_validate(message.envelope) for page in pages for each in page for message in each.messages
        ]


def envelope(subject: str, about: str, data: dict[str, Any], **more: Any) -> Envelope:
    values = {
        "source": "test",
        "type": subject,
        "subject": about,
        "project": PROJECT,
        "correlationid": "c",
        "data": data,
    }
    return Envelope.model_validate(values | more)


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    documents = SqliteDocuments(tmp_path / "documents.db")
    await documents.open(COLLECTIONS)
    yield documents
    await documents.close()


@pytest.fixture
async def yard(documents: SqliteDocuments, s3_server: S3Server) -> AsyncIterator[Yard]:
    objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
    buckets = {name: f"{name}-of-import" for name in ("artifacts", "training")}  # the server has room for a few only
    own = tuple(buckets.values())
    for bucket in own:
        await objects.ensure_bucket(bucket)
    inspector = Inspector(Limits(wall_seconds=20, cpu_seconds=20))
    http, clock = registry_http(), Clock()
    yield Yard(documents, objects, Repository(documents, lambda: None, clock), clock, Ears(), buckets, inspector, http)
    await http.aclose()
    for bucket in own:
        async for found in objects.list(bucket, ""):
            await objects.remove(bucket, found.key)
    await inspector.stop()
    await objects.close()
