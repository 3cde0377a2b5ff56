"""Uploads: bytes go straight to the store by presigned URLs; the calls say what shall come and whether it did."""

import asyncio
from typing import Any

import pytest
import urllib3

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import (
    BeginUpload,
    CompletedFile,
    CompleteUpload,
    GetUpload,
    KeepUpload,
    UploadFile,
    UploadTicket,
)
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role, UploadSource
from modelyard_import.domain.uploads import GRACE_MS, UploadLimits
from modelyard_import.handlers.expiry import UploadExpiry
from modelyard_import.handlers.uploads import UploadCalls
from modelyard_store.objects import AccessDenied
from modelyard_testkit import models

from .conftest import Yard

pytestmark = pytest.mark.servers
MIB = 1 << 20


def by(project: str = "mine", key: str | None = None) -> CallContext:
    return CallContext(project=project, actor="me", role=Role.WRITER, correlationid="c", idempotency_key=key)


@pytest.fixture
def uploads(yard: Yard) -> UploadCalls:
    limits = UploadLimits(max_files=10, max_bytes=100 * MIB, part_size=5 * MIB)
    return UploadCalls(yard.repository, yard.objects, yard.clock, yard.buckets["artifacts"], limits, 600)


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


async def test_small_and_large_files_arrive(uploads: UploadCalls) -> None:
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


async def test_joined_but_the_answer_got_lost(uploads: UploadCalls) -> None:
    files = {"big": b"x" * (6 * MIB), "small": b"y"}
    ticket = await uploads.begin(by(), request(**files))
    big = ticket.model_copy(update={"files": ticket.files[:1]})
    done = await send(big, files)
    call = CompleteUpload(upload_id=ticket.upload_id, files=done)
    with pytest.raises(Failure, match="'small' has not arrived"):
        await uploads.complete(by(), call)
    await send(ticket.model_copy(update={"files": ticket.files[1:]}), files)
    assert (await uploads.complete(by(), call)).state == "complete"


async def test_a_file_of_another_size_is_named(uploads: UploadCalls) -> None:
    ticket = await uploads.begin(by(), request(a=b"12345"))
    assert await put(ticket.files[0].urls[0], b"123") == 403, "the store itself takes no other length"
    location = (await uploads.get(by(), GetUpload(upload_id=ticket.upload_id))).location
    await uploads.objects.put(location.bucket, f"{location.prefix}a", b"123")  # past the links
    with pytest.raises(Failure, match="'a' has 3 bytes, 5 were promised"):
        await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))


@pytest.mark.parametrize("path", ["../other/x", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb", "model/.."])
async def test_no_path_leaves_the_upload(uploads: UploadCalls, path: str) -> None:
    with pytest.raises(Failure) as refused:
        await uploads.begin(by(), BeginUpload(files=(UploadFile(path=path, size=1),)))
    assert (refused.value.code, refused.value.problems[0].field) == ("ModelArts.3037", "files.0.path")


async def test_another_projects_upload_does_not_exist(uploads: UploadCalls) -> None:
    ticket = await uploads.begin(by(), request(a=b"1"))
    for attempt in (
        uploads.get(by("theirs"), GetUpload(upload_id=ticket.upload_id)),
        uploads.resume(by("theirs"), GetUpload(upload_id=ticket.upload_id)),
        uploads.keep(by("theirs"), KeepUpload(upload_id=ticket.upload_id, holder="h")),
        uploads.complete(by("theirs"), CompleteUpload(upload_id=ticket.upload_id, files=())),
    ):
        with pytest.raises(Failure) as refused:
            await attempt
        assert refused.value.kind is FailureKind.NOT_FOUND


async def test_an_idempotency_key_meets_the_same_upload(uploads: UploadCalls) -> None:
    first = await uploads.begin(by(key="k"), request(a=b"1", big=b"x" * (6 * MIB)))
    again = await uploads.begin(by(key="k"), request(a=b"1", big=b"x" * (6 * MIB)))
    assert (again.upload_id, again.expires_at) == (first.upload_id, first.expires_at)
    with pytest.raises(Failure, match="another request"):
        await uploads.begin(by(key="k"), request(a=b"22"))


async def test_a_completed_upload_is_a_source_and_an_open_one_is_not(
    yard: Yard, uploads: UploadCalls, tmp_path: Any
) -> None:
    folder = models.package(tmp_path / "p")
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}
    ticket = await uploads.begin(by(), request(**files))
    open_one = await yard.bring_in(UploadSource(upload_id=ticket.upload_id))
    assert (open_one.state, open_one.code) == ("failed", "ModelArts.3017")
    assert "not complete" in str(open_one.reason)
    await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=await send(ticket, files)))
    done = await yard.bring_in(UploadSource(upload_id=ticket.upload_id))
    assert done.state == "succeeded", done.reason


