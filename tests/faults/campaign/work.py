"""What a trial asks of the yard, and what it looks at afterwards: by the public interface alone.

What is refused or not answered was not accepted and is asked again under the same key, so it must be there once.
"""

import asyncio
import io
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import httpx
from PIL import Image

from modelyard import Client, GatewayUnreachable, Refused
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.errors import BusError
from modelyard_contracts.catalogue import TRAINING_COMPLETED, TRAINING_JOB
from modelyard_contracts.envelope import Envelope
from modelyard_local.demo import digits
from modelyard_testkit.yard import Yard
from modelyard_testkit.yard_inside import put, stray_keys

TARGET: Final = "onnx-fp16"
PLAIN: Final = 3
"""Models that only come in, beside the one that a training run announces with a plan."""
ENDED: Final = ("published", "failed")
AGAIN: Final = 503


@cache
def package() -> dict[str, bytes]:
    train, held_out, _ = digits.split()
    return digits.train(train, held_out).files


@cache
def images(shade: int) -> dict[str, bytes]:
    """Two of each class; `shade` makes another set of them."""
    files = {}
    for label in range(10):
        for number in range(2):
            buffer = io.BytesIO()
            Image.new("L", (8, 8), (label * 20 + number + shade) % 256).save(buffer, "PNG")
            files[f"{label}/{number}.png"] = buffer.getvalue()
    return files


def accepted(ask: Callable[[], dict[str, Any]], until: float) -> dict[str, Any]:
    """The answer, whatever is away meanwhile. Raises AssertionError when nothing is accepted until then."""
    last: object = None
    while time.monotonic() < until:
        try:
            return ask()
        except GatewayUnreachable as error:
            last = error
        except Refused as refused:
            if refused.status != AGAIN:
                raise
            last = refused
        time.sleep(0.3)
    raise AssertionError(f"not accepted in time: {last}")


@dataclass
class Ground:
    """What all trials share: where the model lies, data to measure with, a competition."""

    yard: Yard
    source: str = field(init=False)
    held_out: str = field(init=False)
    competition_id: str = field(init=False)

    def prepare(self) -> "Ground":
        buckets = self.yard.details["s3"]["buckets"]
        self.source = put(self.yard, buckets["training"], "campaign/model", package())
        self.held_out = put(self.yard, buckets["datasets"], "campaign/held-out", images(0))
        hidden = put(self.yard, buckets["datasets"], "campaign/hidden", images(7))
        with self.yard.project("campaign-arena") as arena:
            body = {"name": "hidden", "kind": "image-folder", "source_location": hidden, "hidden": True}
            dataset_id = arena.post("datasets", body)["dataset_id"]
            deadline = int(time.time() * 1000) + 86_400_000
            opened = {"title": "Arena", "dataset_id": dataset_id, "deadline": deadline}
            self.competition_id = arena.post("competitions", opened)["competition_id"]
        return self


