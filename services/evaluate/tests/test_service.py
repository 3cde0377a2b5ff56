"""The whole service as it is deployed, against a real NATS and a real S3; only the version service is played."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from evaluate_digits import Trained, write_images, write_package
from evaluate_yard import Yard, context

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts.calls import evaluate, version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.catalogue import EVALUATION_SUCCEEDED, VERSION_PUBLISHED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionPublished
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import EvaluationOrder, Location, Plan, StorageSource
from modelyard_evaluate.bootstrap import build
from modelyard_evaluate.settings import EvaluateSettings
from modelyard_local.servers import S3Server
from modelyard_runtime.process import supervise
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_testkit.servers import RunningNats

pytestmark = pytest.mark.servers
PROJECT = "mine"


@dataclass
class Outside:
    """What a test does from outside: ask, listen, publish, put objects."""

    bus: Bus
    ask: CallClient
    objects: Objects
    versions: dict[str, version.VersionView]

    async def put(self, folder: Path, location: Location) -> None:
        for path in folder.rglob("*"):  # noqa: ASYNC240 - a few small files
            if path.is_file():
                key = location.prefix + path.relative_to(folder).as_posix()
                await self.objects.put(location.bucket, key, path.read_bytes())


def settings(nats: RunningNats, s3: S3Server, folder: Path, **more: object) -> EvaluateSettings:
    return EvaluateSettings(
        nats_url=nats.url,
        nats_user="operator",
        nats_password=nats.passwords["operator"],
        document_url=f"sqlite:///{folder}/evaluate.sqlite",
        s3_endpoint=s3.endpoint,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        evaluate_work_dir=folder,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
async def outside(nats_server: RunningNats, s3_server: S3Server) -> AsyncIterator[Outside]:
    bus = await Bus.connect(BusSettings(nats_server.url, "operator", "operator", nats_server.passwords["operator"]))
    await bus.declare()
    objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
    for bucket in ("artifacts", "datasets"):
        await objects.ensure_bucket(bucket)
    versions: dict[str, version.VersionView] = {}
    server = CallServer(bus, "version")

    async def get(_: CallContext, request: version.GetVersion) -> version.VersionView:
        return versions[request.model_id]

    server.answer(version.GET, get)
    await server.start()
    yield Outside(bus, CallClient(bus), objects, versions)
    await server.stop()
    await bus.close()
    await objects.close()


async def test_from_the_event_to_the_result(
    nats_server: RunningNats, s3_server: S3Server, outside: Outside, yard: Yard, tmp_path: Path, trained: Trained
) -> None:
    package = write_package(tmp_path / "package", trained)
    place = Location(bucket="datasets", prefix="service-test/")
    await outside.put(write_images(tmp_path / "images", trained, 40), place)
    yard.version(package, model_id="service-test")
    view = yard.others.versions["service-test"]
    await outside.put(package, view.artifacts[0].location)
    async with supervise(await build(settings(nats_server, s3_server, tmp_path))):
        request = evaluate.CreateDataset(name="d", kind="image-folder", source=StorageSource(location=place))
        dataset = await outside.ask(evaluate.CREATE_DATASET, context(), request)
        plan = Plan(evaluate=(EvaluationOrder(dataset_id=dataset.dataset_id),))
        outside.versions["service-test"] = _whole(view, plan)
        fact = VersionPublished(
            model_id="service-test",
            model_name="digits",
            model_version="0.0.1",
            artifact_id="a1",
            digest="sha256:" + "0" * 64,
            size=1,
            plan=plan,
        )
        ear = outside.bus.watch_events()
        heard = asyncio.create_task(_next(ear, EVALUATION_SUCCEEDED.subject))
        await asyncio.sleep(0)
        for number in range(2):
            envelope = Envelope(
                id=f"service-test-{dataset.dataset_id}-{number}",
                source="modelyard/version",
                type=VERSION_PUBLISHED.subject,
                subject="service-test",
                project=PROJECT,
                correlationid="from-the-training-event",
                data=fact.model_dump(mode="json"),
            )
            await outside.bus.publish(VERSION_PUBLISHED.subject, envelope)
        said = await heard
        assert said.correlationid == "from-the-training-event"
        assert said.data["samples"] == 40
        page = await outside.ask(evaluate.LIST, context(), evaluate.ListEvaluations(model_id="service-test"))
        assert [len(each.versions) for each in page.evaluations] == [1]
        found = page.evaluations[0]
        result = await outside.ask(
            evaluate.RESULT, context(), evaluate.GetRun(evaluation_id=found.evaluation_id, version="V0001")
        )
        assert result.result["metrics"] == said.data["metrics"]
        assert all(plot.url.startswith("http") for plot in result.plots)


async def test_an_api_without_workers_refuses_at_once(
    nats_server: RunningNats, s3_server: S3Server, outside: Outside, yard: Yard, tmp_path: Path, trained: Trained
) -> None:
    place = Location(bucket="datasets", prefix="no-worker-test/")
    await outside.put(write_images(tmp_path / "images", trained, 3), place)
    yard.version(write_package(tmp_path / "package", trained), model_id="no-worker-test")
    outside.versions["no-worker-test"] = _whole(yard.others.versions["no-worker-test"], Plan())
    async with supervise(await build(settings(nats_server, s3_server, tmp_path, evaluate_roles="api"))):
        request = evaluate.CreateDataset(name="d", kind="image-folder", source=StorageSource(location=place))
        dataset = await outside.ask(evaluate.CREATE_DATASET, context(), request)
        wanted = evaluate.CreateEvaluation(model_id="no-worker-test", dataset_id=dataset.dataset_id)
        with pytest.raises(Failure, match="no worker offers `image-classification`"):
            await outside.ask(evaluate.CREATE, context(), wanted)


async def _next(events: AsyncIterator[Envelope], kind: str) -> Envelope:
    async for envelope in events:
        if envelope.type == kind and envelope.data["model_id"] == "service-test":
            return envelope
    raise AssertionError("the bus closed")


def _whole(view: version.VersionView, plan: Plan) -> version.VersionView:
    """A view with every field, as it goes over the wire."""
    return version.VersionView(
        model_id=view.model_id,
        model_name=view.model_name,
        model_version=view.model_version,
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
        config=view.config,
        artifacts=view.artifacts,
        evaluations=(),
        training=None,
        plan=plan,
        scan=None,
        failure=None,
        in_use=(),
        updated_at=1,
    )
