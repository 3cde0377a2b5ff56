"""A trained classifier of handwritten digits, conversions of it in this process, and a service without servers."""

import asyncio
import shutil
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from onnx import helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from modelyard_bus.calls import CallClient
from modelyard_contracts.calls import convert as convert_calls
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import Specification, VersionView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.ids import new_id
from modelyard_contracts.jobs import ConversionJob
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Artifact, ConversionOrder, Location, Plan, Role, StorageSource
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.child_request import CalibrationFolder, ConversionReport, ConversionRequest
from modelyard_convert.children import refit
from modelyard_convert.children.__main__ import perform
from modelyard_convert.conversion import CHILDREN, Converter
from modelyard_convert.domain import Conversion
from modelyard_convert.handlers.calls import ConversionCalls
from modelyard_convert.handlers.events import VersionEvents
from modelyard_convert.handlers.jobs import ConversionJobs
from modelyard_convert.handlers.kept import KeptResults
from modelyard_convert.inputs import Inputs
from modelyard_convert.outputs import Outputs
from modelyard_convert.repository import COLLECTIONS, CONVERSIONS, Repository
from modelyard_convert.settings import ConvertSettings
from modelyard_convert.toolchains import TARGETS
from modelyard_formats.table import inspect
from modelyard_runtime.clock import now_ms
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import Limits
from modelyard_store.manifest import manifest_digest
from modelyard_store.objects import ObjectStoreUnavailable
from modelyard_store.outbox import Outbox
from modelyard_store.sqlite import SqliteDocuments
from modelyard_testkit.faults import Faults
from modelyard_testkit.models import digits_config, model
from modelyard_testkit.objects import MemoryObjects

TRAINED_ON = 1200


@dataclass(frozen=True)
class Digits:
    """`images` float32 [n, 1, 8, 8] in 0-1; the first TRAINED_ON were trained on."""

    images: Any
    labels: Any
    weights: dict[str, Any]