async def sent(uploads: UploadCalls, files: dict[str, bytes]) -> str:
    """A completed upload."""
    ticket = await uploads.begin(by(), request(**files))
    done = await send(ticket, files)
    await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=done))
    return ticket.upload_id


async def put(url: str, data: bytes) -> int:
    return (await asyncio.to_thread(urllib3.request, "PUT", url, body=data, retries=False)).status


async def test_a_broken_upload_sends_only_what_is_missing_and_needs_no_etags(uploads: UploadCalls) -> None:
    files = {"big": bytes(range(256)) * (16 * MIB // 256), "small": b"y", "empty": b"", "other": b"zz"}
    ticket = await uploads.begin(by(), request(**files))
    urls = {target.path: target.urls for target in ticket.files}
    assert len(urls["big"]) == 4
    for path, number, data in (("big", 2, files["big"][5 * MIB : 10 * MIB]), ("big", 4, files["big"][15 * MIB :])):
        assert await put(urls[path][number - 1], data) == 200
    assert await put(urls["big"][2], b"cut off") == 403
    assert await put(urls["small"][0], b"y") == 200
    assert await put(urls["empty"][0], b"") == 200
    before = (await uploads.get(by(), GetUpload(upload_id=ticket.upload_id))).expires_at
    uploads.now.now += 5_000  # type: ignore[attr-defined]  # the test's clock
    resumed = await uploads.resume(by(), GetUpload(upload_id=ticket.upload_id))
    assert (resumed.state, resumed.expires_at > before) == ("open", True)
    found = {file.path: file for file in resumed.files}
    assert {path: (file.done, sorted(file.parts), sorted(file.missing)) for path, file in found.items()} == {
        "big": (False, [2, 4], [1, 3]), "small": (True, [1], []), "empty": (True, [1], []), "other": (False, [], [1]),
    }  # fmt: skip
    assert found["big"].part_size == 5 * MIB
    assert await put(found["big"].missing[1], files["big"][: 5 * MIB]) == 200
    assert await put(found["other"].missing[1], b"zz") == 200
    with pytest.raises(Failure, match="'big' 1 of 4 parts have not arrived: 3"):
        await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))
    assert await put(found["big"].missing[3], files["big"][10 * MIB : 15 * MIB]) == 200
    view = await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))
    assert await uploads.objects.read(view.location.bucket, f"{view.location.prefix}big", 16 * MIB) == files["big"]
    whole = await uploads.resume(by(), GetUpload(upload_id=ticket.upload_id))
    assert whole.state == "complete"
    assert all(file.done and not file.missing for file in whole.files)


async def test_parts_that_the_store_threw_away_are_asked_for_again(uploads: UploadCalls) -> None:
    files = {"big": b"x" * (6 * MIB)}
    ticket = await uploads.begin(by(), request(**files))
    kept = await uploads.repository.uploads.get("mine", ticket.upload_id)
    assert kept is not None
    await uploads.objects.abort_multipart(kept.location.bucket, f"{kept.location.prefix}big", kept.multiparts["big"])
    ask = GetUpload(upload_id=ticket.upload_id)
    first, second = await asyncio.gather(uploads.resume(by(), ask), uploads.resume(by(), ask))
    assert sorted(first.files[0].missing) == [1, 2]
    await put(first.files[0].missing[1], b"x" * (5 * MIB))
    await put(second.files[0].missing[2], b"x" * MIB)
    assert (await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))).state == "complete"


async def test_a_large_upload_has_larger_parts_so_that_its_links_fit_one_answer(yard: Yard) -> None:
    limits = UploadLimits(max_files=1000, max_bytes=100 << 30, part_size=64 * MIB)
    uploads = UploadCalls(yard.repository, yard.objects, yard.clock, yard.buckets["artifacts"], limits, 86_400)
    many = tuple(UploadFile(path=f"model/{'n' * 60}-{number}.bin", size=100 << 20) for number in range(999))
    ticket = await uploads.begin(by(), BeginUpload(files=(*many, UploadFile(path="model/big", size=2 << 30))))
    assert len(ticket.model_dump_json()) < 1_000_000
    assert len((await uploads.resume(by(), GetUpload(upload_id=ticket.upload_id))).model_dump_json()) < 1_000_000


def expiry(uploads: UploadCalls) -> UploadExpiry:
    return UploadExpiry(uploads.repository, uploads.objects, uploads.now)


def later(uploads: UploadCalls, seconds: float) -> None:
    uploads.now.now += int(seconds * 1000)  # type: ignore[attr-defined]  # the test's clock


async def objects_of(uploads: UploadCalls, upload_id: str) -> list[str]:
    return [found.key async for found in uploads.objects.list(uploads.bucket, f"mine/uploads/{upload_id}/")]


