"""The demo as a user would live it: prepare the yard once, let a training job finish, then only watch.

Everything goes through the gateway, S3 and NATS with the credentials of `connection.json`; nothing reaches into a
service.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelyard import Client
from modelyard.client import Reply
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts.catalogue import TRAINING_COMPLETED, TRAINING_JOB
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.shapes import CodeRef, DatasetRef, Location
from modelyard_local.demo import digits
from modelyard_local.demo.watching import DemoFailed, Watch, steps_of
from modelyard_local.patience import Patience
from modelyard_store.objects import Objects, ObjectSettings

JOB = "digits-mlp"
MODEL = "digits"
TARGETS = ("onnx-int8-static", "openvino-fp16")
_MONTH_MS = 30 * 86_400_000


@dataclass(frozen=True)
class Prepared:
    """What the yard holds before the training job speaks."""

    held_out_id: str
    hidden_id: str
    competition_id: str
    job_version: str


@dataclass(frozen=True)
class Outcome:
    """Everything that followed from one event."""

    version: Reply
    evaluation: Reply
    results: list[Reply]
    comparison: Reply
    lineage: Reply
    listing: Reply
    leaderboard: Reply
    prepared: Prepared
    trained_accuracy: float
    seconds: float


async def run(client: Client, say: Callable[[str], None], patience: float) -> Outcome:
    """Raises DemoFailed, or what the client raises."""
    details = client.connection.details
    s3 = details["s3"]
    objects = Objects.connect(ObjectSettings(s3["endpoint"], s3["access_key"], s3["secret_key"], s3["secure"]))
    train, held_out, hidden = digits.split()
    say(f"preparing: {len(held_out.labels)} images for evaluation, {len(hidden.labels)} hidden for the competition")
    prepared = await _prepare(client, objects, held_out, hidden)
    say("training a classifier on 1,078 handwritten digits …")
    trained = await asyncio.to_thread(digits.train, train, held_out)
    say(f"trained: accuracy {trained.accuracy:.4f} on the job's own held-out data")
    prefix = f"{JOB}/{prepared.job_version}/"
    for path, content in trained.files.items():
        await objects.put(s3["buckets"]["training"], prefix + path, content, "application/octet-stream")
    started = time.monotonic()
    await _announce(details, prefix, prepared, train, trained.accuracy)
    say(f"the training job {JOB} {prepared.job_version} says it is done; from here on we only watch\n")
    return await _watch(client, prepared, trained.accuracy, started, patience)


async def _prepare(client: Client, objects: Objects, held_out: digits.Split, hidden: digits.Split) -> Prepared:
    held_out_id = await _dataset(client, objects, "digits-held-out", held_out, hidden=False)
    hidden_id = await _dataset(client, objects, "digits-hidden", hidden, hidden=True)
    competition_id = await asyncio.to_thread(_competition, client, hidden_id)
    await asyncio.to_thread(_rule, client, held_out_id, competition_id)
    jobs = await asyncio.to_thread(client.get, "training-jobs", job_name=JOB, limit=1)
    return Prepared(held_out_id, hidden_id, competition_id, f"V{jobs['total_count'] + 1:03}")


async def _dataset(client: Client, objects: Objects, name: str, data: digits.Split, *, hidden: bool) -> str:
    """Found by its name, or put into the bucket and registered."""
    for found in (await asyncio.to_thread(client.get, "datasets", name=name))["datasets"]:
        if found["name"] == name:
            return str(found["dataset_id"])
    bucket = client.connection.details["s3"]["buckets"]["datasets"]
    slots = asyncio.Semaphore(16)

    async def put(path: str, content: bytes) -> None:
        async with slots:
            await objects.put(bucket, f"{name}/{path}", content, "image/png")

    await asyncio.gather(*(put(path, content) for path, content in data.pngs()))
    body = {"name": name, "kind": "image-folder", "source_location": f"s3://{bucket}/{name}/", "hidden": hidden}
    return str((await asyncio.to_thread(client.post, "datasets", body))["dataset_id"])


def _competition(client: Client, dataset_id: str) -> str:
    title = "Digits nobody has seen"
    for found in client.get("competitions")["competitions"]:
        if found["title"] == title and found["open"]:
            return str(found["competition_id"])
    body = {
        "title": title,
        "dataset_id": dataset_id,
        "metric": "accuracy",
        "deadline": int(time.time() * 1000) + _MONTH_MS,
        "entries_per_day": 1000,
    }
    return str(client.post("competitions", body)["competition_id"])


def _rule(client: Client, dataset_id: str, competition_id: str) -> None:
    """The only thing a person decides: what shall happen to models of this training job."""
    plan = {
        "convert": [{"target": target} for target in TARGETS],
        "evaluate": [{"dataset_id": dataset_id}],
        "publish": [{"channel": "gallery"}, {"channel": "competition", "competition_id": competition_id}],
    }
    for found in client.get("import-rules")["rules"]:
        if found["name"] == JOB:
            if found["plan"]["publish"][-1]["competition_id"] == competition_id:
                return
            client.delete(f"import-rules/{found['rule_id']}")
    body = {"name": JOB, "job_name": f"{JOB}*", "model_name": MODEL, "min_metrics": {"accuracy": 0.9}, "plan": plan}
    client.post("import-rules", body)


async def _announce(details: Any, prefix: str, prepared: Prepared, train: digits.Split, accuracy: float) -> None:
    """As a training job: with the one NATS user that may say this one thing."""
    credentials = details["nats_credentials"]
    bus = await Bus.connect(
        BusSettings(details["nats_url"], TRAINING_JOB, credentials["user"], credentials["password"])
    )
    now = datetime.now(UTC)
    completed = TrainingCompleted(
        job_id=f"{JOB}-{prepared.job_version}",
        job_name=JOB,
        job_version=prepared.job_version,
        status="completed",
        output=Location(bucket=details["s3"]["buckets"]["training"], prefix=prefix),
        framework="scikit-learn",
        metrics={"accuracy": accuracy},
        parameters=digits.PARAMETERS,
        dataset=DatasetRef(uri="sklearn.datasets.load_digits", digest=train.digest),
        code=CodeRef(repository="modelyard_local.demo.digits", commit=digits.code_digest()),
        finished_at=now,
    )
    event = Envelope(
        source=f"training/{JOB}",
        type=TRAINING_COMPLETED.subject,
        subject=completed.job_id,
        project=details["project"],
        data=completed.model_dump(mode="json", exclude_none=True),
    )
    try:
        await bus.publish(TRAINING_COMPLETED.subject, event)
    finally:
        await bus.close()


async def _watch(client: Client, prepared: Prepared, accuracy: float, started: float, patience: float) -> Outcome:
    watch = Watch(lambda: steps_of(client, JOB, prepared.job_version), Patience(patience))
    version = await watch.until(lambda: _version(client, prepared), "the version and its artifacts")
    listing = await watch.until(lambda: _listing(client, version), "the gallery listing")
    leaderboard = await watch.until(lambda: _leaderboard(client, prepared, version), "the competition's score")
    seconds = time.monotonic() - started

    def outcome() -> Outcome:
        return Outcome(
            **_results(client, prepared, version["model_id"]),
            listing=listing,
            leaderboard=leaderboard,
            prepared=prepared,
            trained_accuracy=accuracy,
            seconds=seconds,
        )

    return await watch.until(outcome, "the results")


def _results(client: Client, prepared: Prepared, model_id: str) -> dict[str, Any]:
    evaluations = client.get("evaluations", model_id=model_id)["evaluations"]
    own = next(found for found in evaluations if found["versions"][0]["dataset_id"] == prepared.held_out_id)
    path = f"evaluations/{own['evaluation_id']}"
    return {
        "version": client.get(f"models/{model_id}"),
        "evaluation": own,
        "results": [client.get(f"{path}/versions/{run['version']}/result") for run in own["versions"]],
        "comparison": client.get(f"{path}/comparison"),
        "lineage": client.get(f"models/{model_id}/lineage"),
    }


def _version(client: Client, prepared: Prepared) -> Reply | None:
    """The version that came of this run, once all its artifacts are measured. Raises DemoFailed when a step failed."""
    jobs = client.get("training-jobs", job_name=JOB, limit=1)["training_jobs"]
    if not jobs or jobs[0]["training"]["job_version"] != prepared.job_version or not jobs[0]["imports"]:
        return None
    version = client.get(f"models/{jobs[0]['imports'][0]['model_id']}")
    if version["model_status"] == "failed":
        raise DemoFailed(f"the import failed: {version['failure']['reason']}")
    for conversion in client.get("conversions", model_id=version["model_id"])["conversions"]:
        if conversion["state"] == "failed":
            raise DemoFailed(f"{conversion['order']['target']} failed: {conversion['reason']}")
    for evaluation in client.get("evaluations", model_id=version["model_id"])["evaluations"]:
        for run in evaluation["versions"]:
            if run["state"] == "failed":
                raise DemoFailed(f"evaluation {run['version']} failed: {run['reason']}")
    measured = {found["target"] for found in version["evaluations"] if found["dataset_id"] == prepared.held_out_id}
    return version if {"source", *TARGETS} <= measured else None


def _listing(client: Client, version: Reply) -> Reply | None:
    for found in client.get("gallery")["listings"]:
        if found["model_id"] == version["model_id"]:
            return client.get(f"gallery/{found['listing_id']}")
    return None


def _leaderboard(client: Client, prepared: Prepared, version: Reply) -> Reply | None:
    board = client.get(f"competitions/{prepared.competition_id}/leaderboard")
    mine = [row for row in board["rows"] if row["model_version"] == version["model_version"]]
    return board if mine else None
