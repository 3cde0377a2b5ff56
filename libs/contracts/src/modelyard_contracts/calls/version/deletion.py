"""Deleting versions, and what a delete would do."""

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.version.register import VersionCreated, VersionView
from modelyard_contracts.shapes import Shape


class DeleteVersions(Shape):
    """`purge`: for good and at once, also of an archived version; else a published one can be restored for some days.

    `revisions`: only if the named version is at one of these.
    """

    model_id: str
    cascade: bool = False
    purge: bool = False
    revisions: tuple[int, ...] | None = None


class DeleteFailure(Shape):
    model_id: str
    error_code: str
    error_msg: str
    error_message: str
    model_name: str = ""
    model_version: str = ""


class DeleteReport(Shape):
    delete_success_list: tuple[str, ...]
    delete_failed_list: tuple[DeleteFailure, ...]
    more: bool = Field(
        default=False, description="the name has versions left that this call has not come to: repeat it"
    )
    expires_at: int | None = Field(
        default=None, description="ms; until then what was published can be restored; None: gone for good"
    )


class ArchiveVersion(Shape):
    """Out of use, with everything it has, until it is restored. `revisions`: only at one of these."""

    model_id: str
    revisions: tuple[int, ...] | None = None


class RestoreVersion(Shape):
    model_id: str
    revisions: tuple[int, ...] | None = None


class GoingVersion(VersionCreated):
    expires_at: int | None = Field(default=None, description="ms; until then it could be restored; None: gone for good")


class DeletionPreview(Shape):
    """What a delete would do now. `bytes` and `objects` are what it would free, at `expires_at` (ms) where that is
    set."""

    versions: tuple[GoingVersion, ...]
    kept: tuple[DeleteFailure, ...]
    objects: int
    bytes: int
    by_reference: tuple[str, ...] = Field(description="versions whose objects lie elsewhere and stay")
    more: bool = Field(default=False, description="a cascade takes 20 versions a call; the name has more")
    expires_at: int | None = None


DELETE = Call("version", "delete", DeleteVersions, DeleteReport)
ARCHIVE = Call("version", "archive", ArchiveVersion, VersionView)
RESTORE = Call("version", "restore", RestoreVersion, VersionView)
PREVIEW_DELETION = Call("version", "preview-deletion", DeleteVersions, DeletionPreview)
