"""The job: measured in a real subprocess; interrupted, stopped, killed and repeated."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts.calls import evaluate
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.outcome import Cause
from modelyard_contracts.shapes import FileEntry, Location
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.runs import Model
from modelyard_evaluate.fetching import Fetcher
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.documents import StoreUnavailable
from modelyard_testkit.children import killed_at_work
from modelyard_work import long_job

from .evaluate_digits import Trained, write_images, write_package
from .evaluate_yard import POLICY, PROJECT, Yard, context

COUNT = 60
OnLine = Callable[[str], Awaitable[None]]


async def measurable(yard: Yard, tmp_path: Path, trained: Trained) -> evaluate.EvaluationView:
    """A waiting run of the real classifier on real digits."""
    yard.version(write_package(tmp_path / "package", trained))
    return await yard.create(await yard.dataset(write_images(tmp_path / "images", trained, COUNT)))


async def taken(yard: Yard, run_id: str, lease_ms: int) -> object:
    """By another worker, of which nothing more is heard."""
    return await yard.repository.runs.take(run_id, lambda run, _: life.begun(run), Cause("c-1"), lease_ms)


def wrote(out: str, **more: Any) -> dict[str, Any]:
    """What a child leaves behind and answers, without its work."""
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / "result.json").write_text("{}")
    return {"samples": COUNT, "metrics": {"accuracy": 50 / COUNT}, "counts": {"correct": 50}, "files": [], **more}


class Child:
    """Stands in for the subprocess: each call takes the next step of a script."""

    def __init__(self, *steps: Callable[[dict[str, Any], OnLine], Awaitable[dict[str, Any]]]) -> None:
        self.steps = list(steps)
        self.folders: list[Path] = []

    async def __call__(
        self, module: str, request: dict[str, Any], *, workdir: Path, on_line: OnLine, **_: Any
    ) -> dict[str, Any]:
        assert module == "modelyard_evaluate.tasks.classification.child"
        self.folders.append(workdir)
        return await self.steps.pop(0)(request, on_line)


async def succeeds(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
    return wrote(request["out"])


async def crashes(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
    raise SubprocessFailed("crashed", "killed by SIGSEGV", -11)


async def test_real_digits_from_objects_to_result(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    run = await yard.work(view)
    right = int((trained.truth[:COUNT] == trained.predicted[:COUNT]).sum())
    assert (run.state, run.samples_done, run.metrics["accuracy"]) == ("succeeded", COUNT, right / COUNT)
    kinds = [each["type"].split(".")[-2] for each in await yard.said("evaluation.")]
    assert kinds == ["created", "started", "succeeded"]
    result = await yard.results.result(context(), evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001"))
    assert result.result["correct"] == right
    assert {plot.media_type for plot in result.plots} == {"image/png", "image/svg+xml", "text/csv"}
    prefix = f"{PROJECT}/evaluations/{run.run_id}/1/"
    assert set(yard.outputs()) == {f"{prefix}{plot.url.split('/')[-1].split('?')[0]}" for plot in result.plots} | {
        f"{prefix}result.json"
    }
    assert yard.objects.types["artifacts", f"{prefix}roc.svg"] == "image/svg+xml"
    assert (yard.heard[0][0], yard.heard[0][1]) == ("evaluation", run.run_id)
    assert yard.heard[-1][2] == {
        "state": "succeeded", "version": "V0001", "attempt": 1, "samples_done": COUNT, "samples": COUNT, "reason": None
    }  # fmt: skip
    assert list(tmp_path.glob("modelyard-evaluate-*")) == []  # noqa: ASYNC240 - one small folder


async def test_a_repeated_job_changes_nothing(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    first = await yard.work(view, yard.worker(Child(succeeds)))
    assert await yard.work(view, yard.worker(Child())) == first
    assert len(await yard.said("succeeded")) == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda o: o.pop(("datasets", "held-out/1/0000.png")), "files were added, removed or replaced"),
        (lambda o: o.update({("datasets", "held-out/3/new.png"): b"1"}), "files were added, removed or replaced"),
        (lambda o: o.update({("artifacts", "mine/models/m1/a1/model/digits.onnx"): b"1"}), "model/digits.onnx is not"),
        (lambda o: o.pop(("artifacts", "mine/models/m1/a1/model/digits.onnx")), "model/digits.onnx is not"),
    ],
)
async def test_what_changed_meanwhile_is_named(
    yard: Yard, tmp_path: Path, trained: Trained, spoil: Callable[[Any], object], reason: str
) -> None:
    view = await measurable(yard, tmp_path, trained)
    spoil(yard.objects.content)
    run = await yard.work(view, yard.worker(Child()))
    assert run.state == "failed"
    assert reason in str(run.reason)
    assert yard.outputs() == []


@pytest.mark.parametrize("changed", [b"other", None])
async def test_files_kept_by_reference_are_the_ones_that_were_imported(
    yard: Yard, tmp_path: Path, changed: bytes | None
) -> None:
    place, key = Location(bucket="training", prefix="run/"), ("training", "run/model/m.onnx")
    await yard.objects.ensure_bucket("training")
    yard.objects.content[key] = b"a model"
    etag = yard.objects.info(*key).etag
    entry = FileEntry(path="model/m.onnx", size=7, sha256=hashlib.sha256(b"a model").hexdigest(), etag=etag)
    fetcher = Fetcher(yard.objects, yard.scanner, 100)
    await fetcher.model(Model("onnx", place, (entry,)), tmp_path)
    assert await asyncio.to_thread((tmp_path / "model" / "m.onnx").read_bytes) == b"a model"
    if changed is None:
        del yard.objects.content[key]
    else:
        yard.objects.content[key] = changed
    words = (
        "it is gone" if changed is None else r"model/m.onnx \(training/run/model/m.onnx\) changed since it was imported"
    )
    with pytest.raises(Failure, match=words) as refused:
        await fetcher.model(Model("onnx", place, (entry,)), tmp_path)
    assert refused.value.code == "ModelArts.3084"


async def test_a_broken_image_fails_the_run_by_its_name(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    yard.version(write_package(tmp_path / "package", trained))
    images = write_images(tmp_path / "images", trained, 12)
    (images / "1" / "broken.png").write_bytes(b"no image")
    view = await yard.create(await yard.dataset(images))
    run = await yard.work(view)
    assert run.state == "failed"
    assert "1/broken.png" in str(run.reason)
    (fact,) = await yard.said("failed")
    assert fact["reason"] == run.reason


async def test_a_stop_in_mid_run_ends_the_child_and_leaves_nothing(
    yard: Yard, tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_job, "BEAT_SECONDS", 0.01)
    view = await measurable(yard, tmp_path, trained)
    ended = asyncio.Event()

    async def never(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
        await on_line(f"progress 7 {COUNT}")
        try:  # the beat may come before the stop has answered
            await yard.evaluations.stop(context(), evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001"))
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    run = await yard.work(view, yard.worker(Child(never)))
    assert ended.is_set()
    assert (run.state, run.attempt) == ("stopped", 1)
    assert yard.outputs() == []
    assert [each["type"].split(".")[-2] for each in await yard.said("evaluation.")] == ["created", "started", "stopped"]


async def test_a_late_attempt_removes_only_its_own_output(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    """Its lease ran out and another worker finished; both wrote."""
    view = await measurable(yard, tmp_path, trained)

    async def overtaken(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
        yard.now += POLICY.lease_ms + 1
        await yard.work(view, yard.worker(Child(succeeds)))
        return wrote(request["out"], counts={"correct": 1})

    run = await yard.work(view, yard.worker(Child(overtaken)))
    assert (run.state, run.attempt, run.metrics["accuracy"]) == ("succeeded", 2, 50 / COUNT)
    assert yard.outputs() == [f"{PROJECT}/evaluations/{run.run_id}/2/result.json"]
    assert len(await yard.said("succeeded")) == 1


async def test_what_a_killed_worker_left_is_removed(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    run_id = view.versions[0].run_id
    assert await taken(yard, run_id, POLICY.lease_ms)
    yard.objects.content["artifacts", f"{PROJECT}/evaluations/{run_id}/1/result.json"] = b"half"
    with pytest.raises(Retry) as held:
        await yard.work(view, yard.worker(Child()))
    assert 0 < (held.value.after or 0) <= POLICY.lease_ms / 1000 + 0.1
    yard.now += POLICY.lease_ms
    run = await yard.work(view, yard.worker(Child(succeeds)))
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert yard.outputs() == [f"{PROJECT}/evaluations/{run_id}/2/result.json"]


async def test_a_run_that_kills_its_workers_is_given_up(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    for _ in range(3):
        assert await taken(yard, view.versions[0].run_id, 0)
    run = await yard.work(view, yard.worker(Child()))
    assert (run.state, run.reason) == ("failed", "3 workers died while they worked on it")


async def test_a_crash_is_forgiven_once(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    with pytest.raises(Retry):
        await yard.work(view, yard.worker(Child(crashes)))
    assert (await yard.run(view)).state == "waiting"
    run = await yard.work(view, yard.worker(Child(crashes)))
    assert (run.state, run.reason) == ("failed", "the evaluation killed by SIGSEGV")


async def test_a_report_that_fits_no_document_ends_the_run(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)

    async def tells_all(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
        return wrote(request["out"], metrics={f"metric {index}": 0.5 for index in range(65)})

    run = await yard.work(view, yard.worker(Child(tells_all)))
    assert run.state == "failed"
    assert "its report cannot be kept: metrics: Dictionary should have at most 64 items" in str(run.reason)
    assert yard.outputs() == []


@pytest.mark.parametrize("name", ["../../private", "link", "missing.png"])
async def test_a_report_cannot_name_files_of_the_service(
    yard: Yard, tmp_path: Path, trained: Trained, name: str
) -> None:
    view = await measurable(yard, tmp_path, trained)

    async def points_elsewhere(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
        out = Path(request["out"])
        files = [{"file": name, "name": "roc", "media_type": "image/png"}]
        report = wrote(request["out"], files=files)
        (out / "../../private").write_text("hush")
        (out / "link").symlink_to(out / "../../private")
        return report

    run = await yard.work(view, yard.worker(Child(points_elsewhere)))
    assert run.state == "failed"
    assert f"its report names {name!r}, which it has not written" in str(run.reason)
    assert yard.outputs() == []


async def test_a_real_child_that_is_killed_is_replaced(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)

    with pytest.raises(Retry, match="SIGKILL"):
        await yard.work(view, yard.worker(killed_at_work))
    run = await yard.work(view)
    assert (run.state, run.attempt) == ("succeeded", 2)


async def test_a_store_that_is_away_is_waited_for_and_at_last_named(
    yard: Yard, tmp_path: Path, trained: Trained
) -> None:
    view = await measurable(yard, tmp_path, trained)

    async def away(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
        raise StoreUnavailable("S3 does not answer")

    with pytest.raises(Retry):
        await yard.work(view, yard.worker(Child(away)))
    waiting = await yard.run(view)
    assert (waiting.state, waiting.reason) == (
        "waiting",
        "to be tried again: StoreUnavailable: S3 does not answer",
    )
    with handling(Delivery(yard.envelope(), attempt=12, last=True), "evaluate-image-classification"):
        run = await yard.work(view, yard.worker(Child(away)))
    assert run.state == "failed"
    assert "S3 does not answer" in str(run.reason)


async def test_a_worker_that_is_told_to_stop_lets_go(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    begun = asyncio.Event()

    async def waits(request: dict[str, Any], on_line: OnLine) -> dict[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    run_id = view.versions[0].run_id
    job = EvaluationJob(run_id=run_id)
    working = asyncio.create_task(yard.worker(Child(waits)).evaluate(yard.envelope(run_id), job))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert (await yard.run(view)).state == "waiting"
    assert (await yard.work(view, yard.worker(Child(succeeds)))).state == "succeeded"


async def test_the_saved_result_whose_answer_was_lost(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    """The write happened, the caller got an error: told again, it is not done again."""
    view = await measurable(yard, tmp_path, trained)
    save = yard.documents.save

    async def save_and_fail(collection: Any, document: Any) -> Any:
        saved = await save(collection, document)
        if document.body.get("state") == "succeeded":
            raise StoreUnavailable("the answer was lost")
        return saved

    yard.documents.save = save_and_fail  # type: ignore[method-assign]
    with pytest.raises(Retry):
        await yard.work(view, yard.worker(Child(succeeds)))
    run = await yard.work(view, yard.worker(Child()))
    assert (run.state, run.attempt) == ("succeeded", 1)
    assert yard.outputs() == [f"{PROJECT}/evaluations/{run.run_id}/1/result.json"]
    assert len(await yard.said("succeeded")) == 1


async def test_a_result_is_one_json_object(yard: Yard, tmp_path: Path, trained: Trained) -> None:
    view = await measurable(yard, tmp_path, trained)
    run = await yard.work(view)
    text = yard.objects.content["artifacts", f"{PROJECT}/evaluations/{run.run_id}/1/result.json"]
    result = json.loads(text)
    assert result["ran_with"]["runtime"].startswith("onnxruntime ")
    assert {"classes", "confusion_matrix", "roc", "misclassified", "plots", "summary"} <= set(result)
