"""The publish service on SQLite with simulated time; the two services it asks are played behind `CallClient`'s form."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from pydantic import BaseModel

from modelyard_bus.calls import CallClient
from modelyard_contracts.calls import Call, evaluate, publish, version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import EvaluationFailed, EvaluationSucceeded, VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import (
    Artifact,
    CompetitionOrder,
    EvaluationOrder,
    FileEntry,
    GalleryOrder,
    Inspection,
    Location,
    Plan,
    Role,
    Signature,
    StorageSource,
    TensorSpec,
)
from modelyard_publish.handlers.competitions import CompetitionCalls
from modelyard_publish.handlers.entries import EntryCalls
from modelyard_publish.handlers.gallery import GalleryCalls
from modelyard_publish.handlers.plans import VersionEvents
from modelyard_publish.handlers.scores import EvaluationEvents
from modelyard_publish.register import Register
from modelyard_publish.repository import COLLECTIONS, Repository
from modelyard_store.documents import Documents
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox

START = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
HOUR = 3_600_000
PLACE = Location(bucket="artifacts", prefix="p1/models/m/source/")


def artifact(artifact_id: str = "a-source", **fields: Any) -> Artifact:
    signature = Signature(
        inputs=(TensorSpec(name="image", dtype="float32", shape=("batch", 1, 8, 8)),),
        outputs=(TensorSpec(name="scores", dtype="float32", shape=(None, 10)),),
    )
    values: dict[str, Any] = {
        "artifact_id": artifact_id,
        "kind": "source",
        "format": "ONNX",
        "target": "source",
        "location": PLACE,
        "files": (FileEntry(path="model/digits.onnx", size=5000, sha256="ab" * 32),),
        "digest": "sha256:" + "cd" * 32,
        "size": 5000,
        "inspection": Inspection(format="ONNX", signature=signature),
        "created_at": START,
    }
    return Artifact(**values | fields)


def version_view(model_id: str = "m1", **fields: Any) -> version.VersionView:
    values: dict[str, Any] = {
        "model_id": model_id,
        "model_name": "digits",
        "model_version": "0.0.1",
        "model_status": "published",
        "model_type": "ONNX",
        "model_size": 5000,
        "description": "",
        "labels": (),
        "source_type": None,
        "workspace_id": None,
        "aliases": (),
        "create_at": START,
        "created_by": "alice",
        "project": "p1",
        "source": StorageSource(location=PLACE),
        "model_docs": (),
        "install_type": ("edge",),
        "specification": version.Specification(),
        "config": None,
        "artifacts": (artifact(f"{model_id}-source"),),
        "evaluations": (),
        "training": None,
        "plan": Plan(),
        "scan": None,
        "failure": None,
        "in_use": (),
        "updated_at": START,
    }
    return version.VersionView(**values | fields)


def dataset_view(dataset_id: str, *, hidden: bool) -> evaluate.DatasetView:
    return evaluate.DatasetView(
        dataset_id=dataset_id,
        name=f"{dataset_id}-name",
        kind="image-folder",
        location=Location(bucket="datasets", prefix="digits/"),
        hidden=hidden,
        classes={"0": 5, "1": 5},
        samples=10,
        size=1000,
        digest="sha256:" + "ef" * 32,
        created_at=START,
        created_by="bob",
    )


@dataclass
class OtherServices:
    """Versions and datasets by id, each visible to its project alone. `failure` is raised instead of any answer;
    `before_answer` runs once, between a question and its answer."""

    versions: dict[str, version.VersionView] = field(default_factory=dict)
    datasets: dict[str, tuple[str, evaluate.DatasetView]] = field(default_factory=dict)
    failure: Failure | None = None
    asked: list[tuple[str, CallContext]] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[None]] | None = None

    async def __call__(
        self, call: Call[Any, Any], context: CallContext, request: BaseModel, timeout: float = 5
    ) -> BaseModel:
        self.asked.append((call.subject, context))
        if self.before_answer:
            once, self.before_answer = self.before_answer, None
            await once()
        if self.failure:
            raise self.failure
        if isinstance(request, evaluate.GetDataset):
            project, dataset = self.datasets.get(request.dataset_id, ("", None))
            if dataset is None or project != context.project:
                raise Failure(FailureKind.NOT_FOUND, "ModelArts.3001", f"no dataset {request.dataset_id!r}")
            return dataset
        assert isinstance(request, version.GetVersion | version.GetFiles)
        found = self.versions.get(request.model_id)
        if found is None or found.project != context.project:
            raise Failure(FailureKind.NOT_FOUND, "ModelArts.3001", f"no model {request.model_id!r}")
        if isinstance(request, version.GetVersion):
            return found
        file = version.FileLink(path="model/digits.onnx", size=5000, sha256="ab" * 32, url="http://objects/x?signed")
        return version.FileLinks(
            model_id=found.model_id,
            artifact_id=found.artifacts[0].artifact_id,
            digest=found.artifacts[0].digest,
            files=(file,),
            expires_at=START + HOUR,
        )


@dataclass
class Yard:
    """`nudges` counts how often the relay was woken."""

    documents: Documents
    others: OtherServices = field(default_factory=OtherServices)
    now: int = START
    nudges: int = 0

    def __post_init__(self) -> None:
        self.repository = Repository(self.documents, self._nudge, lambda: 0)
        register = Register(cast(CallClient, self.others))
        self.gallery = GalleryCalls(self.repository, register, lambda: self.now)
        self.competitions = CompetitionCalls(self.repository, register, lambda: self.now)
        self.entries = EntryCalls(self.repository, register, lambda: self.now)
        self.versions = VersionEvents(self.repository, register, lambda: self.now)
        self.evaluations = EvaluationEvents(self.repository, self.versions)

    def _nudge(self) -> None:
        self.nudges += 1

    def context(self, project: str = "p1", *, key: str | None = None, actor: str = "alice") -> CallContext:
        return CallContext(project=project, actor=actor, role=Role.PUBLISHER, correlationid="c-1", idempotency_key=key)

    def has(self, *views: version.VersionView) -> None:
        self.others.versions.update({view.model_id: view for view in views})

    def has_version(self, model_id: str = "m1", **fields: Any) -> version.VersionView:
        view = version_view(model_id, **fields)
        self.has(view)
        return view

    async def list_version(
        self, model_id: str = "m1", *, project: str = "p1", key: str | None = None, **fields: Any
    ) -> str:
        """The listing's id."""
        request = publish.CreateListing(model_id=model_id, **fields)
        return (await self.gallery.create(self.context(project, key=key), request)).listing_id

    async def withdraw(self, listing_id: str, project: str = "p1") -> None:
        await self.gallery.withdraw(self.context(project), publish.GetListing(listing_id=listing_id))

    async def listings(self, **query: Any) -> list[str]:
        page = await self.gallery.page(self.context("anybody"), publish.ListListings(**query))
        assert page.count == len(page.listings) <= page.total_count
        return [listing.listing_id for listing in page.listings]

    async def open(self, *, project: str = "p1", key: str | None = None, **fields: Any) -> str:
        """A competition on a hidden dataset of that project."""
        self.others.datasets[f"{project}-hidden"] = (project, dataset_view(f"{project}-hidden", hidden=True))
        values: dict[str, Any] = {"title": "Digits", "dataset_id": f"{project}-hidden", "deadline": START + 10 * HOUR}
        request = publish.CreateCompetition(**values | fields)
        return (await self.competitions.create(self.context(project, key=key), request)).competition_id

    async def enter(
        self, competition_id: str, model_id: str = "m1", *, project: str = "p1", key: str | None = None, **fields: Any
    ) -> publish.EntryView:
        request = publish.SubmitEntry(competition_id=competition_id, model_id=model_id, **fields)
        return await self.entries.submit(self.context(project, key=key), request)

    async def entry(self, entry_id: str, project: str = "p1") -> publish.EntryView:
        return await self.entries.get(self.context(project), publish.GetEntry(entry_id=entry_id))

    async def board(self, competition_id: str) -> list[tuple[int, str, float]]:
        request = publish.GetCompetition(competition_id=competition_id)
        board = await self.competitions.leaderboard(self.context("anybody"), request)
        return [(row.rank, row.entry_id, row.score) for row in board.rows]

    async def tell(self, fact: BaseModel, *, project: str = "p1", times: int = 2) -> None:
        """An event, delivered twice unless said otherwise."""
        heard: dict[type[BaseModel], Callable[[Envelope, Any], Awaitable[None]]] = {
            VersionPublished: self.versions.published,
            VersionDeleted: self.versions.deleted,
            EvaluationSucceeded: self.evaluations.succeeded,
            EvaluationFailed: self.evaluations.failed,
        }
        envelope = Envelope(
            id="e-1",
            source="modelyard/test",
            type="test",
            subject="entity",
            project=project,
            correlationid="c-2",
            data=fact.model_dump(mode="json"),
        )
        for _ in range(times):
            await heard[type(fact)](envelope, fact)

    async def said(self, *, trim: bool = True) -> list[Envelope]:
        """What waits in the outboxes, collection by collection; taken out as the relay does it."""
        messages = []
        for collection in COLLECTIONS:
            outbox = Outbox(self.documents, collection)
            for pending in await outbox.pending(1000):
                messages += [Envelope.model_validate(message.envelope) for message in pending.messages]
                if trim:
                    await outbox.trim(pending.id, pending.messages[-1].seq)
        return messages

    async def said_types(self) -> list[str]:
        """Without prefix and version: `publication.listed`."""
        return [said.type.removeprefix("modelyard.evt.").removesuffix(".v1") for said in await self.said()]


