"""What of a version goes along when it is promoted: to another project of the yard, or to another name of its own.

Evaluations and conversions stay where they were made, and the copy says where that is. Numbers of competition entries
are not among a version's evaluations, so they never go along.
"""

from typing import Any, Final, TypeVar

from modelyard_contracts.calls.version import CreateVersion
from modelyard_contracts.events import Original
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Artifact, EvaluationSummary, PromotionSource, ScanReport
from modelyard_version.domain.versions import Version

MOST_BYTES: Final = 800_000
"""Of what goes along as JSON: it travels in one message, which holds 1 MiB."""

MadeT = TypeVar("MadeT", Artifact, EvaluationSummary, ScanReport)


def taken_from(version: Version, source: PromotionSource, request: CreateVersion) -> CreateVersion:
    """The request with what it leaves to its original, which it names."""
    named = {"model_name": version.model_name, "model_version": version.model_version, "takes": ()}
    left: dict[str, Any] = {name: getattr(version, name) for name in source.takes}
    return request.model_copy(update={"source": source.model_copy(update=named), **left})


def brought_along(version: Version, project: str, model_id: str) -> Original | None:
    """For the version `model_id` of `project`; None when this one has no source artifact or no config."""
    source = version.source_artifact
    if source is None or version.config is None:
        return None
    others = (artifact for artifact in version.artifacts if artifact is not source)
    ids = {each.artifact_id: derived_id(project, "promoted", model_id, each.artifact_id) for each in version.artifacts}

    def moved(made: MadeT, **changes: Any) -> MadeT:
        place = made.made_in or version.owner
        return made.model_copy(update={**changes, "made_in": None if place == project else place})

    return Original(
        config=version.config,
        artifacts=tuple(moved(each, artifact_id=ids[each.artifact_id]) for each in (source, *others)),
        evaluations=tuple(
            moved(run, artifact_id=ids[run.artifact_id]) for run in version.evaluations if run.artifact_id in ids
        ),
        training=version.training,
        scan=version.scan and moved(version.scan),
    )
