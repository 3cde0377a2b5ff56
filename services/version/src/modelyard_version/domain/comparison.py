"""What is not alike between versions, and whether a caller of the first could go on with the others.

Used by the compare call. A caller names inputs and outputs, so their order does not matter; what one version accepts
and another does not is breaking, what another accepts in addition is not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from modelyard_contracts.calls.version import ComparedVersion, Comparison, Difference, SignatureChange
from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_version.domain.versions import Version

Axis = int | str | None
Told = tuple[str, str, bool, str]
"""Part, name, breaking, message."""


def compared(versions: Sequence[Version]) -> Comparison:
    """The first is the baseline of the signature changes."""
    baseline, *others = versions
    names = _names(versions)
    return Comparison(
        versions=tuple(_summary(version, names) for version in versions),
        signature_changes=tuple(
            SignatureChange.model_validate(
                {"model_id": other.model_id, "part": part, "name": name, "breaking": breaking, "message": message}
            )
            for other in others
            for part, name, breaking, message in signature_changes(_signature(baseline), _signature(other))
        ),
        differences=tuple(_differences(versions, names)),
    )


def signature_changes(old: Signature | None, new: Signature | None) -> Iterator[Told]:
    """Nothing where one of them is not known: many formats do not carry it."""
    if old is None or new is None:
        return
    yield from _parts("input", old.inputs, new.inputs)
    yield from _parts("output", old.outputs, new.outputs)


def _parts(part: str, old: Sequence[TensorSpec], new: Sequence[TensorSpec]) -> Iterator[Told]:
    was, now = {spec.name: spec for spec in old}, {spec.name: spec for spec in new}
    gone = [spec for spec in old if spec.name not in now]
    added = [spec for spec in new if spec.name not in was]
    for spec in gone:
        alike = next((other for other in added if (other.dtype, other.shape) == (spec.dtype, spec.shape)), None)
        if alike:
            added.remove(alike)
            yield part, spec.name, True, f"{part} {spec.name!r} is called {alike.name!r} now"
        else:
            yield part, spec.name, True, f"{part} {spec.name!r} is gone"
    for spec in added:
        if part == "input":
            yield part, spec.name, True, f"input {spec.name!r} is required now: {_text(spec)}"
        else:
            yield part, spec.name, False, f"output {spec.name!r} is new: {_text(spec)}"
    for spec in old:
        if spec.name in now:
            yield from _changed(part, spec, now[spec.name])


def _changed(part: str, old: TensorSpec, new: TensorSpec) -> Iterator[Told]:
    if old.dtype != new.dtype:
        yield part, old.name, True, f"{part} {old.name!r} was {old.dtype} and is {new.dtype} now"
    if len(old.shape) != len(new.shape):
        message = f"{part} {old.name!r} had {len(old.shape)} axes and has {len(new.shape)} now"
        yield part, old.name, True, message
        return
    for number, (before, after) in enumerate(zip(old.shape, new.shape, strict=True)):
        if told := _axis(before, after):
            change, words = told
            breaking = change != ("widened" if part == "input" else "narrowed")
            yield part, old.name, breaking, f"axis {number} of {part} {old.name!r} {words}"


def _axis(before: Axis, after: Axis) -> tuple[str, str] | None:
    """Whether more or fewer lengths are possible than before, or others, and how to say it; None for no change. What
    a dynamic axis is called does not matter."""
    was, now = (axis if isinstance(axis, int) else None for axis in (before, after))
    if was == now:
        return None
    if now is None:
        return "widened", f"was {was} and may be of any length now"
    if was is None:
        return "narrowed", f"could be of any length and must be {now} now"
    return "other", f"was {was} and is {now} now"


def _text(spec: TensorSpec) -> str:
    axes = ", ".join("?" if axis is None else str(axis) for axis in spec.shape)
    return f"{spec.name}: {spec.dtype}[{axes}]"


def _inspection(version: Version) -> Inspection | None:
    return version.source_artifact.inspection if version.source_artifact else None


def _signature(version: Version) -> Signature | None:
    inspection = _inspection(version)
    if inspection is None or not (inspection.signature.inputs or inspection.signature.outputs):
        return None
    return inspection.signature


def _summary(version: Version, names: Mapping[str, str]) -> ComparedVersion:
    inspection = _inspection(version)
    return ComparedVersion(
        model_id=version.model_id,
        model_name=version.model_name,
        model_version=version.model_version,
        model_type=version.model_type,
        model_size=version.model_size,
        format=inspection.format if inspection else None,
        parameter_count=(inspection.parameter_count or None) if inspection else None,
        metrics=_metrics(version, names),
        parameters=version.training.parameters if version.training else {},
        operators=inspection.operators if inspection else {},
    )


def _names(versions: Sequence[Version]) -> dict[str, str]:
    """Of datasets, by id, as far as one of the versions knows them."""
    runs = (run for version in versions for run in version.evaluations)
    return {run.dataset_id: run.dataset_name for run in runs if run.dataset_name}


def _metrics(version: Version, names: Mapping[str, str]) -> dict[str, float]:
    """`training.…`, `config.…`, and `evaluation.<dataset>.…` of the newest run of the source on each dataset: numbers
    on different data are not comparable."""
    found: dict[str, float] = {}
    if version.training:
        found.update({f"training.{name}": value for name, value in version.training.metrics.items()})
    if version.config:
        claimed = version.config.metrics.model_dump(exclude_none=True)
        found.update({f"config.{name}": value for name, value in claimed.items()})
    source = version.source_artifact
    for run in version.evaluations:
        if source and run.artifact_id == source.artifact_id:
            dataset = names.get(run.dataset_id, run.dataset_id)
            found.update({f"evaluation.{dataset}.{name}": value for name, value in run.metrics.items()})
    return found


def _differences(versions: Sequence[Version], names: Mapping[str, str]) -> Iterator[Difference]:
    """Only what is not the same for all; None where a version has no such thing."""
    for subject, look in _SUBJECTS.items():
        if told := _unlike(subject, [look(version) for version in versions]):
            yield told
    for word, collect in _TABLES.items():
        tables = [collect(version, names) for version in versions]
        for name in sorted({name for table in tables for name in table}):
            if told := _unlike(f"{word} {name}", [table.get(name) for table in tables]):
                yield told


def _unlike(subject: str, values: list[Any]) -> Difference | None:
    return None if all(value == values[0] for value in values) else Difference(subject=subject, values=tuple(values))


def _dataset(version: Version) -> str | None:
    dataset = version.training.dataset if version.training else None
    return (dataset.digest or dataset.uri) if dataset else None


def _code(version: Version) -> str | None:
    code = version.training.code if version.training else None
    return f"{code.repository}@{code.commit}" if code else None


def _job(version: Version) -> str | None:
    return f"{version.training.job_name} {version.training.job_version}" if version.training else None


def _signature_text(version: Version) -> str | None:
    signature = _signature(version)
    if signature is None:
        return None
    sides = (signature.inputs, signature.outputs)
    return " → ".join(", ".join(_text(spec) for spec in side) for side in sides)


_SUBJECTS: Mapping[str, Callable[[Version], Any]] = {
    "status": lambda version: version.model_status,
    "type": lambda version: version.model_type,
    "format": lambda version: _summary(version, {}).format,
    "size": lambda version: version.model_size,
    "parameter count": lambda version: _summary(version, {}).parameter_count,
    "content": lambda version: version.source_artifact.digest if version.source_artifact else None,
    "producer": lambda version: (inspection.producer or None) if (inspection := _inspection(version)) else None,
    "signature": _signature_text,
    "training job": _job,
    "dataset": _dataset,
    "code": _code,
}
_TABLES: Mapping[str, Callable[[Version, Mapping[str, str]], Mapping[str, Any]]] = {
    "metric": _metrics,
    "parameter": lambda version, _: version.training.parameters if version.training else {},
    "operator": lambda version, _: inspection.operators if (inspection := _inspection(version)) else {},
    "opset": lambda version, _: inspection.opsets if (inspection := _inspection(version)) else {},
}