@dataclass(frozen=True)
class Facts:
    """Builders for tests: modules beside a test cannot be imported."""

    artifact = staticmethod(artifact)
    version_view = staticmethod(version_view)
    dataset_view = staticmethod(dataset_view)

    def plan(
        self, *, evaluate: tuple[str, ...] = (), competitions: tuple[str, ...] = (), title: str | None = None
    ) -> Plan:
        return Plan(
            evaluate=tuple(EvaluationOrder(dataset_id=dataset) for dataset in evaluate),
            publish=(GalleryOrder(title=title), *(CompetitionOrder(competition_id=each) for each in competitions)),
        )

    def published(self, view: version.VersionView) -> VersionPublished:
        return VersionPublished(
            model_id=view.model_id,
            model_name=view.model_name,
            model_version=view.model_version,
            artifact_id=view.artifacts[0].artifact_id,
            digest=view.artifacts[0].digest,
            size=view.model_size,
            plan=view.plan,
        )

    def deleted(self, model_id: str = "m1") -> VersionDeleted:
        return VersionDeleted(model_id=model_id, model_name="digits", model_version="0.0.1")

    def evaluated(self, model_id: str = "m1", **fields: Any) -> EvaluationSucceeded:
        values: dict[str, Any] = {
            "run_id": "r-1",
            "evaluation_id": "ev-1",
            "version": "V0001",
            "model_id": model_id,
            "artifact_id": f"{model_id}-source",
            "target": "source",
            "dataset_id": "d-1",
            "samples": 360,
            "metrics": {"accuracy": 0.96, "f1": 0.95},
        }
        return EvaluationSucceeded(**values | fields)

    def scored(self, entry: publish.EntryView, score: float, **metrics: float) -> EvaluationSucceeded:
        return self.evaluated(entry.model_id, entry_id=entry.entry_id, metrics={"accuracy": score, **metrics})

    def failed(self, entry_id: str | None, reason: str = "the model crashed") -> EvaluationFailed:
        return EvaluationFailed(
            run_id="r-1",
            evaluation_id="ev-1",
            version="V0001",
            model_id="m1",
            code="ModelArts.3081",
            reason=reason,
            entry_id=entry_id,
        )


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    documents = open_documents(f"sqlite:///{tmp_path}/publish.db")
    await documents.open(COLLECTIONS)
    yield Yard(documents)
    await documents.close()


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.servers)])
def document_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite, and over the MongoDB wire."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/either.db"
    uri: str = request.getfixturevalue("mongo_uri")
    return f"{uri.rstrip('/')}/publish_{uuid4().hex}"
