"""The main job for tests: a training run announces itself, and all that shall follow is awaited and judged.

Called by `tests/e2e` and `tests/faults`; each run has a project of its own, so that what lies there is all its doing.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from modelyard import Client
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts.catalogue import TRAINING_COMPLETED, TRAINING_JOB
from modelyard_contracts.envelope import Envelope
from modelyard_local.demo import digits
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import dead_letters, events, keys, pending_outbox, put, stray_keys, unsettled

JOB = "digits-mlp"
TARGETS = ("onnx-int8-static", "openvino-fp16")
HOUR_MS = 3_600_000

# What one undisturbed main job says. Four evaluations: one of each artifact, and one for the competition.
FACTS = {
    "training.completed": 1,
    "version.requested": 1,
    "version.published": 1,
    "version.artifact-added": 2,
    "import.started": 1,
    "import.succeeded": 1,
    "conversion.created": 2,
    "conversion.succeeded": 2,
    "evaluation.created": 4,
    "evaluation.succeeded": 4,
    "publication.competition-opened": 1,
    "publication.entry-submitted": 1,
    "publication.entry-scored": 1,
    "publication.listed": 1,
}
MAY_REPEAT = frozenset({"conversion.started", "evaluation.started"})  # said by every attempt


@cache
def splits() -> tuple[digits.Split, digits.Split, digits.Split]:
    return digits.split()


@cache
def trained() -> digits.Trained:
    """Once per test run; seconds."""
    train, held_out, _ = splits()
    return digits.train(train, held_out)


@cache
def images(number: int) -> dict[str, bytes]:
    return dict(splits()[number].pngs())


@dataclass(frozen=True)
class Outcome:
    """`evaluation` is the one that the plan asked for, with one version per artifact."""

    model: dict[str, Any]
    conversions: list[dict[str, Any]]
    evaluation: dict[str, Any]
    listing: dict[str, Any]
    rows: list[dict[str, Any]]


@dataclass
class MainJob:
    """`files` is the package that the training run leaves behind."""

    yard: Yard
    project: str
    files: dict[str, bytes]
    client: Client = field(init=False)
    competition_id: str = field(init=False)
    held_out_id: str = field(init=False)
    correlationid: str = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.yard.project(self.project)
        self.correlationid = f"training-of-{self.project}"

    def prepare(self) -> None:
        """Datasets, competition, rule, and the run's files in the training bucket."""
        buckets = self.yard.details["s3"]["buckets"]
        self.held_out_id = self._dataset("held-out", images(1), hidden=False)
        hidden_id = self._dataset("hidden", images(2), hidden=True)
        deadline = int(time.time() * 1000) + HOUR_MS
        competition = {"title": f"Unseen {self.project}", "dataset_id": hidden_id, "deadline": deadline}
        self.competition_id = self.client.post("competitions", competition)["competition_id"]
        plan = {
            "convert": [{"target": target} for target in TARGETS],
            "evaluate": [{"dataset_id": self.held_out_id}],
            "publish": [{"channel": "gallery"}, {"channel": "competition", "competition_id": self.competition_id}],
        }
        rule = {"name": "nightly", "job_name": f"{JOB}*", "model_name": "digits", "min_metrics": {"accuracy": 0.9}}
        self.client.post("import-rules", rule | {"plan": plan})
        put(self.yard, buckets["training"], self.output.rstrip("/"), self.files)

    def _dataset(self, name: str, files: dict[str, bytes], *, hidden: bool) -> str:
        place = put(self.yard, self.yard.details["s3"]["buckets"]["datasets"], f"{self.project}/{name}", files)
        body = {"name": name, "kind": "image-folder", "source_location": place, "hidden": hidden}
        return str(self.client.post("datasets", body)["dataset_id"])

    @property
    def output(self) -> str:
        return f"{self.project}/V001/"

    def event(self) -> dict[str, Any]:
        """The CloudEvent of docs/training-events.md, every field of it."""
        now = datetime.now(UTC).isoformat()
        data = {
            "job_id": f"{JOB}-{self.project}",
            "job_name": JOB,
            "job_version": "V001",
            "status": "completed",
            "output": {"bucket": self.yard.details["s3"]["buckets"]["training"], "prefix": self.output},
            "framework": "scikit-learn",
            "metrics": {"accuracy": trained().accuracy},
            "parameters": digits.PARAMETERS,
            "dataset": {"uri": "sklearn.datasets.load_digits", "digest": splits()[0].digest},
            "code": {"repository": "https://git.example/digits", "commit": digits.code_digest()},
            "started_at": now,
            "finished_at": now,
        }
        return {
            "specversion": "1.0",
            "id": f"run-of-{self.project}",
            "source": f"training/{JOB}",
            "type": TRAINING_COMPLETED.subject,
            "time": now,
            "subject": data["job_id"],
            "project": self.project,
            "correlationid": self.correlationid,
            "data": data,
        }

    def announce(self) -> None:
        """As the one NATS user that may say this one thing."""
        details = self.yard.details
        who = details["nats_credentials"]

        async def say() -> None:
            bus = await Bus.connect(BusSettings(details["nats_url"], TRAINING_JOB, who["user"], who["password"]))
            try:
                await bus.publish(TRAINING_COMPLETED.subject, Envelope.model_validate(self.event()))
            finally:
                await bus.close()

        asyncio.run(say())

    def model(self) -> dict[str, Any] | None:
        """The version, once it is registered. Raises AssertionError when it failed."""
        found = self.client.get("models")["models"]
        model = self.client.get(f"models/{found[0]['model_id']}") if found else None
        assert model is None or model["model_status"] != "failed", model["failure"] if model else None
        return model

    def conversions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("conversions")["conversions"]
        failed = [(made["order"]["target"], made["reason"]) for made in found if made["state"] == "failed"]
        assert not failed
        return found

    def runs(self) -> list[dict[str, Any]]:
        """Those of the plan's evaluation."""
        evaluation = self._evaluation()
        found: list[dict[str, Any]] = evaluation["versions"] if evaluation else []
        assert not [(run["version"], run["reason"]) for run in found if run["state"] in ("failed", "stopped")]
        return found

    def _evaluation(self) -> dict[str, Any] | None:
        for evaluation in self.client.get("evaluations")["evaluations"]:
            if evaluation["versions"][0]["dataset_id"] == self.held_out_id:
                found: dict[str, Any] = evaluation
                return found
        return None

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get(f"competitions/{self.competition_id}/leaderboard")["rows"]
        return found

    def listings(self) -> list[dict[str, Any]]:
        return [found for found in self.client.get("gallery")["listings"] if found["project"] == self.project]

    def finish(self) -> Outcome:
        """Waits until everything has followed. Raises NeverCame, and AssertionError as soon as a step has failed."""

        def complete() -> Outcome | None:
            model = self.model()
            if model is None or {artifact["target"] for artifact in model["artifacts"]} != {"source", *TARGETS}:
                self.conversions()
                return None
            measured = {found["target"] for found in model["evaluations"] if found["dataset_id"] == self.held_out_id}
            listings, rows, runs = self.listings(), self.rows(), self.runs()
            if measured != {"source", *TARGETS} or not listings or not rows or len(runs) < 1 + len(TARGETS):
                return None
            evaluation = self._evaluation()
            assert evaluation is not None
            listing = self.client.get(f"gallery/{listings[0]['listing_id']}")
            return Outcome(model, self.conversions(), evaluation, listing, rows)

        return eventually(complete, f"the end of the main job of {self.project}", pause=0.2)

    def settled(self) -> None:
        """Waits until nothing is on its way any more."""
        eventually(lambda: not pending_outbox(self.yard) and not unsettled(self.yard), "an empty outbox, no job")

    def judge(self, outcome: Outcome, *, copies: int = 1) -> None:
        """Everything happened, everything once, and nothing lies about. `copies` of each message lie on the stream."""
        self.settled()
        assert self.client.get("models")["total_count"] == 1
        assert sorted(made["order"]["target"] for made in outcome.conversions) == sorted(TARGETS)
        assert {made["state"] for made in self.conversions()} == {"succeeded"}
        assert sorted(run["target"] for run in outcome.evaluation["versions"]) == sorted(("source", *TARGETS))
        assert {run["state"] for run in self.runs()} == {"succeeded"}
        model = self.client.get(f"models/{outcome.model['model_id']}")
        assert sorted(artifact["target"] for artifact in model["artifacts"]) == sorted(("source", *TARGETS))
        assert max(Counter(measured["run_id"] for measured in model["evaluations"]).values()) == 1
        assert len(self.listings()) == 1
        assert len(self.rows()) == 1
        said = events(self.yard, self.project)
        facts = Counter(fact_of(event) for event in {event["id"]: event for event in said}.values())
        assert {fact: count for fact, count in facts.items() if fact not in MAY_REPEAT} == FACTS
        about = [event for event in said if fact_of(event) != "publication.competition-opened"]
        assert {event.get("correlationid") for event in about} == {self.correlationid}
        assert set(Counter(event["id"] for event in about).values()) == {copies}
        assert stray_keys(self.yard, self.project, [outcome.model]) == set()
        results = keys(self.yard, outcome.model["artifacts"][0]["location"]["bucket"], f"{self.project}/evaluations/")
        attempts = {key.rpartition("/")[0] for key in results}
        assert len(attempts) == FACTS["evaluation.succeeded"], "one folder of results for each"
        assert dead_letters(self.yard) == ()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return eventually(condition, what, pause=0.01)


def fact_of(event: dict[str, Any]) -> str:
    return str(event["type"]).removeprefix("modelyard.evt.").removesuffix(".v1")