@dataclass
class Work:
    """Of one trial, in a project of its own. `whole`: its plan converts and measures too, which takes a while."""

    ground: Ground
    project: str
    whole: bool = True
    client: Client = field(init=False)
    keys: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """While nothing is wrong: what the accepted work will need."""
        self.client = self.ground.yard.project(self.project)
        publish = [{"channel": "gallery"}, {"channel": "competition", "competition_id": self.ground.competition_id}]
        plan: dict[str, Any] = {"publish": publish}
        if self.whole:
            body = {"name": "held-out", "kind": "image-folder", "source_location": self.ground.held_out}
            dataset_id = self.client.post("datasets", body)["dataset_id"]
            plan |= {"convert": [{"target": TARGET}], "evaluate": [{"dataset_id": dataset_id}]}
        self.client.post("import-rules", {"name": "all", "job_name": "run*", "model_name": "planned", "plan": plan})

    def submit(self, until: float) -> None:
        """All of it, one after the other; returns once it is accepted."""
        self.announce(until)
        for number in range(PLAIN):
            self.create(f"plain-{number}", until)

    def create(self, name: str, until: float) -> None:
        body = {"model_name": name, "source_location": self.ground.source}
        accepted(lambda: self.client.post("models", body, idempotency_key=f"{self.project}-{name}"), until)
        self.keys.append(name)

    def announce(self, until: float) -> None:
        """As a training run does, over NATS; its client says it again until it has a receipt."""
        details, now = self.ground.yard.details, datetime.now(UTC).isoformat()
        bucket, _, prefix = self.ground.source.removeprefix("s3://").partition("/")
        data = {"job_id": f"run-{self.project}", "job_name": "run", "job_version": "V001", "status": "completed",
                "output": {"bucket": bucket, "prefix": prefix}, "metrics": {"accuracy": 0.9}}  # fmt: skip
        event = {"specversion": "1.0", "id": f"run-of-{self.project}", "source": "training/run", "time": now,
                 "type": TRAINING_COMPLETED.subject, "subject": data["job_id"], "project": self.project,
                 "data": data}  # fmt: skip
        envelope, who = Envelope.model_validate(event), details["nats_credentials"]

        async def say() -> dict[str, Any]:
            bus = await Bus.connect(BusSettings(details["nats_url"], TRAINING_JOB, who["user"], who["password"]))
            try:
                await bus.publish(TRAINING_COMPLETED.subject, envelope)
            finally:
                await bus.close()
            return {}

        def told() -> dict[str, Any]:
            try:
                return asyncio.run(say())
            except BusError as error:
                raise GatewayUnreachable(str(error)) from error

        accepted(told, until)
        self.keys.append("planned")

    def open_ends(self) -> list[str]:
        """What was accepted and is not final yet, in words. Empty: all of it has ended."""
        models = self.models()
        missing = [f"{name} is nowhere" for name in self.keys if name not in models]
        waiting = [f"{name} is {m['model_status']}" for name, m in models.items() if m["model_status"] not in ENDED]
        return missing + waiting + self._plan_open(models.get("planned"))

    def models(self) -> dict[str, dict[str, Any]]:
        """By name; one of several with the same name."""
        return {found["model_name"]: found for found in self._listed()}

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("models", limit=100)["models"]
        return found

    def _plan_open(self, planned: dict[str, Any] | None) -> list[str]:
        if planned is None or planned["model_status"] != "published":
            return []
        shown = self.client.get(f"models/{planned['model_id']}")
        return (self._work_open(shown) if self.whole else []) + self._publication_open(shown)

    def _work_open(self, shown: dict[str, Any]) -> list[str]:
        made = self.client.get("conversions")["conversions"]
        runs = self._runs()
        wanted = {"source", *(each["target"] for each in shown["artifacts"])}
        open_ = [f"conversion {each['state']}: {each['progress']}" for each in made if each["finished_at"] is None]
        open_ += [] if made else ["no conversion"]
        open_ += [f"evaluation of {run['target']} {run['state']}" for run in runs if run["finished_at"] is None]
        open_ += [f"no evaluation of {target}" for target in wanted - {run["target"] for run in runs}]
        succeeded = {each["artifact"]["artifact_id"] for each in made if each["state"] == "succeeded"}
        known = {each["artifact_id"] for each in shown["artifacts"]}
        open_ += ["the version has not heard of its conversion"] if not succeeded <= known else []
        return open_

    def _publication_open(self, shown: dict[str, Any]) -> list[str]:
        measured = any(run["target"] == "source" and run["state"] == "succeeded" for run in self._runs())
        open_: list[str] = []
        if measured or not self.whole:
            open_ += [] if self._listings() else ["not in the gallery"]
            open_ += [] if self._judged(shown) else ["no verdict on the entry"]
        return open_ + [f"in use: {each}" for each in shown["in_use"] if "not ended" in each]

    def _runs(self) -> list[dict[str, Any]]:
        found = self.client.get("evaluations")["evaluations"]
        return [run for evaluation in found for run in evaluation["versions"]]

    def _listings(self) -> list[dict[str, Any]]:
        found = self.client.get("gallery", limit=100)["listings"]
        return [each for each in found if each["project"] == self.project]

    def _judged(self, shown: dict[str, Any]) -> bool:
        rows = self.client.get(f"competitions/{self.ground.competition_id}/leaderboard")["rows"]
        return any(row["project"] == self.project for row in rows) or "rejected" in json.dumps(shown)

    def faults(self) -> list[str]:
        """What is there twice, lies about or was told wrongly. Once everything has ended."""
        found = self._listed()
        twice = [f"{count} versions of {name}" for name, count in Counter(m["model_name"] for m in found).items()
                 if count != 1]  # fmt: skip
        shown = [self.client.get(f"models/{each['model_id']}") for each in found]
        for each in shown:
            twice += self._twice(each)
        strays = stray_keys(self.ground.yard, self.project, [each for each in shown if each["artifacts"]])
        return twice + [f"stray {key}" for key in sorted(strays)]

    def _twice(self, shown: dict[str, Any]) -> list[str]:
        name, model_id = shown["model_name"], shown["model_id"]
        targets = Counter(each["target"] for each in shown["artifacts"])
        runs = Counter(each["run_id"] for each in shown["evaluations"])
        actions = Counter(each["action"] for each in self.client.get(f"models/{model_id}/history")["records"])
        intact = self.client.get(f"models/{model_id}/history/verification")
        wrong = [f"{name}: artifact {each} {count} times" for each, count in targets.items() if count != 1]
        wrong += [f"{name}: run {each} {count} times" for each, count in runs.items() if count != 1]
        once = {"created": 1, shown["model_status"]: 1, "artifact-added": len(targets) - bool(targets)}
        wrong += [f"{name}: {action} {actions[action]} times in its history" for action, count in once.items()
                  if actions[action] != count]  # fmt: skip
        return wrong + ([] if intact["intact"] else [f"{name}: history {intact['reason']}"])

    def reasons(self) -> list[str]:
        """Why what has failed did."""
        failed = [f"{m['model_name']}: {self.client.get('models/' + m['model_id'])['failure']}" for m in self._listed()
                  if m["model_status"] == "failed"]  # fmt: skip
        failed += [f"conversion: {each['reason']}" for each in self.client.get("conversions")["conversions"]
                   if each["state"] == "failed"]  # fmt: skip
        return failed + [f"evaluation: {run['reason']}" for run in self._runs() if run["state"] == "failed"]


def green(yard: Yard) -> str:
    """Empty when the gateway says that it is ready, else what it says."""
    try:
        answer = yard.http("GET", "/readyz")
    except httpx.TransportError as error:
        return f"no answer: {error}"
    return "" if answer.status_code == httpx.codes.OK else answer.text
