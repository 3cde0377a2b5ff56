"""Can this order be done with this version? Every rule that needs no long run, so that people hear it at once. Pure."""

from collections.abc import Iterator

from jsonschema import Draft202012Validator, ValidationError

from modelyard_contracts.calls.evaluate import DatasetView
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.failures import Problem
from modelyard_contracts.package import OUTPUT_ROLES
from modelyard_contracts.shapes import Artifact, ConversionOrder, Inspection, Tolerance
from modelyard_convert.errors import (
    AlreadyQuantised,
    BadOptions,
    CalibrationMissing,
    CalibrationProblem,
    NotConvertible,
    NotPublished,
    UnknownTarget,
)
from modelyard_convert.toolchains import TARGETS
from modelyard_convert.toolchains.target import Target

ROLES = (*OUTPUT_ROLES, "rows")
ROUNDING = 0.05
CALIBRATION_FOLDER = "calibration_data/"
_QUANTISED = frozenset({
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "MatMulNBits",
    "QAttention", "QGemm", "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
})  # fmt: skip


def target_of(order: ConversionOrder) -> Target:
    """Raises UnknownTarget, and BadOptions naming every wrong option."""
    target = TARGETS.get(order.target)
    if target is None:
        raise UnknownTarget(order.target, tuple(TARGETS))
    validator = Draft202012Validator(target.options_schema)
    problems = tuple(problem for error in validator.iter_errors(order.options) for problem in _problems(error, target))
    if problems:
        raise BadOptions(target.target, problems)
    return target


def source_of(version: VersionView, target: Target) -> Artifact:
    """The artifact to convert. Raises NotPublished, NotConvertible, AlreadyQuantised."""
    if version.model_status != "published":
        raise NotPublished(version.model_name, version.model_version, version.model_status)
    source = next((artifact for artifact in version.artifacts if artifact.kind == "source"), None)
    if source is None or version.config is None:
        raise NotConvertible(f"{version.model_name} {version.model_version} has no model file to convert")
    if source.format not in target.source_formats:
        takes = " or ".join(target.source_formats)
        raise NotConvertible(f"{target.target} converts {takes}; the model is {source.format}")
    if target.float_sources_only and (found := quantised(source.inspection)):
        raise AlreadyQuantised(found)
    return source


def check_calibration(version: VersionView, source: Artifact, target: Target, dataset: DatasetView | None) -> None:
    """Raises CalibrationMissing, CalibrationProblem. `dataset`: the one that the order names."""
    if dataset is None:
        if target.needs_calibration and not packed_samples(source):
            raise CalibrationMissing(target.target)
        return
    if dataset.hidden:
        raise CalibrationProblem(f"dataset {dataset.name} is hidden; only competitions may use it")
    if dataset.kind == "image-folder" and (version.config is None or len(version.config.preprocessing) != 1):
        raise CalibrationProblem(
            f"dataset {dataset.name} holds images, but config.json has no `preprocessing` that turns them into inputs"
        )


def packed_samples(source: Artifact) -> tuple[str, ...]:
    """Paths of the calibration samples that came with the package."""
    paths = (file.path for file in source.files)
    return tuple(path for path in paths if path.startswith(CALIBRATION_FOLDER) and path.endswith((".npy", ".npz")))


def check_tolerance(order: ConversionOrder, source: Artifact) -> None:
    """Raises BadOptions for bounds of a role that nobody has, or of an output that is not there."""
    if order.tolerance is None:
        return
    outputs = [spec.name for spec in source.inspection.signature.outputs]
    known = {"roles": ROLES, "outputs": outputs or order.tolerance.outputs}
    given = {"roles": order.tolerance.roles, "outputs": order.tolerance.outputs}
    problems = tuple(
        Problem(
            message=f"there is no {of[:-1]} {name!r}",
            field=f"order.tolerance.{of}.{name}",
            rule=f"{of}: {', '.join(known[of])}",
        )
        for of, bounds in given.items()
        for name in bounds
        if name not in known[of]
    )
    if problems:
        raise BadOptions(order.target, problems)


def tolerance_of(order: ConversionOrder, target: Target, inspection: Inspection) -> Tolerance:
    """The order's, else the target's: wider for a source that rounds to int8 itself, where another runtime may round
    the other way."""
    if order.tolerance is not None or not quantised(inspection):
        return order.tolerance or target.tolerance
    widened = max(target.tolerance.max_rel_error, ROUNDING)
    return target.tolerance.model_copy(update={"max_rel_error": widened})


def quantised(inspection: Inspection) -> tuple[str, ...]:
    """Operators that show it."""
    kinds = {name: name.rpartition("::")[2] for name in inspection.operators}
    return tuple(name for name, kind in kinds.items() if kind in _QUANTISED or kind.startswith("QLinear"))


def _problems(error: ValidationError, target: Target) -> Iterator[Problem]:
    path = ".".join(("order", "options", *map(str, error.absolute_path)))
    if error.validator == "additionalProperties":
        known = ", ".join(target.options) or "none"
        given: dict[str, object] = dict(error.instance)  # type: ignore[arg-type]  # an object, or the rule were another
        for name in sorted(given.keys() - target.options.keys()):
            yield Problem(message="there is no such option", field=f"{path}.{name}", rule=f"options: {known}")
        return
    yield Problem(message=error.message, field=path, rule=f"{error.validator}: {error.validator_value}")
