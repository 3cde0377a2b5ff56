"""The whole service on real NATS, with its own permissions, and a real S3; the version service is played."""

import json
import venv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.calls import convert as calls
from modelyard_contracts.calls import version as version_calls
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.catalogue import VERSION_PUBLISHED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import ConversionCreated, ConversionSucceeded, VersionPublished
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Artifact, ConversionOrder, Plan
from modelyard_convert.bootstrap import build
from modelyard_convert.conversion import CHILDREN, Converter
from modelyard_convert.offering import versions_of
from modelyard_convert.settings import ConvertSettings
from modelyard_convert.toolchains import TOOLCHAINS
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.process import supervise
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_testkit.service_stack import ServiceStack

pytestmark = pytest.mark.servers


@dataclass
class Town:
    """The service's settings, and everybody around it."""

    stack: ServiceStack
    settings: ConvertSettings
    known: dict[str, version_calls.VersionView]

    async def next_said(self) -> Envelope:
        return await self.stack.next_said(lambda said: said.type != VERSION_PUBLISHED.subject)

    async def publish(self, yard: Any) -> Any:
        """What `yard` keeps on its shelf, on the real one and in this test's project."""
        view = yard.publish()
        source = view.artifacts[0]
        prefix = source.location.prefix.replace("mine/", f"{self.stack.project}/", 1)
        for file in source.files:
            data = yard.shelf.content["artifacts", source.location.prefix + file.path]
            await self.stack.objects.put("artifacts", prefix + file.path, data)
        place = source.location.model_copy(update={"prefix": prefix})
        moved = source.model_copy(update={"location": place})
        view = view.model_copy(update={"project": self.stack.project, "artifacts": (moved,)})
        self.known[view.model_id] = view
        return view

    async def say(self, view: Any, plan: Plan) -> None:
        fact = VersionPublished(
            model_id=view.model_id,
            model_name=view.model_name,
            model_version=view.model_version,
            artifact_id=view.artifacts[0].artifact_id,
            digest=view.artifacts[0].digest,
            size=1,
            plan=plan,
        )
        await self.stack.say(VERSION_PUBLISHED, view.model_id, fact)

    async def keys(self, artifact: Artifact) -> list[str]:
        place = artifact.location
        listed = self.stack.objects.list(place.bucket, place.prefix)
        return [found.key.removeprefix(place.prefix) async for found in listed]


@pytest.fixture
async def town(service_stack: ServiceStack, tmp_path: Path) -> Town:
    own = {"convert_work_dir": tmp_path / "work", "convert_threads": 1}
    settings = ConvertSettings(**service_stack.settings("convert"), **own)
    return Town(service_stack, settings, await service_stack.play_versions())


async def test_a_plan_is_carried_out_with_nobody_pressing_a_button(town: Town, yard: Any) -> None:
    targets = ("onnx-int8-static", "openvino-fp16")
    async with supervise(await build(town.settings)) as running:
        assert {name: await check() for name, check in running.service.checks.items()} == {
            "nats": None,
            "durables": None,
            "toolchains": None,
            "documents": None,
            "objects": None,
        }
        assert {row.target for row in (await town.stack.ask(calls.TARGETS, Nothing())).targets if row.offered} >= set(
            targets
        )
        view = await town.publish(yard)
        await town.say(view, Plan(convert=tuple(ConversionOrder(target=target) for target in targets)))
        said = [await town.next_said() for _ in range(6)]
        assert {envelope.correlationid for envelope in said} == {"c-2"}
        facts = [ConversionSucceeded.model_validate(each.data) for each in said if "succeeded" in each.type]
        assert {fact.target for fact in facts} == set(targets), [each.data for each in said]
        for fact in facts:
            assert fact.artifact.parity is not None
            assert fact.artifact.parity.verdict == "passed"
            assert await town.keys(fact.artifact) == sorted(file.path for file in fact.artifact.files)
            for file in fact.artifact.files:
                place = fact.artifact.location
                found = await town.stack.objects.digest(place.bucket, place.prefix + file.path)
                assert found == (file.sha256, file.size)
            log = await town.stack.ask(calls.LOG, calls.GetLog(conversion_id=fact.conversion_id))
            assert log.complete
            assert "parity passed" in log.text


