"""What the worker and its evaluation subprocess say to each other. Light: the service itself needs no numpy."""

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel

PROGRESS: Final = "progress"
"""A printed line `progress <done> <total>` counts samples."""


class ClassificationRequest(BaseModel):
    """`package` holds `model/`; `samples` is a JSON list of [file, class, name in the dataset], or one .npz file.
    Files are named relative to `data`; everything made goes into `out`."""

    package: Path
    format: str
    kind: Literal["image-folder", "npz"]
    data: Path
    samples: Path
    out: Path
    threads: int


class OutputFile(BaseModel):
    file: str
    name: str
    media_type: str


class Headline(BaseModel):
    """What the service keeps in its own document; everything else is in `result.json` and the files beside it."""

    samples: int
    correct: int
    metrics: dict[str, float]
    files: list[OutputFile]
