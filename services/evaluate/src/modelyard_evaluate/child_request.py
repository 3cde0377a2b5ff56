"""What the worker and its evaluation subprocess say to each other, whatever the task. Light: it brings no numpy."""

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from modelyard_contracts.calls.evaluate import DatasetKind
from modelyard_contracts.shapes import Location
from modelyard_evaluate.domain.runs import OutputFile, Scores
from modelyard_evaluate.errors import EvaluationBroken

PROGRESS: Final = "progress"
"""A printed line `progress <done> <total>` counts samples."""

MOST_FIGURES: Final = 64
_Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class EvaluationRequest(BaseModel):
    """`package` holds `model/`; `samples` is a JSON list of [file, path in the dataset], sorted by path.
    Files are named relative to `data`; everything made goes into `out`."""

    package: Path
    format: str
    kind: DatasetKind
    data: Path
    samples: Path
    out: Path
    threads: int


class EvaluationReport(BaseModel):
    """What the service keeps in its own document: few numbers. Everything else is in `out`: `result.json` and, beside
    it, the `files` listed here."""

    samples: int
    metrics: dict[_Name, float] = Field(max_length=MOST_FIGURES)
    counts: dict[_Name, int] = Field(max_length=MOST_FIGURES)
    files: tuple[OutputFile, ...]

    @classmethod
    def read(cls, made: dict[str, Any]) -> Self:
        """Raises EvaluationBroken: to measure again would not help."""
        try:
            return cls.model_validate(made)
        except ValidationError as error:
            first = error.errors()[0]
            raise EvaluationBroken(f"its report cannot be kept: {first['loc'][0]}: {first['msg']}") from error

    def scores(self, place: Location) -> Scores:
        """`place` is where the content of `out` lies now."""
        return Scores(self.samples, self.metrics, self.counts, place, self.files)
