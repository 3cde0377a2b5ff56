"""Domain values as the shapes that calls answer with."""

from collections.abc import Iterator

from modelyard_contracts.calls.version import AliasView, RefusedPublication, VersionView
from modelyard_version.domain.aliases import Alias, Move
from modelyard_version.domain.holds import in_use
from modelyard_version.domain.summary import summary_fields
from modelyard_version.domain.versions import Version


def version_view(version: Version, now: int) -> VersionView:
    return VersionView(
        **summary_fields(version),
        project=version.owner,
        source=version.source,
        model_docs=version.model_docs,
        specification=version.specification,
        config=version.config,
        artifacts=version.artifacts,
        evaluations=version.evaluations,
        training=version.training,
        plan=version.plan,
        scan=version.scan,
        failure=version.failure,
        in_use=in_use(version, now),
        updated_at=version.updated_at,
        refused=tuple(_refused(version)),
        asked=version.asked,
    )


def _refused(version: Version) -> Iterator[RefusedPublication]:
    for refusal in version.refusals:
        yield RefusedPublication(
            channel="gallery",
            publication_id=refusal.listing_id,
            title=refusal.title,
            code=refusal.code,
            reason=refusal.reason,
        )
    for entry in version.entries:
        if entry.state == "rejected":
            yield RefusedPublication(
                channel="competition",
                publication_id=entry.entry_id,
                competition_id=entry.competition_id,
                title=entry.title,
                code=entry.code,
                reason=entry.reason or "",
            )


def alias_view(alias: Alias, held: Move | None) -> AliasView | None:
    """Where that move put the alias; None for nowhere."""
    if held is None or held.model_id is None or held.model_version is None:
        return None
    return AliasView(
        model_name=alias.model_name,
        alias=alias.alias,
        model_id=held.model_id,
        model_version=held.model_version,
        moved_at=held.at,
        moved_by=held.by,
        revision=alias.move,
    )
