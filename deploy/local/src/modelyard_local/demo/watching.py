"""Waiting for what must follow by itself, for as long as the yard gets on with it. Called by `scenario`.

What a service works on counts as getting on: it ends by itself, for the service's own limit ends it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from modelyard import Client
from modelyard.errors import GatewayUnreachable, Refused
from modelyard_local.patience import Patience

T = TypeVar("T")
_PAUSE = 0.2  # seconds
_NOT_YET, _UNAVAILABLE = 404, 503
_ENDED = {"succeeded", "failed", "stopped", "cancelled"}


class DemoFailed(Exception):
    """What did not come true, in words."""


@dataclass(frozen=True)
class Step:
    """Something that the yard does with the version, as the gateway tells it: `state` and `detail` in its words."""

    what: str
    state: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what} is {self.state}" + (f" ({self.detail})" if self.detail else "")


class Watch:
    """`steps` asks what is done about the version; `patience` may end when nothing moves."""

    def __init__(self, steps: Callable[[], list[Step]], patience: Patience, pause: float = _PAUSE) -> None:
        self._steps, self._patience, self._pause = steps, patience, pause
        self._seen: list[Step] = []
        self._looks = 0

    async def until(self, read: Callable[[], T | None], what: str) -> T:
        """The first answer that is not None. Raises DemoFailed when `read` does, or when nothing moves any more."""
        trouble = ""
        while True:
            try:
                found = await asyncio.to_thread(read)
            except (GatewayUnreachable, Refused) as error:
                if getattr(error, "status", _UNAVAILABLE) != _UNAVAILABLE:
                    raise
                found, trouble = None, str(error)  # a busy service has not answered in time
            if found is not None:
                return found
            if not await asyncio.to_thread(self._patience.holds, self._signs):
                raise DemoFailed(self._gave_up(what, trouble))
            await asyncio.sleep(self._pause)

    def _signs(self) -> object:
        try:
            self._seen = self._steps()
        except (GatewayUnreachable, Refused):
            return self._looks
        if any(step.state == "running" for step in self._seen):
            self._looks += 1
        return self._looks, self._seen

    def _gave_up(self, what: str, trouble: str) -> str:
        waiting = [str(step) for step in self._seen if step.state not in _ENDED]
        words = [f"{what} did not come, and nothing has moved for {self._patience.seconds:g} s"]
        words.append("; ".join(waiting) if waiting else "nothing is at work that could bring it")
        return ". ".join([*words, f"the gateway said: {trouble}"] if trouble else words)


def steps_of(client: Client, job_name: str, job_version: str) -> list[Step]:
    """Of the version that came of this training run."""
    jobs = client.get("training-jobs", job_name=job_name, job_version=job_version)["training_jobs"]
    if not jobs or not jobs[0]["imports"]:
        return [Step(f"the training run {job_name} {job_version}", "taken by no rule" if jobs else "not heard of")]
    model_id = jobs[0]["imports"][0]["model_id"]
    steps = [_import(client, model_id)]
    for made in client.get("conversions", model_id=model_id)["conversions"]:
        steps.append(Step(f"conversion to {made['order']['target']}", made["state"], made["progress"] or ""))
    for evaluation in client.get("evaluations", model_id=model_id)["evaluations"]:
        for run in evaluation["versions"]:
            done = f"{run['samples_done']} of {run['samples']} samples"
            steps.append(Step(f"evaluation of {run['target']} in {evaluation['name']}", run["state"], done))
    return steps


def _import(client: Client, model_id: str) -> Step:
    try:
        story = client.get(f"models/{model_id}/import")
    except Refused as refused:
        if refused.status != _NOT_YET:
            raise
        return Step("the import", "not begun")
    return Step("the import", story["state"], f"{story['copied_bytes']} bytes, {len(story['log'])} lines of log")
