"""Deleting versions, and what a delete would do."""

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.version.register import VersionCreated
from modelyard_contracts.shapes import Shape


class DeleteVersions(Shape):
    model_id: str
    cascade: bool = False


class DeleteFailure(Shape):
    model_id: str
    error_code: str
    error_msg: str
    error_message: str


class DeleteReport(Shape):
    delete_success_list: tuple[str, ...]
    delete_failed_list: tuple[DeleteFailure, ...]


class DeletionPreview(Shape):
    """What a delete would do now. `bytes` and `objects` are what it would free."""

    versions: tuple[VersionCreated, ...]
    kept: tuple[DeleteFailure, ...]
    objects: int
    bytes: int
    by_reference: tuple[str, ...] = Field(description="versions whose objects lie elsewhere and stay")
    more: bool = Field(default=False, description="a cascade takes 20 versions a call; the name has more")


DELETE = Call("version", "delete", DeleteVersions, DeleteReport)
PREVIEW_DELETION = Call("version", "preview-deletion", DeleteVersions, DeletionPreview)
