"""Calls about uploads: a client puts its files straight into storage, and says when it is done."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import (
    BEGIN_UPLOAD,
    BeginUpload,
    CompletedFile,
    CompleteUpload,
    GetUpload,
    KeepUpload,
    ResumedUpload,
    UploadFile,
    UploadTarget,
    UploadTicket,
    UploadView,
)
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.failures import Problem
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Location
from modelyard_import.domain.uploads import (
    Upload,
    UploadLimits,
    check_arrived,
    check_files,
    complete,
    keep,
    let_go,
    part_count,
    part_lengths,
    part_size_for,
    refuse_expired,
    renew,
    upload_view,
)
from modelyard_import.errors import NotFound, UploadRefused
from modelyard_import.handlers.arrivals import Arrivals
from modelyard_import.repository import Repository
from modelyard_store.documents import Duplicate
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.objects import ObjectError, Objects, ObjectStoreUnavailable


@dataclass(frozen=True, slots=True)
class UploadCalls:
    repository: Repository
    objects: Objects
    now: Callable[[], int]
    bucket: str
    limits: UploadLimits
    link_seconds: int

    async def begin(self, context: CallContext, request: BeginUpload) -> UploadTicket:
        check_files(request.files, self.limits)
        upload_id = created_id(context, BEGIN_UPLOAD)
        location = Location(bucket=self.bucket, prefix=f"{context.project}/uploads/{upload_id}/")
        _check_paths(request.files, location)
        kept = await self.repository.uploads.get(context.project, upload_id)
        if kept is None:
            kept = await self._open(context, request, upload_id, location)
        if kept.request_digest != request_digest(request):
            raise KeyReused
        targets = await asyncio.gather(*(self._target(kept, file) for file in kept.files))
        return UploadTicket(upload_id=upload_id, files=tuple(targets), expires_at=kept.expires_at)

    async def complete(self, context: CallContext, request: CompleteUpload) -> UploadView:
        """Said again, it answers the same. ETags that are not given are those of the parts that the store has."""
        upload = refuse_expired(await self._known(context.project, request.upload_id))
        if upload.state == "complete":
            return upload_view(upload)
        await self._join_parts(upload, request.files)
        arrived = {
            found.key.removeprefix(upload.location.prefix): found.size
            async for found in self.objects.list(upload.location.bucket, upload.location.prefix)
        }
        check_arrived(upload, arrived)
        until = self._until()
        done = await self.repository.uploads.change(
            context.project, upload.upload_id, lambda current: Outcome(complete(current, until=until))
        )
        return upload_view(done or upload)

    async def resume(self, context: CallContext, request: GetUpload) -> ResumedUpload:
        """What has arrived and fresh URLs for the rest; the upload lives on from now. Of an expired one only that."""
        upload = await self._known(context.project, request.upload_id)
        if upload.state == "expired":
            return ResumedUpload(upload_id=upload.upload_id, state="expired", files=(), expires_at=upload.expires_at)
        until = self._until()
        upload = await self._change(context.project, upload.upload_id, lambda current: renew(current, until=until))
        files = await self.arrivals.of(upload, self.link_seconds)
        return ResumedUpload(upload_id=upload.upload_id, state=upload.state, files=files, expires_at=upload.expires_at)

    async def keep(self, context: CallContext, request: KeepUpload) -> UploadView:
        """Letting go of what has expired, or was never kept, changes nothing. Raises UploadExpired."""
        decide = keep if request.keep else let_go
        kept = await self._change(context.project, request.upload_id, lambda current: decide(current, request.holder))
        return upload_view(kept)

    async def get(self, context: CallContext, request: GetUpload) -> UploadView:
        return upload_view(await self._known(context.project, request.upload_id))

    async def _change(self, project: str, upload_id: str, decide: Callable[[Upload], Upload]) -> Upload:
        changed = await self.repository.uploads.change(project, upload_id, lambda current: Outcome(decide(current)))
        if changed is None:
            raise NotFound("upload", upload_id)
        return changed

    def _until(self) -> int:
        return self.now() + self.link_seconds * 1000

    @property
    def arrivals(self) -> Arrivals:
        return Arrivals(self.repository, self.objects)

    async def _known(self, project: str, upload_id: str) -> Upload:
        upload = await self.repository.uploads.get(project, upload_id)
        if upload is None:
            raise NotFound("upload", upload_id)
        return upload

    async def _open(self, context: CallContext, request: BeginUpload, upload_id: str, location: Location) -> Upload:
        part_size = part_size_for(request.files, self.limits)
        large = [file.path for file in request.files if part_count(file.size, part_size) > 1]
        keys = [safe_key(location.prefix, path) for path in large]
        ids = await asyncio.gather(*(self.objects.begin_multipart(self.bucket, key) for key in keys))
        now, until = self.now(), self._until()
        upload = Upload(
            upload_id=upload_id,
            project=context.project,
            location=location,
            files=request.files,
            multiparts=dict(zip(large, ids, strict=True)),
            part_size=part_size,
            created_at=now,
            expires_at=until,
            created_by=context.actor,
            request_digest=request_digest(request),
        )
        try:
            await self.repository.uploads.add(context.project, upload_id, Outcome(renew(upload, until=until)))
        except Duplicate:  # the same key at the same moment: the other one's parts are the ones to use
            await asyncio.gather(*map(self.objects.abort_multipart, [self.bucket] * len(keys), keys, ids))
            return await self._known(context.project, upload_id)
        return upload

    async def _target(self, upload: Upload, file: UploadFile) -> UploadTarget:
        """Links that end with the upload. What is complete or has expired takes nothing more."""
        key, multipart = safe_key(upload.location.prefix, file.path), upload.multiparts.get(file.path)
        part_size = None if multipart is None else upload.part_size
        seconds = (upload.expires_at - self.now()) // 1000
        if upload.state != "open" or seconds < 1:
            return UploadTarget(path=file.path, urls=(), part_size=part_size)
        if multipart is None:
            urls = [await self.objects.presign_put(upload.location.bucket, key, seconds, length=file.size)]
        else:
            urls = [
                await self.objects.presign_part(upload.location.bucket, key, multipart, number, seconds, length=length)
                for number, length in enumerate(part_lengths(file.size, upload.part_size), 1)
            ]
        return UploadTarget(path=file.path, urls=tuple(urls), part_size=part_size)

    async def _join_parts(self, upload: Upload, said: Sequence[CompletedFile]) -> None:
        """Raises UploadRefused naming each large file whose parts do not make it whole."""
        etags = {file.path: file.etags for file in said}
        large = [file for file in upload.files if file.path in upload.multiparts]
        found = await asyncio.gather(*(self._join(upload, file, etags.get(file.path, ())) for file in large))
        if problems := tuple(problem for problem in found if problem is not None):
            raise UploadRefused(problems)

    async def _join(self, upload: Upload, file: UploadFile, etags: tuple[str, ...]) -> Problem | None:
        bucket, key = upload.location.bucket, safe_key(upload.location.prefix, file.path)
        there = await self.objects.stat(bucket, key)
        if there is not None and there.size == file.size:
            return None  # joined before; the answer got lost
        parts = part_count(file.size, upload.part_size)
        rule = f"{parts} ETags, in part order"
        if not etags:
            found = await self.arrivals.parts(upload, file)
            if missing := [number for number in range(1, parts + 1) if number not in found]:
                some = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
                message = f"of file {file.path!r} {len(missing)} of {parts} parts have not arrived: {some}"
                return Problem(message=message, file=file.path, field="files", rule="arrived whole")
            etags = tuple(found[number] for number in sorted(found))
        if len(etags) != parts:
            message = f"file {file.path!r} was sent in {parts} parts, {len(etags)} ETags are given"
            return Problem(message=message, file=file.path, field="files", rule=rule)
        try:
            await self.objects.complete_multipart(bucket, key, upload.multiparts[file.path], etags)
        except ObjectStoreUnavailable:
            raise
        except ObjectError as error:
            message = f"the parts of file {file.path!r} cannot be joined: {error}"
            return Problem(message=message, file=file.path, field="files", rule=rule)
        return None


def _check_paths(files: Sequence[UploadFile], location: Location) -> None:
    problems: list[Problem] = []
    for index, file in enumerate(files):
        try:
            safe_key(location.prefix, file.path)
        except UnsafeKey as error:
            rule = "relative, without '.', '..' or empty segments, backslashes and control characters"
            problems.append(Problem(message=str(error), file=file.path, field=f"files.{index}.path", rule=rule))
    if problems:
        raise UploadRefused(tuple(problems))
