"""A register on real documents with simulated time and a bus that only records; plus values to tell it."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import (
    ArchiveVersion,
    CreateVersion,
    DeleteReport,
    DeleteVersions,
    DeletionPreview,
    GetVersion,
    ListVersions,
    RestoreVersion,
    SetAlias,
    VersionPage,
    VersionView,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import (
    ConversionSucceeded,
    EntrySubmitted,
    EvaluationSucceeded,
    ImportFailed,
    ImportSucceeded,
)
from modelyard_contracts.jobs import RecordJob
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import (
    Artifact,
    CodeRef,
    DatasetRef,
    FileEntry,
    Inspection,
    Location,
    Role,
    Signature,
    StorageSource,
    TrainingRef,
)
from modelyard_store.documents import Collection, Document, Documents
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox
from modelyard_testkit.objects import MemoryObjects
from modelyard_version.handlers.aliases import AliasHandlers
from modelyard_version.handlers.arranging import Arranging
from modelyard_version.handlers.comparison import ComparisonCalls
from modelyard_version.handlers.creation import CreationCalls
from modelyard_version.handlers.deletion import DeletionHandlers
from modelyard_version.handlers.history import HistoryHandlers
from modelyard_version.handlers.lineage import LineageCalls
from modelyard_version.handlers.reading import ReadingCalls
from modelyard_version.handlers.reports import ReportEvents
from modelyard_version.handlers.templates import TemplateCalls
from modelyard_version.handlers.updates import UpdateCalls
from modelyard_version.repository.checks import AUDITS, VERIFICATIONS
from modelyard_version.repository.history import HISTORY, HistoryRepository
from modelyard_version.repository.moves import MOVES, MoveRepository
from modelyard_version.repository.templates import TEMPLATES, TemplateRepository
from modelyard_version.repository.versions import COLLECTIONS, AliasRepository, VersionRepository

START = 1_700_000_000_000


class RegisterObjects(MemoryObjects):
    """Knows which prefixes were removed."""

    def __init__(self) -> None:
        super().__init__("artifacts")
        self.removed: list[tuple[str, str]] = []

    async def remove_prefix(self, bucket: str, prefix: str) -> int:
        self.removed.append((bucket, prefix))
        return await super().remove_prefix(bucket, prefix)


@dataclass
class Register:
    documents: Documents
    now: int = START
    objects: RegisterObjects = field(default_factory=RegisterObjects)
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.build(self.documents)

    def build(self, documents: Documents) -> None:
        """Handlers over other documents than the real ones: to let a write fail after it happened."""
        self.versions = VersionRepository(documents, lambda: None, self.clock)
        self.aliases = AliasRepository(documents, lambda: None)
        objects = self.objects
        self.templates = TemplateCalls(TemplateRepository(documents), self.clock)
        arranging = Arranging(self.templates, self.versions, "artifacts")
        self.creation = CreationCalls(self.versions, arranging, "artifacts", self.clock)
        self.aliasing = AliasHandlers(self.versions, self.aliases, MoveRepository(documents), self.clock)
        self.tracing = LineageCalls(self.versions, "artifacts")
        self.reading = ReadingCalls(self.versions, objects, 3600, self.clock)
        self.deletion = DeletionHandlers(self.versions, self.aliasing, objects, "artifacts", self.clock)
        self.reports = ReportEvents(self.versions, self.deletion, self.clock)
        self.histories = HistoryHandlers(self.versions, HistoryRepository(documents), self.clock)
        self.updating = UpdateCalls(self.versions, self.clock)
        self.comparing = ComparisonCalls(self.versions)

    def clock(self) -> int:
        return self.now

    def context(self, *, project: str = "p1", key: str | None = None, actor: str = "alice") -> CallContext:
        return CallContext(project=project, actor=actor, role=Role.WRITER, correlationid="c-1", idempotency_key=key)

    async def create(self, name: str = "digits", *, project: str = "p1", key: str | None = None, **fields: Any) -> str:
        """The model id."""
        source = StorageSource(location=Location(bucket="training", prefix="jobs/1/"))
        request = CreateVersion(model_name=name, **{"source": source, **fields})
        self.now += 1
        return (await self.creation.create(self.context(project=project, key=key), request)).model_id

    async def published(self, name: str = "digits", *, project: str = "p1", **fields: Any) -> str:
        model_id = await self.create(name, project=project, **fields)
        await self.tell(self.reports.import_succeeded, imported(model_id), project=project)
        return model_id

    async def tell(
        self, handler: Callable[[Envelope, Any], Awaitable[None]], fact: Any, *, project: str = "p1"
    ) -> None:
        envelope = Envelope(
            id=f"e-{next(self.ids)}",
            source="modelyard/test",
            type="test",
            subject="entity",
            project=project,
            correlationid="c-2",
            data=fact.model_dump(mode="json"),
        )
        await handler(envelope, fact)

    async def view(self, model_id: str, *, project: str = "p1") -> VersionView:
        return await self.reading.get(self.context(project=project), GetVersion(model_id=model_id))

    async def stored(self, collection: Collection, identifier: str) -> Document:
        found = await self.documents.get(collection, identifier)
        assert found is not None
        return found

    async def delete(self, model_id: str, **how: Any) -> DeleteReport:
        return await self.deletion.delete(self.context(), DeleteVersions(model_id=model_id, **how))

    async def preview(self, model_id: str, **how: Any) -> DeletionPreview:
        return await self.deletion.preview(self.context(), DeleteVersions(model_id=model_id, **how))

    async def archive(self, model_id: str) -> VersionView:
        return await self.deletion.archive(self.context(), ArchiveVersion(model_id=model_id))

    async def restore(self, model_id: str, *, project: str = "p1") -> VersionView:
        return await self.deletion.restore(self.context(project=project), RestoreVersion(model_id=model_id))

    async def listed(self, *, project: str = "p1", **wanted: Any) -> VersionPage:
        page = await self.reading.list(self.context(project=project), ListVersions(**wanted))
        return VersionPage.model_validate_json(page.json)

    def keep_deleted(self, *, days: int) -> None:
        self.deletion = replace(self.deletion, kept_ms=days * 86_400_000)

    async def alias(self, alias: str, number: str | None, name: str = "digits") -> None:
        request = SetAlias(model_name=name, alias=alias, model_version=number)
        await self.aliasing.set_alias(self.context(), request)

    async def said(self, *, trim: bool = True) -> list[Envelope]:
        """What waits in the outboxes, document by document; taken out as the relay does it. Records of histories are
        kept at once and not shown."""
        messages = []
        for collection in COLLECTIONS:
            outbox = Outbox(self.documents, collection)
            for pending in await outbox.pending(1000):
                for message in pending.messages:
                    envelope = Envelope.model_validate(message.envelope)
                    if envelope.type == catalogue.VERSION_RECORD.subject:
                        await self.histories.record(envelope, RecordJob.model_validate(envelope.data))
                    else:
                        messages.append(envelope)
                if trim:
                    await outbox.trim(pending.id, pending.messages[-1].seq)
        return messages


def artifact(artifact_id: str = "a-source", **fields: Any) -> Artifact:
    values: dict[str, Any] = {
        "artifact_id": artifact_id,
        "kind": "source",
        "format": "ONNX",
        "target": "source",
        "location": Location(bucket="artifacts", prefix="p1/models/m/source/"),
        "files": (FileEntry(path="model/digits.onnx", size=5000, sha256="ab" * 32),),
        "digest": "sha256:" + "cd" * 32,
        "size": 5000,
        "inspection": Inspection(format="ONNX", signature=Signature(inputs=(), outputs=())),
        "created_at": START,
    }
    return Artifact(**values | fields)


def imported(model_id: str, *, model_type: str = "ONNX", size: int = 5000) -> ImportSucceeded:
    training = TrainingRef(
        job_id="j-1",
        job_name="digits",
        job_version="V001",
        metrics={"accuracy": 0.97},
        dataset=DatasetRef(uri="s3://datasets/digits", digest="sha256:12"),
        code=CodeRef(repository="https://example.org/digits", commit="abc123"),
    )
    return ImportSucceeded(
        import_id="i-1",
        model_id=model_id,
        artifact=artifact(size=size),
        config=PackageConfig(model_algorithm="image_classification", model_type=model_type),
        config_sha256="ef" * 32,
        training=training,
    )


def refused(model_id: str) -> ImportFailed:
    problems = ({"file": "config.json", "message": "missing", "field": None, "rule": None},)
    return ImportFailed(
        import_id="i-1", model_id=model_id, code="ModelArts.3015", reason="no config", problems=problems
    )


def converted(model_id: str, conversion_id: str = "k-1", target: str = "openvino-fp16") -> ConversionSucceeded:
    made = artifact(f"a-{conversion_id}", kind="conversion", target=target, conversion_id=conversion_id)
    return ConversionSucceeded(conversion_id=conversion_id, model_id=model_id, target=target, artifact=made)


def evaluated(model_id: str, run_id: str = "r-1", entry_id: str | None = None) -> EvaluationSucceeded:
    return EvaluationSucceeded(
        run_id=run_id,
        evaluation_id="ev-1",
        version="V0001",
        model_id=model_id,
        artifact_id="a-source",
        target="source",
        dataset_id="d-1",
        samples=360,
        metrics={"accuracy": 0.96},
        entry_id=entry_id,
    )


def submitted(model_id: str, deadline: int | None) -> EntrySubmitted:
    return EntrySubmitted(
        entry_id="en-1",
        competition_id="co-1",
        model_id=model_id,
        artifact_id="a-source",
        dataset_id="hidden",
        metric="accuracy",
        deadline=deadline,
    )


@dataclass(frozen=True)
class Facts:
    """The builders above, for tests."""

    artifact = staticmethod(artifact)
    imported = staticmethod(imported)
    refused = staticmethod(refused)
    converted = staticmethod(converted)
    evaluated = staticmethod(evaluated)
    submitted = staticmethod(submitted)


@pytest.fixture
def facts() -> Facts:
    return Facts()


async def open_register(url: str) -> AsyncIterator[Register]:
    documents = open_documents(url)
    await documents.open((*COLLECTIONS, TEMPLATES, HISTORY, MOVES, VERIFICATIONS, AUDITS))
    yield Register(documents)
    await documents.close()


@pytest.fixture
async def register(tmp_path: Path) -> AsyncIterator[Register]:
    async for register in open_register(f"sqlite:///{tmp_path}/version.db"):
        yield register


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.servers)])
def document_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/version.db"
    uri: str = request.getfixturevalue("mongo_uri")
    return f"{uri.rstrip('/')}/version_{uuid4().hex}"


@pytest.fixture
async def either(document_url: str) -> AsyncIterator[Register]:
    """The register on SQLite, and over the MongoDB wire: who wins a race is up to the database."""
    async for register in open_register(document_url):
        yield register


@pytest.fixture
async def another_register(document_url: str, either: Register) -> AsyncIterator[Register]:
    """A second process on the documents of `either`."""
    async for register in open_register(document_url):
        yield register