async def test_roles_live_apart_and_a_missing_worker_is_noticed(town: Town, yard: Any) -> None:
    api = town.settings.model_copy(update={"convert_roles": frozenset({"api"})})
    worker = town.settings.model_copy(update={"convert_roles": frozenset({"worker"})})
    order = ConversionOrder(target="onnx-fp16")
    view = await town.publish(yard)
    async with supervise(await build(api)):
        with pytest.raises(Failure, match="no worker offers `onnx`"):
            await town.stack.ask(calls.CREATE, calls.CreateConversion(model_id=view.model_id, order=order))
        async with supervise(await build(worker)):
            created = await town.stack.ask(calls.CREATE, calls.CreateConversion(model_id=view.model_id, order=order))
            said = [(await town.next_said()).type.split(".")[3] for _ in range(3)]
            assert said == ["created", "started", "succeeded"]
            found = await town.stack.ask(calls.GET, calls.GetConversion(conversion_id=created.conversion_id))
            assert found.state == "succeeded"


async def test_a_plan_that_is_heard_before_any_worker_is_back_is_carried_out(town: Town, yard: Any) -> None:
    api = town.settings.model_copy(update={"convert_roles": frozenset({"api"})})
    worker = town.settings.model_copy(update={"convert_roles": frozenset({"worker"})})
    view = await town.publish(yard)
    async with supervise(await build(api)):
        await town.say(view, Plan(convert=(ConversionOrder(target="onnx-fp16"),)))
        created = ConversionCreated.model_validate((await town.next_said()).data)
        waiting = await town.stack.ask(calls.GET, calls.GetConversion(conversion_id=created.conversion_id))
        assert (waiting.state, waiting.progress) == ("initialising", "no worker offers `onnx` now; it waits for one")
        async with supervise(await build(worker)):
            said = [(await town.next_said()).type.split(".")[3] for _ in range(2)]
            assert said == ["started", "succeeded"]


async def test_a_toolchain_that_does_not_load_is_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chain = TOOLCHAINS["onnx"]
    assert set(await versions_of(chain) or ()) == {"onnx", "onnxruntime"}
    assert await versions_of(replace(chain, modules=("onnx", "ascend"))) is None
    venv.create(tmp_path / "bare", with_pip=False)
    bare = replace(chain, python=tmp_path / "bare" / "bin" / "python")
    assert await versions_of(replace(bare, modules=("json",))) == {"json": json.__version__}
    assert await versions_of(bare) is None, "it is there, but not in the toolchain's interpreter"
    assert await versions_of(replace(chain, python=tmp_path / "gone")) is None
    monkeypatch.setattr("modelyard_convert.offering.PROBE", tmp_path / "no_such_probe.py")
    with pytest.raises(SubprocessFailed):  # not known: it is looked for again
        await versions_of(chain)


async def test_roles_come_as_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CONVERT_ROLES", "api, worker")
    assert ConvertSettings().convert_roles == {"api", "worker"}
    monkeypatch.setenv("MODELYARD_CONVERT_ROLES", "worker")
    assert ConvertSettings().convert_roles == {"worker"}
    monkeypatch.setenv("MODELYARD_CONVERT_ROLES", "boss")
    with pytest.raises(ValueError, match="convert_roles"):
        ConvertSettings()


async def test_the_subprocess_runs_within_the_default_limits(yard: Any, tmp_path: Path) -> None:
    lines: list[str] = []

    async def on_line(line: str) -> None:
        lines.append(line)

    limits = ConvertSettings().limits
    children = PreloadedPython(CHILDREN, limits)
    converter = Converter(children.run, limits)
    for target in ("onnx-int8-dynamic", "openvino-fp32"):
        report = await converter(yard.bench.request(target), on_line=on_line)
        assert report.parity.verdict == "passed"
    await children.stop()
    assert "==> timing source and result" in lines
