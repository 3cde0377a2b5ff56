"""Evaluations: what a version scores on a dataset, and what each conversion costs. One has runs V0001, V0002, …"""

import builtins
from collections.abc import Callable
from pathlib import Path

from modelyard.client import Client, Reply, at
from modelyard.references import artifact_id, dataset_id, model_id
from modelyard.references import evaluation_id as _id
from modelyard.transfer import save_plots


class Evaluations:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, model: str, dataset: str, *, artifact: str | None = None, name: str | None = None) -> Reply:
        """Begin one and return at once; `wait` follows it. The source is measured when no artifact is named."""
        found = self._client.models.show(model)
        body = {
            "model_id": found["model_id"],
            "dataset_id": dataset_id(self._client, dataset),
            "artifact_id": artifact_id(found, artifact),
        }
        return self._client.post("evaluations", body | ({"name": name} if name else {}))

    def again(self, evaluation_id: str, *, dataset: str | None = None, artifact: str | None = None) -> Reply:
        """Another run; dataset and artifact are those of the newest run unless they are named."""
        found = self._client.models.show(self.show(evaluation_id)["model_id"]) if artifact else {}
        body = {
            "dataset_id": dataset_id(self._client, dataset) if dataset else None,
            "artifact_id": artifact_id(found, artifact),
        }
        return self._client.post(at("evaluations", _id(evaluation_id), "versions"), body)

    def wait(
        self, evaluation_id: str, run: str | None = None, on_change: Callable[[Reply], None] = lambda _: None
    ) -> Reply:
        """That run, or the newest, once it has succeeded. Raises TaskFailed with the reason."""
        wanted = run or self.show(evaluation_id)["versions"][-1]["version"]

        def read() -> Reply:
            runs = self.show(evaluation_id)["versions"]
            return next(each for each in runs if each["version"] == wanted)

        return self._client.follow(read, "state", on_change)

    def list(self, *, model: str | None = None, limit: int | None = None, offset: int | None = None) -> Reply:
        """With their runs, newest first: `evaluations`, `count` and `total_count`."""
        identifier = model_id(self._client, model) if model else None
        return self._client.get("evaluations", model_id=identifier, limit=limit, offset=offset)

    def show(self, evaluation_id: str) -> Reply:
        """Its runs, in `versions`."""
        return self._client.get(at("evaluations", _id(evaluation_id)))

    def result(self, evaluation_id: str, run: str = "V0001") -> Reply:
        """The whole result of one run: docs/evaluation.md."""
        return self._client.get(at("evaluations", _id(evaluation_id), "versions", run, "result"))

    def plots(self, evaluation_id: str, folder: Path | str, run: str = "V0001") -> builtins.list[Path]:
        """Save the plots and tables of a run as files. Raises TaskFailed naming the plot."""
        return save_plots(self.result(evaluation_id, run)["plots"], Path(folder))

    def compare(self, evaluation_id: str) -> Reply:
        """`rows`: what each artifact scored beside the first run, in samples and percentage points."""
        return self._client.get(at("evaluations", _id(evaluation_id), "comparison"))

    def stop(self, evaluation_id: str, run: str) -> Reply:
        """Stop a waiting or running run for good."""
        return self._client.post(at("evaluations", _id(evaluation_id), "versions", run, "stop"), {})

    def delete(self, evaluation_id: str) -> Reply:
        """With all its runs and results."""
        return self._client.delete(at("evaluations", _id(evaluation_id)))
