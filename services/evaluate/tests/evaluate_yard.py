"""A yard of one service: SQLite in a temporary folder, objects in memory, simulated time and a recording bus."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from modelyard_bus.calls import CallClient
from modelyard_contracts.calls import evaluate, imports, publish, version
from modelyard_contracts.calls.call import Call, Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Code, Failure, FailureKind
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import (
    Artifact,
    Inspection,
    Location,
    Plan,
    Role,
    Signature,
    StorageSource,
)
from modelyard_evaluate.fetching import Fetcher
from modelyard_evaluate.handlers.datasets import DatasetCalls
from modelyard_evaluate.handlers.evaluations import EvaluationCalls
from modelyard_evaluate.handlers.events import VersionEvents
from modelyard_evaluate.handlers.jobs import EvaluationJobs, RunPython
from modelyard_evaluate.handlers.results import ResultCalls
from modelyard_evaluate.planning import Planner
from modelyard_evaluate.register import Register
from modelyard_evaluate.repository import COLLECTIONS, RUNS, Repository
from modelyard_evaluate.scanning import Scanner
from modelyard_evaluate.settings import EvaluateSettings
from modelyard_runtime.subprocesses import run_python
from modelyard_store.outbox import Outbox
from modelyard_store.sqlite import SqliteDocuments
from modelyard_testkit.objects import MemoryObjects
from modelyard_work.ending import Policy

PROJECT = "mine"
START = 1_700_000_000_000
POLICY = Policy(patience=0)


def context(role: Role = Role.WRITER, *, project: str = PROJECT, key: str | None = None) -> CallContext:
    return CallContext(project=project, actor="alice", role=role, correlationid="c-1", idempotency_key=key)


@dataclass
class Others:
    """The version, import and publish services, and the workers that offer something."""

    versions: dict[str, version.VersionView] = field(default_factory=dict)
    uploads: dict[str, imports.UploadView] = field(default_factory=dict)
    competitions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: set[tuple[str, str]] = field(default_factory=set)
    away: bool = False
    offered: bool = True
    tasks: set[str] = field(default_factory=lambda: {"image-classification"})
    asked: list[CallContext] = field(default_factory=list)

    async def __call__(self, call: Call[Any, Any], asking: CallContext, request: Any, timeout: float = 5) -> Any:
        self.asked.append(asking)
        if self.away:
            raise Failure(
                FailureKind.UNAVAILABLE, Code("ModelArts.9001"), f"no worker answers {call.service}.{call.verb}"
            )
        if call is publish.OPEN_COMPETITIONS_ON:
            return publish.OpenCompetitions(titles=self.competitions.get(request.dataset_id, ()))
        known: dict[str, Any] = self.versions if call is version.GET else self.uploads
        found = known.get(request.model_id if call is version.GET else request.upload_id)
        if found is None:
            raise Failure(FailureKind.NOT_FOUND, Code("ModelArts.3001"), "no such thing")
        if call is imports.KEEP_UPLOAD:
            held = (request.upload_id, request.holder)
            self.kept = {*self.kept, held} if request.keep else self.kept - {held}
        return found

    async def answered(self, call: Call[Nothing, Nothing]) -> bool:
        return self.offered and call in map(evaluate.offers, self.tasks)


class Yard:
    def __init__(self, documents: SqliteDocuments, folder: Path) -> None:
        self.documents, self.folder = documents, folder
        self.now = START
        self.ids: Iterator[int] = itertools.count(1)
        self.objects, self.others = MemoryObjects("artifacts", "datasets"), Others()
        self.heard: list[tuple[str, str, dict[str, Any]]] = []
        self.settings = EvaluateSettings(evaluate_work_dir=folder, evaluate_threads=1)
        objects, register = self.objects, Register(cast(CallClient, self.others))
        self.repository = Repository(documents, lambda: None, self.clock)
        self.scanner = Scanner(objects, self.settings.dataset_limits, folder)
        planner = Planner(self.repository, self.clock)
        buckets = self.settings.dataset_buckets
        self.datasets = DatasetCalls(self.repository, register, self.scanner, buckets, "artifacts", self.clock)
        self.evaluations = EvaluationCalls(self.repository, register, planner, objects, "artifacts", self.clock)
        self.events = VersionEvents(self.repository, register, planner, objects, "artifacts", self.clock)
        self.results = ResultCalls(self.repository, objects, 60)

    @classmethod
    async def open(cls, folder: Path) -> "Yard":
        documents = SqliteDocuments(folder / "evaluate.sqlite")
        await documents.open(COLLECTIONS)
        return cls(documents, folder)

    def clock(self) -> int:
        self.now += 1
        return self.now

    async def announce(self, kind: str, entity_id: str, payload: dict[str, Any]) -> None:
        self.heard.append((kind, entity_id, payload))

    def worker(self, run: RunPython = run_python) -> EvaluationJobs:
        fetcher = Fetcher(self.objects, self.scanner, self.settings.max_model_bytes)
        return EvaluationJobs(
            self.repository, self.objects, fetcher, run, self.announce, self.settings, self.clock, POLICY
        )

    def put_samples(self, paths: dict[str, bytes] | Path, prefix: str) -> None:
        if isinstance(paths, Path):
            self.objects.put_folder(paths, "datasets", prefix)
        else:
            self.objects.content.update({("datasets", prefix + path): data for path, data in paths.items()})

    async def dataset(
        self, paths: dict[str, bytes] | Path, *, name: str = "held-out", hidden: bool = False
    ) -> evaluate.DatasetView:
        prefix = f"{name}/"
        self.put_samples(paths, prefix)
        request = evaluate.CreateDataset(
            name=name,
            kind="image-folder",
            source=StorageSource(location=Location(bucket="datasets", prefix=prefix)),
            hidden=hidden,
        )
        return await self.datasets.create(context(Role.ADMIN), request)

    def version(self, package: Path | None = None, *, model_id: str = "m1", plan: Plan | None = None) -> str:
        """A published version whose source artifact `a1` is the package. The model id."""
        labels = tuple("0123456789")
        if package is not None:
            config = PackageConfig.model_validate_json((package / "model" / "config.json").read_bytes())
        else:
            config = PackageConfig(model_algorithm="image_classification", model_type="ONNX", labels=labels)
        view = version.VersionView(
            model_id=model_id,
            model_name="digits",
            model_version="0.0.1",
            model_status="published",
            model_type="ONNX",
            model_size=1,
            description="",
            labels=(),
            source_type=None,
            workspace_id=None,
            aliases=(),
            create_at=1,
            created_by="alice",
            project=PROJECT,
            source=StorageSource(location=Location(bucket="training", prefix="x/")),
            model_docs=(),
            install_type=("real-time",),
            specification=version.Specification(),
            config=config,
            artifacts=(self.artifact(package, model_id, "a1"),),
            evaluations=(),
            training=None,
            plan=plan or Plan(),
            scan=None,
            failure=None,
            in_use=(),
            updated_at=1,
        )
        self.others.versions[model_id] = view
        return model_id

    def add_artifact(self, artifact: Artifact, model_id: str = "m1") -> None:
        view = self.others.versions[model_id]
        self.others.versions[model_id] = view.model_copy(update={"artifacts": (*view.artifacts, artifact)})

    def artifact(self, package: Path | None, model_id: str, artifact_id: str, target: str = "source") -> Artifact:
        place = Location(bucket="artifacts", prefix=f"{PROJECT}/models/{model_id}/{artifact_id}/")
        files = self.objects.put_folder(package, place.bucket, place.prefix) if package else ()
        return Artifact(
            artifact_id=artifact_id,
            kind="source" if target == "source" else "conversion",
            format="onnx",
            target=target,
            location=place,
            files=files,
            digest="sha256:" + "0" * 64,
            size=sum(file.size for file in files),
            inspection=Inspection(format="onnx", signature=Signature(inputs=(), outputs=())),
            created_at=START,
        )

    async def create(
        self, dataset: evaluate.DatasetView, model_id: str = "m1", *, key: str | None = None, **more: Any
    ) -> evaluate.EvaluationView:
        request = evaluate.CreateEvaluation(model_id=model_id, dataset_id=dataset.dataset_id, **more)
        return await self.evaluations.create(context(key=key), request)

    async def work(self, view: evaluate.EvaluationView, worker: EvaluationJobs | None = None) -> evaluate.RunView:
        """One delivery of the newest version's job; what became of it."""
        run_id = view.versions[-1].run_id
        await (worker or self.worker()).evaluate(self.envelope(run_id), EvaluationJob(run_id=run_id))
        return await self.run(view)

    async def run(self, view: evaluate.EvaluationView) -> evaluate.RunView:
        found = await self.evaluations.get(context(), evaluate.GetEvaluation(evaluation_id=view.evaluation_id))
        return found.versions[-1]

    def envelope(self, about: str = "entity", **more: Any) -> Envelope:
        fields = {"id": f"e-{next(self.ids)}", "source": "test", "type": "test", "subject": about, "project": PROJECT}
        return Envelope(**{**fields, "correlationid": "c-1", "data": {}, **more})

    async def said(self, fact: str | None = None) -> list[dict[str, Any]]:
        """The data of everything in the outboxes, or of the messages of one kind, in order."""
        pages = await Outbox(self.documents, RUNS).pending(1000)
        return [
            message.envelope["data"] | {"type": message.subject}
            for each in pages
            for message in each.messages
            if fact is None or f".{fact}" in message.subject
        ]

    def outputs(self) -> Sequence[str]:
        return self.objects.keys("artifacts", f"{PROJECT}/evaluations/")


Build = Callable[[], Yard]
