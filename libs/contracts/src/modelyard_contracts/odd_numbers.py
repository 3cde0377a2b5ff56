"""Numbers in a training report that are none, and too many parameters. A run has ended when its job says so: neither
must lose it.

Python's `json.dumps` writes NaN and Infinity, and many a training loop reports them. Used by the training event, which
keeps the run without them and says so, and by the gateway, which refuses them where the caller still listens.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelyard_contracts.keeping import Misfit, Path, dotted, misfit, misfits, shown

LONGEST: Final = 40  # characters shown of what is no number
MOST_PARAMETERS: Final = 2**18
"""Bytes of a run's parameters as JSON: they travel with every version of the run, in messages of 1 MB."""
_ALL_PARAMETERS: Final[Path] = ("parameters",)


def odd_numbers(report: Mapping[str, Any]) -> Iterator[Misfit]:
    """Metrics that are no finite numbers, texts and truths among them, numbers in the parameters that no store keeps,
    and all parameters when they are too many."""
    metrics, parameters = report.get("metrics"), report.get("parameters")
    if isinstance(parameters, dict) and (size := _bytes(parameters)) > MOST_PARAMETERS:
        message = f"{size:,} bytes of JSON, at most {MOST_PARAMETERS:,}; large ones belong in a file of the package"
        yield _ALL_PARAMETERS, message, f"at most {MOST_PARAMETERS:,} bytes"
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        if wrong := _no_number(value):
            yield ("metrics", name), wrong, "finite number"
    for path, message, rule in misfits(parameters) if isinstance(parameters, dict) else ():
        if rule in ("finite number", "64-bit integer"):
            yield ("parameters", *path), message, rule


def without_odd_numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report as it can be kept: such a metric is left out, such a parameter becomes a text, too many are left out
    altogether, and `warnings` says of each which. The report itself when there is none."""
    odd = list(odd_numbers(report))
    if not odd:
        return dict(report)
    places = {path for path, _, _ in odd}
    left_out = _ALL_PARAMETERS in places
    told = (
        f"{dotted(path)}: {message}; {'kept as a text' if len(path) > 1 and path[0] == 'parameters' else 'left out'}"
        for path, message, _ in odd
        if not left_out or path == _ALL_PARAMETERS or path[0] == "metrics"
    )
    kept = {name: value for name, value in (report.get("metrics") or {}).items() if ("metrics", name) not in places}
    parameters = None if left_out else _with_texts(report.get("parameters"), _ALL_PARAMETERS, places)
    return {
        **report,
        "metrics": kept,
        "parameters": parameters or {},
        "warnings": (*(report.get("warnings") or ()), *told),
    }


def _bytes(parameters: Mapping[str, Any]) -> int:
    return len(json.dumps(parameters, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))


def _no_number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{shown(json.dumps(value, ensure_ascii=False, default=str))[:LONGEST]} is not a number"
    try:
        return "not a finite number" if misfit(float(value)) else None
    except OverflowError:
        return "larger than any floating-point number"


def _with_texts(value: Any, path: Path, places: set[Path]) -> Any:
    if isinstance(value, dict):
        return {name: _with_texts(inner, (*path, name), places) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_texts(inner, (*path, number), places) for number, inner in enumerate(value)]
    return str(value) if path in places else value
