"""The conversion job with its real subprocess: from an order to an artifact, or to a reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from modelyard_contracts.calls.convert import DeleteConversions, GetConversion
from modelyard_contracts.calls.evaluate import DatasetView
from modelyard_contracts.dataset import Listed, digest_of, in_order
from modelyard_contracts.failures import Failure
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Location, Tolerance
from modelyard_store.manifest import manifest_digest
from modelyard_testkit.models import with_custom_operator

STRICT = Tolerance(max_rel_error=1e-12, min_cosine=1, min_top1_agreement=1)


async def test_from_order_to_artifact(yard: Any) -> None:
    conversion_id = await yard.create("onnx-int8-static")
    done = await yard.work(conversion_id)

    assert (done.state, done.reason, done.attempt) == ("succeeded", None, 1)
    artifact = done.artifact
    assert artifact is not None
    assert (artifact.kind, artifact.format, artifact.target) == ("conversion", "onnx", "onnx-int8-static")
    assert artifact.conversion_id == conversion_id
    assert artifact.location.prefix.endswith(f"/models/{done.model_id}/variants/{artifact.artifact_id}/")
    assert [file.path for file in artifact.files] == ["job_log.txt", "model/config.json", "model/model.onnx"]
    assert artifact.digest == manifest_digest(artifact.files)
    assert artifact.parity is not None
    assert artifact.parity.verdict == "passed"
    assert artifact.benchmark is not None

    place, names = artifact.location, ("job_log.txt", "model/config.json")
    written = {name: yard.shelf.content[place.bucket, place.prefix + name] for name in names}
    assert PackageConfig.model_validate_json(written["model/config.json"]).model_type == "ONNX"
    assert written["job_log.txt"].decode() == done.log
    assert done.log.startswith(
        "attempt 1: digits 0.0.1 to onnx-int8-static\n==> fetching the source\nconfinement: none\n"
    )
    assert done.log.endswith("succeeded: onnx-int8-static, parity passed\n")

    assert await yard.said(conversion_id) == ["created", "job", "started", "succeeded"]
    steps = list(dict.fromkeys(each.get("progress") for each in yard.announced))
    assert steps[:3] == ["fetching the source", "loading the source", "converting to onnx-int8-static"]
    assert yard.announced[-1]["state"] == "succeeded"
    assert yard.written(done) == [f"{artifact.artifact_id}/{file.path}" for file in artifact.files]
    assert list((yard.folder / "work").iterdir()) == []


async def test_a_job_of_a_finished_conversion_changes_nothing(yard: Any) -> None:
    conversion_id = await yard.create()
    done = await yard.work(conversion_id)
    place = done.artifact.location
    yard.shelf.content[place.bucket, place.prefix.replace(done.artifact.artifact_id, "x") + "y"] = b"not ours"
    assert await yard.work(conversion_id) == done
    assert len(yard.written(done)) == 4
    await yard.jobs.convert(*yard.job("00000000-0000-7000-8000-000000000000"))


async def test_beyond_the_tolerance_it_fails_and_shows_the_numbers(yard: Any) -> None:
    conversion_id = await yard.create("onnx-int8-dynamic", tolerance=STRICT)
    failed = await yard.work(conversion_id)
    assert (failed.state, failed.code) == ("failed", "ModelArts.3056")
    assert "output scores: probability" in str(failed.reason)
    shown = (await yard.calls.get(yard.context(), GetConversion(conversion_id=conversion_id))).artifact
    assert shown is not None
    assert shown["parity"]["verdict"] == "failed"
    assert shown["benchmark"]["result"]["median_ms"] > 0
    assert await yard.said(conversion_id) == ["created", "job", "started", "failed"]


async def test_a_result_that_failed_is_kept_for_a_while(yard: Any) -> None:
    conversion_id = await yard.create("onnx-int8-dynamic", tolerance=STRICT)
    failed = await yard.work(conversion_id)
    wanted = GetConversion(conversion_id=conversion_id)
    links = await yard.calls.result(yard.context(), wanted)
    assert [link.path for link in links.files] == ["job_log.txt", "model/config.json", "model/model.onnx"]
    assert all(link.url for link in links.files)
    assert len(yard.written(failed)) == 3
    assert (await yard.calls.get(yard.context(), wanted)).kept_until == failed.kept_until

    await yard.kept.sweep()
    assert len(yard.written(failed)) == 3
    now = failed.kept_until + 1
    yard.kept = replace(yard.kept, now=lambda: now)
    await yard.kept.sweep()
    assert yard.written(failed) == []
    with pytest.raises(Failure, match="nothing is kept of it: only what failed its proof is kept"):
        await yard.calls.result(yard.context(), wanted)
    view = await yard.calls.get(yard.context(), wanted)
    assert view.kept_until is None
    assert view.artifact["parity"]["verdict"] == "failed"


async def test_deleting_a_failed_conversion_takes_what_was_kept(yard: Any) -> None:
    conversion_id = await yard.create("onnx-int8-dynamic", tolerance=STRICT)
    failed = await yard.work(conversion_id)
    await yard.heard(conversion_id)
    report = await yard.calls.delete(yard.context(), DeleteConversions(conversion_ids=(conversion_id,)))
    assert report.deleted == (conversion_id,)
    assert yard.written(failed) == []


async def test_an_operator_may_keep_nothing(yard: Any) -> None:
    yard.settings = yard.settings.model_copy(update={"convert_keep_failed": 0})
    failed = await yard.work(await yard.create("onnx-int8-dynamic", tolerance=STRICT))
    assert (failed.state, failed.kept_until) == ("failed", None)
    assert yard.written(failed) == []


async def test_an_inconclusive_proof_is_shown_plainly(yard: Any) -> None:
    done = await yard.work(await yard.create("onnx-fp16", yard.publish(yard.bench.package(samples=()))))
    assert (done.state, done.artifact.parity.verdict) == ("succeeded", "inconclusive")
    assert "calibration_data/*.npy" in done.log
    assert "parity inconclusive" in done.log


async def test_an_unknown_operator_is_named_in_the_failure(yard: Any, tmp_path: Path) -> None:
    version = yard.publish()
    custom = with_custom_operator(tmp_path / "c.onnx").read_bytes()
    source = version.artifacts[0]
    package = yard.bench.package(onnx.load_from_string(custom))
    files = yard.shelf.put_folder(package, source.location.bucket, source.location.prefix)
    yard.others.versions[version.model_id] = version.model_copy(
        update={"artifacts": (source.model_copy(update={"files": files}),)}
    )
    failed = await yard.work(await yard.create("openvino-fp32", version))
    assert (failed.state, failed.code) == ("failed", "ModelArts.3049")
    assert "com.acme::Foo" in str(failed.reason)


@pytest.mark.parametrize("damage", ["changed", "gone"])
async def test_a_damaged_source_is_noticed(yard: Any, damage: str) -> None:
    version = yard.publish()
    place = version.artifacts[0].location
    key = place.bucket, place.prefix + "model/digits.onnx"
    data = yard.shelf.content.pop(key)
    if damage == "changed":
        yard.shelf.content[key] = bytes([data[0] ^ 1]) + data[1:]
    failed = await yard.work(await yard.create(version=version))
    assert (failed.state, failed.code) == ("failed", "ModelArts.3061")
    assert "model/digits.onnx is not what the version's manifest says" in str(failed.reason)


async def test_a_source_that_is_kept_by_reference_and_changed(yard: Any) -> None:
    version = yard.publish()
    source = version.artifacts[0]
    bucket, place = source.location.bucket, source.location.prefix
    etags = {file.path: yard.shelf.info(bucket, place + file.path).etag for file in source.files}
    files = tuple(file.model_copy(update={"etag": etags[file.path]}) for file in source.files)
    pinned = source.model_copy(update={"files": files, "by_reference": True})
    yard.others.versions[version.model_id] = version.model_copy(update={"artifacts": (pinned,)})
    assert (await yard.work(await yard.create(version=version))).state == "succeeded"
    yard.shelf.content[bucket, f"{place}model/digits.onnx"] += b"more"
    failed = await yard.work(await yard.create(version=version))
    assert (failed.state, failed.code) == ("failed", "ModelArts.3061")
    told = f"model/digits.onnx ({source.location.bucket}/{place}model/digits.onnx) changed since it was imported"
    assert told in str(failed.reason)


async def test_a_source_that_is_too_large_is_not_fetched(yard: Any) -> None:
    version = yard.publish()
    source = version.artifacts[0]
    files = tuple(file.model_copy(update={"size": file.size << 30}) for file in source.files)
    yard.others.versions[version.model_id] = version.model_copy(
        update={"artifacts": (source.model_copy(update={"files": files}),)}
    )
    failed = await yard.work(await yard.create(version=version))
    assert (failed.state, failed.code) == ("failed", "ModelArts.3044")


@pytest.mark.parametrize("kind", ["image-folder", "npz"])
async def test_a_dataset_calibrates(yard: Any, digits: Any, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    if kind == "npz":
        np.savez(folder / "data.npz", x=digits.images[:60], y=digits.labels[:60])
    else:
        for index in range(60):
            path = folder / str(digits.labels[index]) / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray((digits.images[index, 0] * 16).astype(np.uint8)).save(path)
    files = yard.shelf.put_folder(folder, "datasets", "datasets/d/")
    etags = (
        Listed(file.path, file.size, yard.shelf.info("datasets", f"datasets/d/{file.path}").etag) for file in files
    )
    yard.others.datasets["d"] = DatasetView(
        dataset_id="d",
        name="some-digits",
        kind=kind,
        location=Location(bucket="datasets", prefix="datasets/d/"),
        hidden=False,
        classes={},
        samples=60,
        size=1,
        digest=digest_of(in_order(etags)),
        created_at=1,
        created_by="alice",
    )
    version = yard.publish(yard.bench.package(samples=()))
    done = await yard.work(await yard.create("onnx-int8-static", version, calibration_dataset_id="d"))
    assert (done.state, done.reason) == ("succeeded", None)
    assert done.artifact.parity.verdict == "passed"
    assert "60 calibration samples" in done.log


async def test_a_dataset_that_changed_since_it_was_added_calibrates_nothing(yard: Any, digits: Any) -> None:
    yard.shelf.content["datasets", "datasets/d/data.npz"] = b"what was added"
    listed = Listed("data.npz", 14, yard.shelf.info("datasets", "datasets/d/data.npz").etag)
    yard.others.datasets["d"] = DatasetView.model_construct(
        dataset_id="d",
        name="some-digits",
        kind="npz",
        hidden=False,
        location=Location(bucket="datasets", prefix="datasets/d/"),
        digest=digest_of([listed]),
    )
    yard.shelf.content["datasets", "datasets/d/data.npz"] = b"something else"
    version = yard.publish(yard.bench.package(samples=()))
    failed = await yard.work(await yard.create("onnx-int8-static", version, calibration_dataset_id="d"))
    assert (failed.state, failed.code) == ("failed", "ModelArts.3060")
    assert failed.reason == "dataset some-digits changed since it was added; add it again"


async def test_a_version_that_is_gone_when_the_job_begins(yard: Any) -> None:
    conversion_id = await yard.create()
    yard.others.versions.clear()
    failed = await yard.work(conversion_id)
    assert (failed.state, failed.code) == ("failed", "ModelArts.3062")
