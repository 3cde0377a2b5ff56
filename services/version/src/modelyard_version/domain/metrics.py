"""The numbers by which versions are compared in a list: one for each metric, from where it is known best."""

import math
import re
from typing import Final

from modelyard_version.domain.versions import Version

MOST: Final = 100  # metrics of one version that can be searched
_APART: Final = re.compile(r'[.$"%\[\]\\\x00-\x1f\x7f]')


def best_known(version: Version) -> dict[str, float]:
    """By the newest evaluation of the source, else by the training run, else by `config.json`."""
    said = version.config.metrics.model_dump(exclude_none=True) if version.config else {}
    trained = version.training.metrics if version.training else {}
    tried = measured(version)
    found = {name: number for name, number in {**said, **trained, **tried}.items() if name and math.isfinite(number)}
    return dict(list(found.items())[:MOST])


def measured(version: Version) -> dict[str, float]:
    """By the newest evaluation of the source here."""
    source = version.source_artifact
    tried: dict[str, float] = {}
    for run in version.evaluations:
        if source is not None and run.artifact_id == source.artifact_id:
            tried |= run.metrics
    return tried


def stored_name(metric: str) -> str:
    """As a key that every store can look for: what a path into JSON could stumble over is percent-encoded."""
    return _APART.sub(lambda sign: f"%{ord(sign[0]):02X}", metric)