@pytest.mark.parametrize("completed", [False, True])
async def test_an_upload_that_nobody_used_in_time_leaves_nothing(uploads: UploadCalls, completed: bool) -> None:
    files = {"big": b"x" * (6 * MIB), "small": b"y"}
    ticket = await uploads.begin(by(key=f"unused {completed}"), request(**files))
    await send(ticket, files)
    call = CompleteUpload(upload_id=ticket.upload_id, files=())
    if completed:
        await uploads.complete(by(), call)
    later(uploads, 600 + GRACE_MS / 1000 - 1)
    assert await expiry(uploads).sweep() == 0, "what was begun in time may still arrive"
    later(uploads, 2)
    assert await expiry(uploads).sweep() == 1
    assert await expiry(uploads).sweep() == 0
    assert await objects_of(uploads, ticket.upload_id) == []
    assert await uploads.objects.abort_multiparts(uploads.bucket, f"mine/uploads/{ticket.upload_id}/") == 0
    ask = GetUpload(upload_id=ticket.upload_id)
    assert (await uploads.get(by(), ask)).state == "expired"
    assert (await uploads.resume(by(), ask)).state == "expired"
    again = await uploads.begin(by(key=f"unused {completed}"), request(**files))
    assert (again.upload_id, {target.urls for target in again.files}) == (ticket.upload_id, {()})
    for refused in (uploads.complete(by(), call), uploads.keep(by(), KeepUpload(upload_id=ask.upload_id, holder="d"))):
        with pytest.raises(Failure, match="has expired") as failure:
            await refused
        assert failure.value.kind is FailureKind.CONFLICT


async def test_two_that_sweep_at_once_do_no_harm(uploads: UploadCalls) -> None:
    ids = [await sent(uploads, {"a": b"1", "b": b"2"}) for _ in range(3)]
    later(uploads, 10_000)
    assert sum(await asyncio.gather(expiry(uploads).sweep(), expiry(uploads).sweep())) >= 3
    assert await expiry(uploads).sweep() == 0
    assert [await objects_of(uploads, each) for each in ids] == [[], [], []]


async def test_resuming_prolongs_an_upload(uploads: UploadCalls) -> None:
    ticket = await uploads.begin(by(), request(a=b"1"))
    later(uploads, 599)
    await uploads.resume(by(), GetUpload(upload_id=ticket.upload_id))
    later(uploads, 599)
    assert await expiry(uploads).sweep() == 0
    assert (await send(ticket, {"a": b"1"})) is not None
    assert (await uploads.complete(by(), CompleteUpload(upload_id=ticket.upload_id, files=()))).state == "complete"


async def test_what_somebody_keeps_stays_until_the_last_lets_go(uploads: UploadCalls) -> None:
    upload_id = await sent(uploads, {"a": b"1"})
    for holder in ("one", "two", "two"):
        await uploads.keep(by(), KeepUpload(upload_id=upload_id, holder=holder))
    later(uploads, 10_000)
    assert await expiry(uploads).sweep() == 0
    await uploads.keep(by(), KeepUpload(upload_id=upload_id, holder="one", keep=False))
    await uploads.keep(by(), KeepUpload(upload_id=upload_id, holder="never", keep=False))
    assert await expiry(uploads).sweep() == 0
    assert len(await objects_of(uploads, upload_id)) == 1
    await uploads.keep(by(), KeepUpload(upload_id=upload_id, holder="two", keep=False))
    assert await expiry(uploads).sweep() == 1


async def test_an_import_keeps_its_upload_while_it_reads_it_and_says_when_it_is_gone(
    yard: Yard, uploads: UploadCalls
) -> None:
    upload_id = await sent(uploads, {"a": b"1"})
    waiting = await yard.wait_for(UploadSource(upload_id=upload_id))
    later(uploads, 10_000)
    assert await expiry(uploads).sweep() == 0
    assert len(await objects_of(uploads, upload_id)) == 1
    await yard.fetcher().fetch(*yard.job(waiting))
    assert (await yard.known(waiting.model_id)).finished
    later(uploads, 10_000)
    assert await expiry(uploads).sweep() == 1
    late = await yard.bring_in(UploadSource(upload_id=upload_id))
    assert (late.state, late.code) == ("failed", "ModelArts.3017")
    assert "has expired" in str(late.reason)


async def test_one_upload_that_cannot_be_swept_does_not_stop_the_others(
    uploads: UploadCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await sent(uploads, {"a": b"1"}) for _ in range(2)]
    later(uploads, 10_000)
    real = uploads.objects.remove_prefix

    async def denied(bucket: str, prefix: str) -> int:
        if first in prefix:
            raise AccessDenied(prefix)
        return await real(bucket, prefix)

    monkeypatch.setattr(uploads.objects, "remove_prefix", denied)
    assert await expiry(uploads).sweep() == 1
    assert await objects_of(uploads, second) == []
    monkeypatch.undo()
    later(uploads, 10_000)
    assert await expiry(uploads).sweep() == 1
    assert await objects_of(uploads, first) == []
