"""Competitions: entries are scored on data that the entrant never sees."""

from collections.abc import Callable
from typing import Literal

from modelyard.client import Client, Reply, at
from modelyard.references import artifact_id, competition_id, dataset_id


class Competitions:
    """A competition is named by its id, or by a title that no other one has. Raises NotFoundHere, Refused, and
    GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        title: str,
        dataset: str,
        deadline: int,
        *,
        description: str = "",
        metric: Literal["accuracy", "precision", "recall", "f1", "auc"] | str = "accuracy",
        entries_per_day: int = 5,
    ) -> Reply:
        """Open one on a hidden dataset. `deadline` in ms since 1970 UTC; `entries_per_day` of each project."""
        body = {
            "title": title,
            "description": description,
            "dataset_id": dataset_id(self._client, dataset),
            "metric": metric,
            "deadline": deadline,
            "entries_per_day": entries_per_day,
        }
        return self._client.post("competitions", body)

    def list(self, *, limit: int | None = None, offset: int | None = None) -> Reply:
        """Of all projects, newest first: `competitions`, `count` and `total_count`."""
        return self._client.get("competitions", limit=limit, offset=offset)

    def show(self, competition: str) -> Reply:
        return self._client.get(at("competitions", competition_id(self._client, competition)))

    def leaderboard(self, competition: str) -> Reply:
        """`rows`: the scored entries, best first."""
        return self._client.get(at("competitions", competition_id(self._client, competition), "leaderboard"))

    def enter(self, competition: str, model: str, *, artifact: str | None = None) -> Reply:
        """Enter a version and return at once; `wait` follows the entry until it is scored."""
        found = self._client.models.show(model)
        body = {"model_id": found["model_id"], "artifact_id": artifact_id(found, artifact)}
        return self._client.post(at("competitions", competition_id(self._client, competition), "entries"), body)

    def entry(self, entry_id: str) -> Reply:
        return self._client.get(at("entries", entry_id))

    def wait(self, entry_id: str, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """The entry once it is scored. Raises TaskFailed with the reason when it was rejected."""
        return self._client.follow(lambda: self.entry(entry_id), "state", on_change)