@pytest.fixture(scope="session")
def digits() -> Digits:
    data = load_digits()
    images = (data.images / 16).astype(np.float32)[:, np.newaxis]
    classifier = MLPClassifier((64,), max_iter=40, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not converge
        classifier.fit(images[:TRAINED_ON].reshape(TRAINED_ON, -1), data.target[:TRAINED_ON])
    first, second = (each.astype(np.float32) for each in classifier.coefs_)
    biases = [each.astype(np.float32) for each in classifier.intercepts_]
    return Digits(images, data.target, {"w1": first, "b1": biases[0], "w2": second, "b2": biases[1]})


@dataclass
class Bench:
    """One conversion after the other, each in a folder of its own."""

    folder: Path
    digits: Digits
    lines: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def classifier(self, **changed: Any) -> Any:
        """The trained network, with an Identity that an optimiser removes; `changed` replaces weights."""
        nodes = [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Identity", ["flat"], ["same"]),
            helper.make_node("Gemm", ["same", "w1", "b1"], ["h1"]),
            helper.make_node("Relu", ["h1"], ["h2"]),
            helper.make_node("Gemm", ["h2", "w2", "b2"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"]),
        ]
        return model(nodes, {**self.digits.weights, **changed})

    def package(self, made: Any = None, *, samples: Any = None) -> Path:
        """A package folder with a model (default: the trained one) and calibration samples (default: 300 digits)."""
        self.count += 1
        root = self.folder / f"package-{self.count}"
        (root / "model").mkdir(parents=True)
        (root / "model" / "digits.onnx").write_bytes((made or self.classifier()).SerializeToString())
        samples = self.digits.images[TRAINED_ON : TRAINED_ON + 300] if samples is None else samples
        if len(samples):
            (root / "calibration_data").mkdir()
            np.save(root / "calibration_data" / "digits.npy", samples)
        return root

    def request(self, target: str, package: Path | None = None, **changes: Any) -> ConversionRequest:
        self.count += 1
        package = package or self.package()
        scratch = self.folder / f"scratch-{self.count}"
        scratch.mkdir()
        samples = package / "calibration_data"
        values = {
            "target": target,
            "options": {},
            "tolerance": TARGETS[target].tolerance,
            "source_format": "onnx",
            "config": PackageConfig.model_validate(digits_config()),
            "source": package,
            "result": self.folder / f"result-{self.count}",
            "scratch": scratch,
            "calibration": CalibrationFolder(kind="arrays", path=samples) if samples.is_dir() else None,
            "threads": 1,
        }
        return ConversionRequest(**{**values, **changes})

    def convert(self, request: ConversionRequest) -> ConversionReport:
        """All its children are functions of this process, so each observer times alone."""
        shutil.rmtree(request.result, ignore_errors=True)
        converter = Converter(self._run, Limits(), self._run_program)
        return asyncio.run(converter(request, on_line=self._say))

    async def _say(self, line: str) -> None:
        self.lines.append(line)

    async def _run(self, request: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.asked.append(request)
        return perform({**request, "turns": None} if "turns" in request else request, self.lines.append)

    async def _run_program(self, program: Path, request: dict[str, Any], **options: Any) -> dict[str, Any]:
        return refit.main(request, self.lines.append)


@pytest.fixture
def bench(tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("modelyard_convert.children.timing.BUDGET_S", 0.05)
    return Bench(tmp_path, digits)


PROJECT = "mine"
BUCKET = "artifacts"


class Others:
    """The version and evaluate services, and workers that offer toolchains, as far as convert asks them."""

    def __init__(self) -> None:
        self.versions: dict[str, VersionView] = {}
        self.datasets: dict[str, Any] = {}
        self.offered = {"onnx", "openvino"}
        self.away = 0

    async def __call__(self, call: Any, context: CallContext, request: Any, timeout: float = 5) -> Any:
        assert (context.actor, context.role) == ("service:convert", Role.ADMIN)
        if self.away:
            self.away -= 1
            raise Failure(FailureKind.UNAVAILABLE, "ModelArts.9001", f"no worker answers {call.service}.{call.verb}")
        known = self.versions if call.service == "version" else self.datasets
        found = known.get(next(iter(request.model_dump().values())))
        if found is None or getattr(found, "project", context.project) != context.project:
            raise Failure(FailureKind.NOT_FOUND, "ModelArts.3001", f"no such {call.service}")
        return found

    async def answered(self, call: Any) -> bool:
        return any(call.subject == convert_calls.offers(name).subject for name in self.offered)


def shelf_away() -> Faults:
    """Set `away` to let so many transfers fail."""
    return Faults("download", "upload", error=ObjectStoreUnavailable, words="the shelf is away")


@dataclass
class Yard:
    """The handlers on SQLite, with objects in memory on a shelf that can be away."""

    folder: Path
    documents: SqliteDocuments
    bench: Bench
    shelf: MemoryObjects = field(default_factory=lambda: MemoryObjects(BUCKET, "datasets"))
    transfers: Faults = field(default_factory=shelf_away)
    others: Others = field(default_factory=Others)
    announced: list[dict[str, Any]] = field(default_factory=list)
    processes: PreloadedPython = field(default_factory=lambda: PreloadedPython(CHILDREN))
    now: Callable[[], int] = now_ms

    def __post_init__(self) -> None:
        self.settings = ConvertSettings(convert_work_dir=self.folder / "work", convert_threads=1, convert_patience=5)
        self.repository = Repository(self.documents, lambda: None, self.clock)
        self.admission = Admission(cast(CallClient, self.others))
        self.objects = self.transfers.before(self.shelf)
        self.outputs = Outputs(self.objects, BUCKET)
        self.run: Any = self._run
        self.kept = KeptResults(self.repository, self.outputs, 3600, self.now)
        self.calls = ConversionCalls(self.repository, self.admission, self.kept, self.now)
        self.events = VersionEvents(self.repository, self.admission, self.outputs, self.now)

    def clock(self) -> int:
        return self.now()

    async def _run(self, module: str, request: dict[str, Any], *, on_line: Any, **options: Any) -> dict[str, Any]:
        return await self.processes.run(request, on_line=on_line, reach=options["reach"])

    @property
    def jobs(self) -> ConversionJobs:
        async def announce(kind: str, entity_id: str, payload: dict[str, Any]) -> None:
            self.announced.append({"kind": kind, "id": entity_id, **payload})

        folder = self.folder

        async def run(request: dict[str, Any], *, child: Any = self.run, **options: Any) -> dict[str, Any]:
            found: dict[str, Any] = await child(CHILDREN, request, workdir=folder, **options)
            return found

        return ConversionJobs(
            repository=self.repository,
            admission=self.admission,
            inputs=Inputs(self.objects, 1 << 30, 1 << 20),
            outputs=self.outputs,
            converter=Converter(run, self.settings.limits),
            announce=announce,
            settings=self.settings,
            now=self.now,
        )

    def publish(self, package: Path | None = None, **changes: Any) -> VersionView:
        """A published version with this package as its source."""
        package = package or self.bench.package()
        model_id = new_id()
        prefix = f"{PROJECT}/models/{model_id}/source/1/"
        files = self.shelf.put_folder(package, BUCKET, prefix)
        source = Artifact(
            artifact_id=new_id(),
            kind="source",
            format="onnx",
            target="source",
            location=Location(bucket=BUCKET, prefix=prefix),
            files=files,
            digest=manifest_digest(files),
            size=sum(file.size for file in files),
            inspection=inspect("onnx", package),
            created_at=1,
        )
        view = {
            "model_id": model_id,
            "model_name": "digits",
            "model_version": "0.0.1",
            "model_status": "published",
            "model_type": "ONNX",
            "model_size": source.size,
            "description": "",
            "labels": (),
            "source_type": None,
            "workspace_id": None,
            "aliases": (),
            "create_at": 1,
            "created_by": "alice",
            "project": PROJECT,
            "source": StorageSource(location=source.location),
            "model_docs": (),
            "install_type": ("real-time",),
            "specification": Specification(),
            "config": PackageConfig.model_validate(digits_config()),
            "artifacts": (source,),
            "evaluations": (),
            "training": None,
            "plan": Plan(),
            "scan": None,
            "failure": None,
            "in_use": (),
            "updated_at": 1,
        }
        self.others.versions[model_id] = VersionView(**{**view, **changes})
        return self.others.versions[model_id]

    def context(self, key: str | None = None, project: str = PROJECT) -> CallContext:
        return CallContext(project=project, actor="alice", role=Role.WRITER, correlationid="c-1", idempotency_key=key)

    def ordered(self, version: VersionView, target: str, **order: Any) -> convert_calls.CreateConversion:
        return convert_calls.CreateConversion(model_id=version.model_id, order=ConversionOrder(target=target, **order))

    async def create(self, target: str = "onnx-fp16", version: VersionView | None = None, **order: Any) -> str:
        view = await self.calls.create(self.context(), self.ordered(version or self.publish(), target, **order))
        return view.conversion_id

    async def work(self, conversion_id: str) -> Conversion:
        """One delivery of the job."""
        await self.jobs.convert(*self.job(conversion_id))
        return await self.known(conversion_id)

    def job(self, conversion_id: str) -> tuple[Envelope, ConversionJob]:
        job = ConversionJob(conversion_id=conversion_id)
        return self.envelope("modelyard.job.convert.onnx", conversion_id, job), job

    def envelope(self, subject: str, about: str, data: Any, **more: Any) -> Envelope:
        values = {"source": "test", "type": subject, "subject": about, "project": PROJECT, "correlationid": "c-1"}
        return Envelope.model_validate({**values, "data": data.model_dump(mode="json"), **more})

    async def known(self, conversion_id: str) -> Conversion:
        found = await self.repository.get(PROJECT, conversion_id)
        assert found is not None
        return found

    async def said(self, conversion_id: str) -> list[str]:
        """What lies in the outbox, in short: `created`, `started`, …, and `job`."""
        waiting = [each for each in await Outbox(self.documents, CONVERSIONS).pending(1000) if each.id == conversion_id]
        subjects = [message.subject for each in waiting for message in each.messages]
        return ["job" if ".job." in subject else subject.split(".")[3] for subject in subjects]

    async def heard(self, conversion_id: str) -> None:
        """The relay has sent everything."""
        await Outbox(self.documents, CONVERSIONS).trim(conversion_id, 1000)

    def written(self, conversion: Conversion) -> list[str]:
        """Everything that conversions of this version wrote, without the model's folder."""
        prefix = f"{PROJECT}/models/{conversion.model_id}/variants/"
        return [key.removeprefix(prefix) for key in self.shelf.keys(BUCKET, prefix)]

    def place(self, conversion: Conversion, attempt: int) -> str:
        return domain.artifact_id_of(conversion.conversion_id, attempt) + "/"


@pytest.fixture
async def yard(tmp_path: Path, bench: Bench) -> AsyncIterator[Yard]:
    documents = SqliteDocuments(tmp_path / "documents.db")
    await documents.open(COLLECTIONS)
    yard = Yard(tmp_path, documents, bench)
    yield yard
    await yard.processes.stop()
    await documents.close()
