"""Search at many versions: by metric, label, text and date, alone and together, through the gateway."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from beside_mlflow import Http
from figures import Aim, Table, load, median, percentile
from seeding import LABELS, WORDS, YEAR_BEGAN, seed_searched
from yard import running_yard

_AIM = 10.0  # ms
_DAY = 86_400_000
Question = Callable[[random.Random], dict[str, object]]


def _accuracy(chance: random.Random) -> str:
    return f"accuracy > {chance.uniform(0.2, 0.999):.3f}"


def _label(chance: random.Random) -> str:
    return f"label = {chance.choice(list(LABELS))}"


def _text(chance: random.Random) -> str:
    return f"description ~ {chance.choice(WORDS)}"


def _date(chance: random.Random) -> str:
    since = YEAR_BEGAN + chance.randrange(350) * _DAY
    return f"created >= {since} and created < {since + chance.choice((1, 7, 30, 120)) * _DAY}"


_QUESTIONS: dict[str, Question] = {
    "metric, newest first": lambda chance: {"where": _accuracy(chance)},
    "metric, best first": lambda chance: {"where": _accuracy(chance), "sort_by": "metrics.accuracy"},
    "label": lambda chance: {"where": _label(chance)},
    "text": lambda chance: {"where": _text(chance)},
    "date": lambda chance: {"where": _date(chance)},
    "metric and label": lambda chance: {"where": f"{_accuracy(chance)} and {_label(chance)}"},
    "metric, label, text and date": lambda chance: {
        "where": " and ".join(part(chance) for part in (_accuracy, _label, _text, _date))
    },
    "the same, best first": lambda chance: {
        "where": " and ".join(part(chance) for part in (_accuracy, _label, _text, _date)),
        "sort_by": "metrics.accuracy",
    },
}


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    versions, repeats = (5_000, 20) if quick else (100_000, 60)
    async with running_yard(folder):
        pass  # makes the folder and its credentials
    await seed_searched(folder / "documents" / "version.sqlite", versions)
    async with running_yard(folder) as yard:
        port = int(yard.details["gateway_url"].rsplit(":", 1)[1])
        asking = Http(port, {"Authorization": f"Bearer {yard.details['token']}"})
        found = {name: await asyncio.to_thread(_timed, asking, ask, repeats) for name, ask in _QUESTIONS.items()}
    table = Table(
        f"Search in {versions:,} versions",
        ("question", "p50 ms", "p95", "p99", "rows (median)", "load"),
        notes=[
            f"One client, pages of 100, {repeats} questions of each kind, with values drawn from a seed: an accuracy "
            "above 0.2 to 1, a label that 30, 5, 1 or 0.1 % of the versions carry, a word that 82 to 3 % of the "
            "descriptions hold, a day, a week, a month or four months of a year. Through the gateway, on SQLite.",
        ],
    )
    for name, (took, rows) in found.items():
        times = median(took), percentile(took, 0.95), percentile(took, 0.99)
        table.rows.append((name, *times, median(rows), load()))
    worst = {name: median(took) for name, (took, _) in found.items()}
    slowest = max(worst, key=lambda name: worst[name])
    shown = f"{worst[slowest]:.2f} ms ({slowest})"
    return [table], [Aim(f"search at {versions:,} versions, p50", "< 10 ms", shown, worst[slowest] < _AIM)]


def _timed(asking: Http, question: Question, repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds, and how many rows came."""
    chance = random.Random(2)
    took: list[float] = []
    rows: list[float] = []
    for turn in range(repeats + 1):
        path = f"/v1/default/models?{urlencode({**question(chance), 'limit': 100})}"
        started = time.perf_counter()
        page = asking.ask("GET", path)
        if turn:  # the first is for warm caches
            took.append((time.perf_counter() - started) * 1000)
            rows.append(float(str(page["count"])))
    return took, rows
