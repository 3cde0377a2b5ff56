"""Training runs that have announced themselves, and the rules that make versions of them."""

from typing import Any, Literal

from modelyard.gateway import Gateway, Reply, at


class Training:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

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
        return self._gateway.get(
            "training-jobs", job_name=job_name, job_version=job_version, status=status, limit=limit, offset=offset
        )

    def show(self, training_job_id: str) -> Reply:
        return self._gateway.get(at("training-jobs", training_job_id))

    def say(self, event: dict[str, Any]) -> Reply:
        """The CloudEvent of docs/training-events.md; its `id` makes a repeat harmless."""
        return self._gateway.post("training-jobs/events", event)


class Rules:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def list(self) -> Reply:
        return self._gateway.get("import-rules")

    def create(self, rule: dict[str, Any]) -> Reply:
        """`name`, `job_name` (glob), `min_metrics`, `model_name`, `labels`, `plan`."""
        return self._gateway.post("import-rules", rule)

    def dry_run(self, rule: dict[str, Any]) -> Reply:
        """Which of the newest `runs` (1000) such a rule would have taken, and why not the others."""
        return self._gateway.post("import-rules/dry-run", rule)

    def delete(self, rule_id: str) -> Reply:
        return self._gateway.delete(at("import-rules", rule_id))
