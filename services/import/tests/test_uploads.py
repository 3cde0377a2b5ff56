"""Uploads: bytes go straight to the store by presigned URLs; the calls say what shall come and whether it did."""

import asyncio
from typing import Any

import pytest
import urllib3

from modelyard_bus.calls import CallContext
from modelyard_contracts.calls.imports import (
    BeginUpload,
    CompletedFile,
    CompleteUpload,
    GetUpload,
    UploadFile,
    UploadTicket,
)
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role, UploadSource
from modelyard_import.domain.uploads import UploadLimits
from modelyard_import.handlers.uploads import UploadHandlers
from modelyard_testkit import models

pytestmark = pytest.mark.servers
MIB = 1 << 20


def by(project: str = "mine", key: str | None = None) -> CallContext:
    return CallContext(project=project, actor="me", role=Role.WRITER, correlationid="c", idempotency_key=key)


@pytest.fixture
def uploads(yard: Any) -> UploadHandlers:
    limits = UploadLimits(max_files=10, max_bytes=100 * MIB, part_size=5 * MIB)
    return UploadHandlers(yard.repository, yard.objects, yard.clock, yard.buckets["artifacts"], limits, 600)


def request(**files: bytes) -> BeginUpload:
    return BeginUpload(files=tuple(UploadFile(path=path, size=len(data)) for path, data in files.items()))


async def send(ticket: UploadTicket, files: dict[str, bytes]) -> tuple[CompletedFile, ...]:
    def put() -> tuple[CompletedFile, ...]:
        done = []
        with urllib3.PoolManager() as http:
            for target in ticket.files:
                data, step = files[target.path], target.part_size or max(1, len(files[target.path]))
                etags = []
                for number, url in enumerate(target.urls):
                    answer = http.request("PUT", url, body=data[number * step : (number + 1) * step])
                    assert answer.status == 200, answer.data
                    etags.append(answer.headers["ETag"])
                done.append(CompletedFile(path=target.path, etags=tuple(etags) if target.part_size else ()))
        return tuple(done)

    return await asyncio.to_thread(put)


async def test_small_and_large_files_arrive(uploads: UploadHandlers) -> None:
    files = {"model/config.json": b"{}", "model/empty": b"", "model/m.onnx": bytes(range(256)) * (11 * MIB // 256)}
    ticket = await uploads.begin(by(), request(**files))
    assert [len(target.urls) for target in ticket.files] == [1, 1, 3]
    with pytest.raises(Failure) as refused:
        await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))
    assert [problem.file for problem in refused.value.problems] == ["model/m.onnx"]
    done = await send(ticket, files)
    call = CompleteUpload(upload_id=ticket.upload_id, files=done)
    view = await uploads.complete(by(), call)
    assert (view.state, view.location.prefix) == ("complete", f"mine/uploads/{ticket.upload_id}/")
    assert await uploads.complete(by(), call) == view
    assert await uploads.get(by(), GetUpload(upload_id=ticket.upload_id)) == view
    key = f"{view.location.prefix}model/m.onnx"
    assert (await uploads.objects.digest(view.location.bucket, key))[1] == 11 * MIB


async def test_joined_but_the_answer_got_lost(uploads: UploadHandlers) -> None:
    files = {"big": b"x" * (6 * MIB), "small": b"y"}
    ticket = await uploads.begin(by(), request(**files))
    big = ticket.model_copy(update={"files": ticket.files[:1]})
    done = await send(big, files)
    call = CompleteUpload(upload_id=ticket.upload_id, files=done)
    with pytest.raises(Failure, match="'small' has not arrived"):
        await uploads.complete(by(), call)
    await send(ticket.model_copy(update={"files": ticket.files[1:]}), files)
    assert (await uploads.complete(by(), call)).state == "complete"


async def test_a_file_of_another_size_is_named(uploads: UploadHandlers) -> None:
    ticket = await uploads.begin(by(), request(a=b"12345"))
    await send(ticket, {"a": b"123"})
    with pytest.raises(Failure, match="'a' has 3 bytes, 5 were promised"):
        await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))


@pytest.mark.parametrize("path", ["../other/x", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb", "model/.."])
async def test_no_path_leaves_the_upload(uploads: UploadHandlers, path: str) -> None:
    with pytest.raises(Failure) as refused:
        await uploads.begin(by(), BeginUpload(files=(UploadFile(path=path, size=1),)))
    assert (refused.value.code, refused.value.problems[0].field) == ("ModelArts.3037", "files.0.path")


async def test_another_projects_upload_does_not_exist(uploads: UploadHandlers) -> None:
    ticket = await uploads.begin(by(), request(a=b"1"))
    for attempt in (
        uploads.get(by("theirs"), GetUpload(upload_id=ticket.upload_id)),
        uploads.complete(by("theirs"), CompleteUpload(upload_id=ticket.upload_id, files=())),
    ):
        with pytest.raises(Failure) as refused:
            await attempt
        assert refused.value.kind is FailureKind.NOT_FOUND


async def test_an_idempotency_key_meets_the_same_upload(uploads: UploadHandlers) -> None:
    first = await uploads.begin(by(key="k"), request(a=b"1", big=b"x" * (6 * MIB)))
    again = await uploads.begin(by(key="k"), request(a=b"1", big=b"x" * (6 * MIB)))
    assert (again.upload_id, again.expires_at) == (first.upload_id, first.expires_at)
    with pytest.raises(Failure, match="another request"):
        await uploads.begin(by(key="k"), request(a=b"22"))


async def test_a_completed_upload_is_a_source_and_an_open_one_is_not(
    yard: Any, uploads: UploadHandlers, tmp_path: Any
) -> None:
    folder = models.package(tmp_path / "p")
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}
    ticket = await uploads.begin(by(), request(**files))
    open_one = await yard.bring_in(UploadSource(upload_id=ticket.upload_id))
    assert (open_one.state, open_one.code) == ("failed", "ModelArts.3017")
    assert "not complete" in open_one.reason
    await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=await send(ticket, files)))
    done = await yard.bring_in(UploadSource(upload_id=ticket.upload_id))
    assert done.state == "succeeded", done.reason
