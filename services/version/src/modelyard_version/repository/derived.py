"""What a version document holds beside the version: fields that lists look for, and the row that they show.

Every save writes them anew. Documents of earlier releases get them at the next start (`VersionRepository.derive`).
"""

from typing import Any, Final

from modelyard_contracts.calls.version import VersionRow
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.documents import Body
from modelyard_store.watched import Watched
from modelyard_version.domain.metrics import stored_name
from modelyard_version.domain.summary import summary_fields
from modelyard_version.domain.versions import Version

DERIVED: Final = 2
"""One more whenever something here changes."""


class DerivedVersions(Watched[Version]):
    def _body(
        self, project: str, identifier: str, outcome: Outcome[Version], former: Body, cause: Cause | None
    ) -> dict[str, Any]:
        return super()._body(project, identifier, outcome, former, cause) | derived(outcome.value)


def derived(version: Version) -> Body:
    """`row` is the JSON of a VersionRow: a page of a list is joined from those of its versions."""
    row = _row(version)
    return {
        "derived": DERIVED,
        "row": row.model_dump_json(),
        "name_key": version.model_name.casefold(),
        "metrics": {stored_name(name): number for name, number in row.metrics.items()},
        "aliases": [mark.alias for mark in version.marks],
        "tagged": [tag_text(key, value) for key, value in version.tags.items()],
    }


def tag_text(key: str, value: str) -> str:
    """How a tag is looked for."""
    return f"{key}={value}"


def _row(version: Version) -> VersionRow:
    return VersionRow(
        **summary_fields(version),
        owner=version.created_by,
        project=version.owner,
        tenant=version.owner,
        specification=version.specification.texts(),
        model_source="auto" if version.source_type == "auto" else "custom",
        publishable_flag=version.model_status == "published",
    )
