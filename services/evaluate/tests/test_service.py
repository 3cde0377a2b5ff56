"""The whole service as it is deployed, against a real NATS and a real S3; only the version service is played."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.calls import evaluate, version
from modelyard_contracts.catalogue import EVALUATION_SUCCEEDED, VERSION_PUBLISHED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionPublished
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import EvaluationOrder, Location, Plan, StorageSource
from modelyard_evaluate.bootstrap import build
from modelyard_evaluate.settings import EvaluateSettings
from modelyard_runtime.process import supervise
from modelyard_testkit.service_stack import ServiceStack

from .evaluate_digits import Trained, write_images, write_package
from .evaluate_yard import PROJECT, Yard

pytestmark = pytest.mark.servers


@dataclass
class Outside:
    """What a test does from outside: ask, listen, publish, put objects."""

    stack: ServiceStack
    versions: dict[str, version.VersionView]

    def settings(self, **more: Any) -> EvaluateSettings:
        return EvaluateSettings(**self.stack.settings("evaluate"), evaluate_work_dir=self.stack.folder, **more)

    async def put(self, folder: Path, location: Location) -> None:
        for path in folder.rglob("*"):  # noqa: ASYNC240 - a few small files
            if path.is_file():
                key = location.prefix + path.relative_to(folder).as_posix()
                await self.stack.objects.put(location.bucket, key, path.read_bytes())


@pytest.fixture
async def outside(service_stack: ServiceStack) -> Outside:
    service_stack.project = PROJECT
    return Outside(service_stack, await service_stack.play_versions())


async def test_from_the_event_to_the_result(outside: Outside, yard: Yard, tmp_path: Path, trained: Trained) -> None:
    package = write_package(tmp_path / "package", trained)
    place = Location(bucket="datasets", prefix="service-test/")
    await outside.put(write_images(tmp_path / "images", trained, 40), place)
    yard.version(package, model_id="service-test")
    view = yard.others.versions["service-test"]
    await outside.put(package, view.artifacts[0].location)
    async with supervise(await build(outside.settings())):
        request = evaluate.CreateDataset(name="d", kind="image-folder", source=StorageSource(location=place))
        dataset = await outside.stack.ask(evaluate.CREATE_DATASET, request)
        plan = Plan(evaluate=(EvaluationOrder(dataset_id=dataset.dataset_id),))
        outside.versions["service-test"] = view.model_copy(update={"plan": plan})
        fact = VersionPublished(
            model_id="service-test",
            model_name="digits",
            model_version="0.0.1",
            artifact_id="a1",
            digest="sha256:" + "0" * 64,
            size=1,
            plan=plan,
        )
        for _ in range(2):
            await outside.stack.say(VERSION_PUBLISHED, "service-test", fact, correlationid="from-the-training-event")
        said = await outside.stack.next_said(_is_about_it)
        assert said.correlationid == "from-the-training-event"
        assert said.data["samples"] == 40
        page = await outside.stack.ask(evaluate.LIST, evaluate.ListEvaluations(model_id="service-test"))
        assert [len(each.versions) for each in page.evaluations] == [1]
        found = page.evaluations[0]
        wanted = evaluate.GetRun(evaluation_id=found.evaluation_id, version="V0001")
        result = await outside.stack.ask(evaluate.RESULT, wanted)
        assert result.result["metrics"] == said.data["metrics"]
        assert all(plot.url.startswith("http") for plot in result.plots)


async def test_an_api_without_workers_refuses_at_once(
    outside: Outside, yard: Yard, tmp_path: Path, trained: Trained
) -> None:
    place = Location(bucket="datasets", prefix="no-worker-test/")
    await outside.put(write_images(tmp_path / "images", trained, 3), place)
    yard.version(write_package(tmp_path / "package", trained), model_id="no-worker-test")
    outside.versions["no-worker-test"] = yard.others.versions["no-worker-test"]
    async with supervise(await build(outside.settings(evaluate_roles="api"))):
        request = evaluate.CreateDataset(name="d", kind="image-folder", source=StorageSource(location=place))
        dataset = await outside.stack.ask(evaluate.CREATE_DATASET, request)
        wanted = evaluate.CreateEvaluation(model_id="no-worker-test", dataset_id=dataset.dataset_id)
        with pytest.raises(Failure, match="no worker offers `image-classification`"):
            await outside.stack.ask(evaluate.CREATE, wanted)


def _is_about_it(said: Envelope) -> bool:
    return said.type == EVALUATION_SUCCEEDED.subject and said.data["model_id"] == "service-test"
