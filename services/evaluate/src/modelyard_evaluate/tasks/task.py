"""What a row of the tasks' table is. The API role reads rows too, so nothing that measures is imported here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard_contracts.calls.evaluate import DatasetKind
from modelyard_contracts.catalogue import Job
from modelyard_contracts.dataset import Listed
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.package import PackageConfig
from modelyard_evaluate.domain.datasets import Dataset
from modelyard_evaluate.domain.listing import Counted, Limits, Scan
from modelyard_evaluate.domain.runs import Scores
from modelyard_evaluate.domain.scored import Scored


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which samples may lie in a folder. Both functions raise DatasetRefused.

    `scan(listed, limits, place)` says which files they are. `count(scan, read, limits)` counts the samples; `read` are
    the files of `scan.to_read`, fetched.
    """

    name: DatasetKind
    scan: Callable[[Iterable[Listed], Limits, str], Scan]
    count: Callable[[Scan, Sequence[Path], Limits], Counted]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that can be measured of a model on data of these `kinds`; each kind belongs to one task.

    `child` is the module of the subprocess: it gets an EvaluationRequest and answers with an EvaluationReport.
    `check` raises what is refused before anything runs. `compare` makes one row per run, in the given order; the first
    is the reference. `headline` has the shape of `result.json` and nothing in it that tells of single samples: it is
    what entrants see of hidden data.
    """

    name: str
    job: Job[EvaluationJob]
    child: str
    kinds: tuple[Kind, ...]
    check: Callable[[Dataset, PackageConfig | None], None]
    compare: Callable[[Sequence[Scored]], tuple[dict[str, Any], ...]]
    headline: Callable[[Scores], dict[str, Any]]
