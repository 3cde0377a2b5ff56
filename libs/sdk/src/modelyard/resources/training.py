"""Training runs that have announced themselves, and the rules that make versions of them."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from modelyard.client import Client, Reply, at
from modelyard.errors import NotFoundHere
from modelyard.references import IS_ID, no_training, rule_id

log = logging.getLogger("modelyard")
EVENT_TYPE = "modelyard.evt.training.completed.v1"


class Training:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(
        self,
        *,
        job_name: str | None = None,
        job_version: str | None = None,
        status: Literal["completed", "failed", "stopped"] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Reply:
        """Newest first. `job_name` is exact, or a glob when it holds `*` or `?`."""
        return self._client.get(
            "training-jobs", job_name=job_name, job_version=job_version, status=status, limit=limit, offset=offset
        )

    def show(self, job: str, version: str | None = None) -> Reply:
        """A run by its id, or the newest of a job by its name, or that with this number. Raises NotFoundHere."""
        if IS_ID.fullmatch(job):
            return self._client.get(at("training-jobs", job))
        runs = self.list(job_name=job, job_version=version, limit=100)["training_jobs"]
        if not runs:
            raise no_training(self._client, job, f"{job!r} {version}" if version else repr(job))
        newest = runs[0]
        said = newest["training"]
        twins = [run for run in runs if run["training"]["job_version"] == said["job_version"]]
        if len(twins) > 1:
            name, ids = (
                f"{said['job_name']} {said['job_version']}",
                ", ".join(run["training_job_id"] for run in twins[1:]),
            )
            log.warning("%d runs are called %s; this is the newest, the others are %s", len(twins), name, ids)
        return self.show(runs[0]["training_job_id"])

    def say(self, event: dict[str, Any]) -> Reply:
        """The CloudEvent of docs/training-events.md; its `id` makes a repeat harmless."""
        return self._client.post("training-jobs/events", event)

    def complete(
        self,
        job_name: str,
        output: str,
        *,
        job_version: str = "V001",
        job_id: str | None = None,
        status: Literal["completed", "failed", "stopped"] | str = "completed",
        framework: str | None = None,
        metrics: Mapping[str, float] | None = None,
        parameters: Mapping[str, Any] | None = None,
        dataset: Mapping[str, str | None] | None = None,
        code: Mapping[str, str] | None = None,
        event_id: str | None = None,
    ) -> Reply:
        """Say that a job has ended: `say` with the event made from what is known; matching rules import its model.

        `output` is s3://bucket/folder/, `dataset` {uri, digest}, `code` {repository, commit}. Raises NotFoundHere for
        another output.
        """
        bucket, _, prefix = output.removeprefix("s3://").partition("/")
        if not output.startswith("s3://") or not bucket or not prefix:
            raise NotFoundHere(f"the output {output!r} is not s3://bucket/folder/")
        now = datetime.now(UTC).isoformat()
        data = {
            "job_id": job_id or job_name,
            "job_name": job_name,
            "job_version": job_version,
            "status": status,
            "output": {"bucket": bucket, "prefix": prefix if prefix.endswith("/") else prefix + "/"},
            "framework": framework,
            "metrics": dict(metrics or {}),
            "parameters": dict(parameters or {}),
            "dataset": dataset,
            "code": code,
            "finished_at": now,
        }
        event = {
            "specversion": "1.0",
            "id": event_id or str(uuid4()),
            "source": f"training/{job_name}",
            "type": EVENT_TYPE,
            "time": now,
            "subject": data["job_id"],
            "project": self._client.connection.project,
            "data": data,
        }
        return self.say(event)


class Rules:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Reply:
        return self._client.get("import-rules")

    def create(self, rule: dict[str, Any]) -> Reply:
        """`name`, `job_name` (glob), `min_metrics`, `model_name`, `labels`, `plan`."""
        return self._client.post("import-rules", rule)

    def dry_run(self, rule: dict[str, Any]) -> Reply:
        """Which of the newest `runs` (1000) such a rule would have taken, and why not the others."""
        return self._client.post("import-rules/dry-run", rule)

    def show(self, rule: str) -> Reply:
        identifier = rule_id(self._client, rule)
        found = next((each for each in self.list()["rules"] if each["rule_id"] == identifier), None)
        if found is None:
            raise NotFoundHere(f"no rule {rule!r}; see 'modelyard rules list'")
        return dict(found)

    def delete(self, rule: str) -> Reply:
        """Versions that it has made stay."""
        return self._client.delete(at("import-rules", rule_id(self._client, rule)))
