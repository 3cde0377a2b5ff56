"""What happened to versions, how they differ, and whether their bytes are still what they were."""

from typing import Annotated

from fastapi import APIRouter, Query

from modelyard_contracts.calls import version
from modelyard_gateway.doors.v1 import examples
from modelyard_gateway.doors.v1.access import Admin, Reader, Writer
from modelyard_gateway.doors.v1.paths import MODEL
from modelyard_gateway.doors.v1.replies import validated
from modelyard_gateway.doors.v1.schemas.models import ComparisonQuery, HistoryQuery

router = APIRouter(prefix="/v1/{project_id}", tags=["models"])
audits = APIRouter(prefix="/v1/{project_id}/audits", tags=["administration"])


@router.get("/models/compare")
async def compare_models(caller: Reader, query: Annotated[ComparisonQuery, Query()]) -> version.Comparison:
    """Metrics, signature, size, operators, parameters, dataset and code of 2–20 versions; the first is the baseline."""
    return await caller.ask(version.COMPARE, version.CompareVersions(model_ids=tuple(query.model_id)))


@router.get("/models/verifications/{verification_id}")
async def show_verification(caller: Reader, verification_id: str) -> version.VerificationView:
    request = version.GetVerification(verification_id=verification_id)
    return await caller.ask(version.GET_VERIFICATION, request)


@router.post(f"{MODEL}/verifications", status_code=200)
async def verify_model(caller: Writer, model_id: str) -> version.VerificationView:
    """Read every file of the version again and compare it with its manifest. Answers at once; poll it."""
    return await caller.ask(version.VERIFY, version.GetVersion(model_id=model_id))


@router.get(f"{MODEL}/history")
async def model_history(caller: Reader, model_id: str, query: Annotated[HistoryQuery, Query()]) -> version.History:
    """Every change, oldest first: who, what, before, after. Also of a version that was deleted."""
    request = {"model_id": model_id, "after": query.after, "limit": query.limit}
    return await caller.ask(version.HISTORY, validated(version.GetHistory, request))


@router.get(f"{MODEL}/history/verification")
async def verify_history(caller: Reader, model_id: str) -> version.HistoryVerdict:
    """Whether the chain of records holds, and where it is broken if it does not."""
    return await caller.ask(version.VERIFY_HISTORY, version.GetVersion(model_id=model_id))


@audits.post("", status_code=200)
async def start_audit(caller: Admin, body: examples.Audit) -> version.AuditView:
    """Compare what this project's versions name with what lies in the bucket. Answers at once; poll it."""
    return await caller.ask(version.AUDIT, body)


@audits.get("/{audit_id}")
async def show_audit(caller: Admin, audit_id: str) -> version.AuditView:
    return await caller.ask(version.GET_AUDIT, version.GetAudit(audit_id=audit_id))
