"""What a list shows of a version, and its view begins with: the fields of a VersionSummary."""

from typing import Any

from modelyard_version.domain.metrics import best_known, measured
from modelyard_version.domain.versions import Version

_AS_THEY_ARE = (
    "model_id", "model_name", "model_version", "model_status", "model_type", "model_size", "description", "labels",
    "source_type", "workspace_id", "create_at", "created_by", "install_type", "archived_at",
    "expires_at",
)  # fmt: skip


def summary_fields(version: Version) -> dict[str, Any]:
    return {
        **{name: getattr(version, name) for name in _AS_THEY_ARE},
        "revision": version.history_seq,
        "tags": dict(version.tags),
        "metrics": best_known(version),
        "measured": tuple(measured(version)),
        "aliases": tuple(mark.alias for mark in version.marks),
    }
