"""Whether the stored files are still what they were: of one version, and of the whole project."""

from typing import Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.version.register import GetVersion
from modelyard_contracts.shapes import Shape


class DamagedFile(Shape):
    artifact_id: str
    path: str
    reason: Literal["missing", "size", "digest", "changed"]
    message: str


class GetVerification(Shape):
    verification_id: str


class VerificationView(Shape):
    """Reading all files of a version again and comparing them with their manifests."""

    verification_id: str
    model_id: str
    state: Literal["waiting", "running", "succeeded", "failed"]
    checked_bytes: int
    total_bytes: int
    intact: bool | None = Field(description="None until it has succeeded")
    damaged: tuple[DamagedFile, ...]
    reason: str | None
    created_at: int
    finished_at: int | None


class StartAudit(Shape):
    repair: bool = False


class GetAudit(Shape):
    audit_id: str


class AuditView(Shape):
    """`strays`: objects that nothing refers to. `incomplete`: artifacts whose objects are missing or of another size.

    With `repair` strays are removed, an incomplete conversion is taken off its version, and a version whose source is
    incomplete becomes `failed`. The first 1,000 of each are named.
    """

    audit_id: str
    state: Literal["waiting", "running", "succeeded", "failed"]
    repair: bool
    objects: int
    versions: int
    stray_objects: int
    stray_bytes: int
    strays: tuple[str, ...]
    incomplete: tuple[DamagedFile, ...]
    repaired: bool
    reason: str | None
    created_at: int
    finished_at: int | None


VERIFY = Call("version", "verify", GetVersion, VerificationView)
GET_VERIFICATION = Call("version", "get-verification", GetVerification, VerificationView)
AUDIT = Call("version", "audit", StartAudit, AuditView)
GET_AUDIT = Call("version", "get-audit", GetAudit, AuditView)
