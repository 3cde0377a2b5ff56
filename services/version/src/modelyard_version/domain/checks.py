"""What verifications and audits have in common: long jobs over what is stored, one document each.

waiting → running (claimed, perhaps more than once) → succeeded or failed. A failed one could not look; what it looks
for and finds is its result.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

MOST_NAMED: Final = 1000
MOST_BYTES: Final = 300_000
"""Of names in one document and its view: a message holds 1 MiB."""

State = Literal["waiting", "running", "succeeded", "failed"]
OPEN: Final[tuple[State, ...]] = ("waiting", "running")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, kw_only=True)
class Check:
    """Instants are ms since 1970 UTC. `reason` says why it failed, `attempt` counts workers."""

    id: str
    project: str
    created_at: int
    created_by: str
    correlationid: str
    state: State = "waiting"
    reason: str | None = None
    finished_at: int | None = None
    attempt: int = 0


CheckT = TypeVar("CheckT", bound=Check)


def running(check: CheckT) -> CheckT:
    return replace(check, state="running")


def ended(check: CheckT, now: int, reason: str | None = None) -> CheckT:
    """With a reason it failed."""
    return replace(check, state="failed" if reason else "succeeded", reason=reason, finished_at=now)


class Named(list[ItemT]):
    """The first findings, as many as fit; `total` counts them all."""

    def __init__(self, found: Iterable[ItemT] = ()) -> None:
        super().__init__()
        self.total = 0
        self._bytes = 0
        for item in found:
            self.note(item)

    def note(self, item: ItemT) -> None:
        self.total += 1
        self._bytes += len(str(item).encode()) + 20
        if len(self) < MOST_NAMED and self._bytes <= MOST_BYTES:
            self.append(item)
