"""The life of an import, without any store."""

from dataclasses import replace

from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.failures import Problem
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Artifact, FileEntry, Inspection, Location, Signature, StorageSource
from modelyard_import.domain.imports import (
    Import,
    LogLine,
    Progress,
    abandon,
    attempt_location,
    begun_anew,
    cancel,
    fail,
    interrupt,
    report,
    start,
    succeed,
    view,
)
from modelyard_import.domain.resuming import FileState
from modelyard_import.errors import SourceRefused

ARTIFACT = Artifact(
    artifact_id="a",
    kind="source",
    format="onnx",
    target="source",
    location=Location(bucket="artifacts", prefix="p/models/m/source/1/"),
    files=(FileEntry(path="model/a.onnx", size=9, sha256="0" * 64),),
    digest="sha256:" + "0" * 64,
    size=9,
    inspection=Inspection(format="onnx", signature=Signature(inputs=(), outputs=())),
    created_at=1,
)


CONFIG = PackageConfig(model_algorithm="image_classification", model_type="ONNX")
FACT = ImportSucceeded(import_id="i", model_id="m", artifact=ARTIFACT, config=CONFIG, config_sha256="ef" * 32)


def waiting() -> Import:
    return Import(
        import_id="i",
        project="p",
        model_id="m",
        model_name="n",
        model_version="0.0.1",
        source=StorageSource(location=Location(bucket="training", prefix="a/")),
        destination=Location(bucket="artifacts", prefix="p/models/m/source/"),
        created_at=1,
    )


def running(attempt: int = 1) -> Import:
    return start(replace(waiting(), attempt=attempt), now=2).value


def test_it_starts_reports_and_succeeds_with_a_readable_log() -> None:
    half = report(running(), Progress(total_bytes=9, copied_bytes=4, lines=(LogLine(3, "copying"),)))
    assert (half.state, half.total_bytes, half.copied_bytes) == ("running", 9, 4)
    done = succeed(report(half, Progress(copied_bytes=9)), FACT, now=1_500).value
    shown = view(done)
    assert (shown.state, shown.copied_bytes, shown.finished_at, shown.attempt) == ("succeeded", 9, 1_500, 1)
    assert shown.log[0] == "1970-01-01 00:00:00.002 started"
    assert shown.log[1].endswith("copying")
    assert shown.log[2].startswith("1970-01-01 00:00:01.500 succeeded: 1 files, 9 bytes, sha256:")


def test_a_failure_keeps_code_reason_and_every_problem() -> None:
    failed = fail(running(), SourceRefused("nothing there", rule="not empty"), now=7).value
    assert (failed.state, failed.code, failed.reason) == ("failed", "ModelArts.3017", "nothing there")
    assert failed.problems == (Problem(message="nothing there", field="source.location", rule="not empty"),)


def test_an_attempt_goes_on_where_there_is_word_of_the_one_before_and_else_begins_anew() -> None:
    assert attempt_location(running(1)).prefix == "p/models/m/source/1/"
    assert attempt_location(running(2)).prefix == "p/models/m/source/2/"
    half = report(running(1), Progress(copied_bytes=5, pins="x", files=(FileState("model/a", 9, copied=True),)))
    again = start(replace(half, attempt=2), now=3).value
    assert (attempt_location(again).prefix, again.copied_bytes) == ("p/models/m/source/1/", 5)
    assert again.files == half.files
    anew = begun_anew(again)
    assert (attempt_location(anew).prefix, anew.copied_bytes) == ("p/models/m/source/2/", 0)
    assert (anew.pins, anew.files) == (None, ())
    assert abandon(half).pins is None
    assert succeed(report(half, Progress(pins="x", files=half.files)), FACT, now=4).value.files == ()
    assert "attempt 2" in view(running(2)).log[0]
    left = interrupt(running(), "store away", now=3).value
    assert "store away" in view(left).log[-1]
    assert view(left).waits_for == "store away"
    assert view(report(left, Progress(None, 0, ()))).waits_for == "store away"
    assert view(report(left, Progress(100, 0, ()))).waits_for is None


def test_a_deleted_version_cancels_what_has_not_ended_and_nothing_else() -> None:
    assert cancel(waiting(), now=3).value.state == "cancelled"
    done = succeed(running(), FACT, now=3).value
    assert cancel(done, now=4).value == replace(done, deleted=True)


def test_the_log_does_not_grow_without_bound() -> None:
    job = running()
    for at in range(500):
        job = report(job, Progress(lines=(LogLine(at, "line"),)))
    assert len(job.log) == 200
