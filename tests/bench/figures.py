"""What every measurement hands back: tables of numbers, each with the load of the machine while it was taken."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

Cell = str | float


@dataclass
class Table:
    """`notes` say how the numbers came about."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        head = ["| " + " | ".join(self.head) + " |", "|" + "---|" * len(self.head)]
        rows = ["| " + " | ".join(map(_shown, row)) + " |" for row in self.rows]
        notes = ["", *(f"{note}  " for note in self.notes)] if self.notes else []
        return "\n".join([f"### {self.title}", "", *head, *rows, *notes])


@dataclass(frozen=True)
class Aim:
    """One promise of the project beside what this run says of it."""

    what: str
    aim: str
    measured: str
    met: bool


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0–1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def load() -> float:
    """The one-minute load average: on a shared machine no number means anything without it."""
    return os.getloadavg()[0]


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
