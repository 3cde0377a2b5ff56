"""The register (docs/api.md, "models"): paths, fields and statuses that existing clients expect."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sse_starlette import EventSourceResponse

from modelyard_contracts.calls import imports, version
from modelyard_contracts.failures import Failure, is_away
from modelyard_contracts.shapes import Source
from modelyard_gateway.caller import Caller
from modelyard_gateway.doors.v1 import shown
from modelyard_gateway.doors.v1.access import Reader, SourceToken, Writer, may_read
from modelyard_gateway.doors.v1.conditions import IfMatch, IfNoneMatch, with_etag
from modelyard_gateway.doors.v1.paths import MODEL
from modelyard_gateway.doors.v1.plans import check_targets
from modelyard_gateway.doors.v1.replies import renamed, validated
from modelyard_gateway.doors.v1.schemas.models import ModelChange, ModelRequest
from modelyard_gateway.doors.v1.schemas.rules import AsSaid
from modelyard_gateway.doors.v1.schemas.shown import ModelView
from modelyard_gateway.doors.v1.sources import source_of
from modelyard_gateway.following import IMPORT, followed

router = APIRouter(prefix="/v1/{project_id}", tags=["models"])


@router.post("/models", status_code=200)
async def create_model(
    request: Request, caller: Writer, body: Annotated[ModelRequest, AsSaid], source_token: SourceToken = None
) -> version.VersionCreated:
    """Register a version and import it. Answers at once as `publishing`; poll it until `published` or `failed`."""
    if body.promotion is not None and body.promotion.project != caller.project:
        await may_read(request, source_token, body.promotion.project)
    await check_targets(caller, body.plan)
    source = await source_of(caller, body)
    try:
        await _check_source(caller, source)
        return await caller.ask(version.CREATE, validated(version.CreateVersion, body.call_fields(source)))
    except Failure as failure:
        raise renamed(failure, body.public_field) from failure


async def _check_source(caller: Caller, source: Source) -> None:
    """Before a number is taken. While the import service is away the version waits for it, as it always does."""
    try:
        await caller.ask(imports.CHECK_SOURCE, imports.CheckSource(source=source))
    except Failure as failure:
        if not is_away(failure):
            raise


@router.post("/models/check", status_code=200)
async def check_model(caller: Writer, body: Annotated[version.CheckNew, AsSaid]) -> version.NumberFree:
    """Whether a version could be called so, before its files are sent; answers the number that it would get."""
    return await caller.ask(version.CHECK_NEW, body)


@router.get("/models", response_model=version.VersionPage)
async def list_models(caller: Reader, query: Annotated[version.ListVersions, Query()]) -> Response:
    return await caller.relay(version.LIST, query)


@router.get(MODEL, response_model=ModelView)
async def show_model(caller: Reader, model_id: str, known: IfNoneMatch) -> Response:
    return with_etag(await caller.relay(version.GET, version.GetVersion(model_id=model_id), shown.model), known)


@router.patch(MODEL, response_model=ModelView)
async def change_model(caller: Writer, model_id: str, seen: IfMatch, body: Annotated[ModelChange, AsSaid]) -> Response:
    """Change description, labels, tags or links. What it is and where it came from never changes."""
    fields = {"model_id": model_id, "revisions": seen, **body.model_dump(exclude_none=True)}
    return await caller.relay(version.UPDATE, validated(version.UpdateVersion, fields), shown.model)


@router.delete(MODEL, status_code=200)
async def delete_model(
    caller: Writer, model_id: str, seen: IfMatch, cascade: bool = False, purge: bool = False
) -> version.DeleteReport:
    """Delete one version, or with `cascade` every version of its name (20 a call: while `more`, repeat it). What is in
    use is kept. What was published can be restored until `expires_at`, unless it is to `purge`."""
    request = version.DeleteVersions(model_id=model_id, cascade=cascade, purge=purge, revisions=seen)
    return await caller.ask(version.DELETE, request)


@router.get(f"{MODEL}/deletion")
async def preview_deletion(
    caller: Reader, model_id: str, cascade: bool = False, purge: bool = False
) -> version.DeletionPreview:
    """What the delete would do now: what would go and how many bytes it frees, what would stay and why."""
    request = version.DeleteVersions(model_id=model_id, cascade=cascade, purge=purge)
    return await caller.ask(version.PREVIEW_DELETION, request)


@router.post(f"{MODEL}/archive", response_model=ModelView)
async def archive_model(caller: Writer, model_id: str, seen: IfMatch) -> Response:
    """Take a version out of use with everything it has; what holds it against deletion holds it here too."""
    return await caller.relay(version.ARCHIVE, version.ArchiveVersion(model_id=model_id, revisions=seen), shown.model)


@router.post(f"{MODEL}/restore", response_model=ModelView)
async def restore_model(caller: Writer, model_id: str, seen: IfMatch) -> Response:
    """Bring back an archived version, or a deleted one while it waits."""
    return await caller.relay(version.RESTORE, version.RestoreVersion(model_id=model_id, revisions=seen), shown.model)


@router.get(f"{MODEL}/files")
async def model_files(
    caller: Reader,
    model_id: str,
    artifact_id: str | None = None,
    after: Annotated[str | None, Query(max_length=900)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> version.FileLinks:
    """Presigned download links of one artifact, by path; the source when none is named.

    `next_after` is the `after` of the next page.
    """
    request = version.GetFiles(model_id=model_id, artifact_id=artifact_id, after=after, limit=limit)
    return await caller.ask(version.FILES, request)


@router.get(f"{MODEL}/import")
async def model_import(caller: Reader, model_id: str) -> imports.ImportView:
    """How the version came in: state, bytes, log, every problem found."""
    return await caller.ask(imports.GET, imports.GetImport(model_id=model_id))


@router.get(f"{MODEL}/progress", response_class=EventSourceResponse)
async def model_progress(caller: Reader, model_id: str) -> EventSourceResponse:
    """Server-sent events until the version is published or failed."""

    async def read() -> ModelView:
        view = await caller.ask(version.GET, version.GetVersion(model_id=model_id))
        return ModelView.model_validate(shown.model(view.model_dump(mode="json")))

    return await followed(caller, IMPORT, read)
