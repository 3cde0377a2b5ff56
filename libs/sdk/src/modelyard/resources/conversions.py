"""Conversions: a version made fit for a chip, with proof that it still computes the same."""

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from modelyard.client import Client, Reply, at
from modelyard.errors import NotFoundHere, Refused
from modelyard.references import dataset_id, meant, model_id
from modelyard.transfer import download
from modelyard.transfer.line import Begun, Progress, not_told

_BAD_ORDER: Final = (400, 422)


class Conversions:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def targets(self) -> Reply:
        """What can be made from what, with the JSON Schema of the options, and whether a worker offers it now."""
        return self._client.get("conversion-targets")

    def create(
        self,
        model: str,
        target: str,
        *,
        options: Mapping[str, Any] | None = None,
        tolerance: Mapping[str, Any] | None = None,
        calibration: str | None = None,
    ) -> Reply:
        """Order one and return at once; `wait` follows it. `calibration` is a dataset.

        `tolerance` holds what shall differ from the target's own, e.g. `{"roles": {"boxes": {"max_rel_error": 0.1}}}`.
        Raises NotFoundHere for a target that there is not.
        """
        order: dict[str, Any] = {"target": target, "options": dict(options or {})}
        if calibration:
            order["calibration_dataset_id"] = dataset_id(self._client, calibration)
        if tolerance:
            order["tolerance"] = _over(self._default_tolerance(target), tolerance)
        identifier = model_id(self._client, model)
        try:
            return self._client.post("conversions", {"model_id": identifier, "order": order})
        except Refused as refused:
            known = [row["target"] for row in self.targets()["targets"]] if refused.status in _BAD_ORDER else [target]
            if target in known:
                raise
            raise _no_target(target, known) from refused

    def _default_tolerance(self, target: str) -> Reply:
        known = {row["target"]: row["default_tolerance"] for row in self.targets()["targets"]}
        if target not in known:
            raise _no_target(target, known)
        return dict(known[target])

    def wait(self, conversion_id: str, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """The conversion once it has succeeded. Raises TaskFailed, whose `reply` may hold the proof that tells why."""
        return self._client.follow(lambda: self.show(conversion_id), "state", on_change)

    def list(
        self,
        *,
        model: str | None = None,
        state: Literal["initialising", "running", "succeeded", "failed"] | str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Reply:
        """Newest first: `conversions`, `count` and `total_count`."""
        identifier = model_id(self._client, model) if model else None
        return self._client.get("conversions", model_id=identifier, state=state, limit=limit, offset=offset)

    def show(self, conversion_id: str) -> Reply:
        """State, proof and benchmark."""
        return self._client.get(at("conversions", conversion_id))

    def log(self, conversion_id: str, *, offset: int | None = None) -> Reply:
        """`text` from `offset` (`next_offset` of an earlier answer) on; `complete` when nothing more will come."""
        return self._client.get(at("conversions", conversion_id, "log"), offset=offset)

    def follow_log(self, conversion_id: str) -> Iterator[str]:
        """The log, piece by piece, until the conversion ends."""
        piece = self.log(conversion_id)
        yield piece["text"]
        if piece["complete"]:
            return
        for _ in self._client.events(at("conversions", conversion_id, "progress")):
            piece = self.log(conversion_id, offset=piece["next_offset"])
            yield piece["text"]

    def result(self, conversion_id: str) -> Reply:
        """Links to a result that failed its proof, to look at; one that passed is an artifact of its version."""
        return self._client.get(at("conversions", conversion_id, "result"))

    def download(
        self, conversion_id: str, folder: Path | str, *, progress: Progress = lambda _: None, begun: Begun = not_told
    ) -> builtins.list[Path]:
        """Fetch such a result, each file verified. Raises TaskFailed naming the file."""
        links = self.result(conversion_id)
        return download(links, Path(folder), progress, begun, lambda: self.result(conversion_id))

    def delete(self, conversion_ids: Sequence[str]) -> Reply:
        """Forget finished ones, up to 100: `deleted`, and `refused` with the reason of each. Artifacts stay."""
        return self._client.post("conversions/delete", {"conversion_ids": [*conversion_ids]})


def _no_target(target: str, known: Iterable[str]) -> NotFoundHere:
    close = meant(target, known)
    return NotFoundHere(f"there is no target {target}; {close.strip() or 'known are ' + ', '.join(known)}")


def _over(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`own` with `given` over it, at every depth."""
    deeper = {
        name: _over(own.get(name) or {}, value) if isinstance(value, Mapping) else value
        for name, value in given.items()
    }
    return {**own, **deeper}
