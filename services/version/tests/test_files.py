"""Links to files: in pages, never to what automatic learning made, never to what has changed since the import."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from modelyard_contracts.calls.version import FileLinks, GetFiles
from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import (
    FileEntry,
    ImageSource,
    Location,
    Source,
    StorageSource,
    TemplateInput,
    TemplateSource,
)
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_version.handlers.pins import changed

from .conftest import Facts, Register

CONFIG = {"model_algorithm": "x", "model_type": "Image"}


async def published(register: Register, facts: Facts, files: tuple[FileEntry, ...], **fields: Any) -> str:
    model_id: str = await register.create(**fields)
    fact: ImportSucceeded = facts.imported(model_id)
    artifact = fact.artifact.model_copy(update={"files": files})
    await register.tell(register.reports.import_succeeded, fact.model_copy(update={"artifact": artifact}))
    return model_id


async def page(register: Register, model_id: str, after: str | None = None, limit: int = 1000) -> FileLinks:
    request = GetFiles(model_id=model_id, after=after, limit=limit)
    links = await register.reading.files(register.context(), request)
    assert isinstance(links, FileLinks)
    return links


async def test_many_files_come_in_pages(register: Register, facts: Facts) -> None:
    files = tuple(FileEntry(path=f"model/{number:05}.bin", size=1, sha256="ab" * 32) for number in range(2_500))
    model_id = await published(register, facts, files[::-1])
    seen: list[str] = []
    after = None
    pages = 0
    while pages == 0 or after is not None:
        links = await page(register, model_id, after)
        assert links.total_count == 2_500
        seen += [link.path for link in links.files]
        after, pages = links.next_after, pages + 1
    assert (seen, pages) == ([file.path for file in files], 3)
    assert (await page(register, model_id, limit=2)).next_after == "model/00001.bin"
    assert (await page(register, model_id, after="model/02499.bin")).files == ()


async def test_a_page_fits_into_a_message(register: Register, facts: Facts) -> None:
    files = tuple(FileEntry(path=f"model/{number:04}{'x' * 890}", size=1, sha256="ab" * 32) for number in range(1000))
    model_id = await published(register, facts, files)
    first = await page(register, model_id)
    assert 100 < len(first.files) < 1000
    assert len(first.model_dump_json()) < 900_000
    assert first.next_after == first.files[-1].path


def sources_within(prefix: str) -> list[Source]:
    place = Location(bucket="artifacts", prefix=prefix)
    return [
        StorageSource(location=place),
        StorageSource(location=place, source_copy=False),
        TemplateSource(template_id="onnx", template_inputs=(TemplateInput(input_id="model_folder", location=place),)),
        ImageSource(reference="ghcr.io/a/b:1", config_location=place),
    ]


@pytest.mark.parametrize("below", ["", "source/1/", "source/1/model", "variants/a-k-1/"])
async def test_a_copy_of_an_automatic_version_is_one_too(register: Register, below: str) -> None:
    auto = await register.published(source_type="auto")
    for source in sources_within(f"p1/models/{auto}/{below}"):
        with pytest.raises(Failure, match="must have source_type auto too") as caught:
            await register.create("copy", source=source)
        assert caught.value.kind == FailureKind.FORBIDDEN
    copy = await register.published("copy", source=sources_within(f"p1/models/{auto}/source/")[0], source_type="auto")
    with pytest.raises(Failure, match="cannot be downloaded"):
        await page(register, copy)
    with pytest.raises(Failure, match="must have source_type auto too"):
        await register.create("third", source=sources_within(f"p1/models/{copy}/source/")[0])


@pytest.mark.parametrize("prefix", ["p1/", "p1", "p1/models/", "p1/models", "p1/models/not-yet/source/"])
async def test_nothing_wider_than_one_version_is_imported(register: Register, prefix: str) -> None:
    await register.published(source_type="auto")
    for source in sources_within(prefix):
        with pytest.raises(Failure, match="not the folder of a version") as caught:
            await register.create("copy", source=source)
        assert caught.value.code == "ModelArts.3017"


async def test_other_versions_and_places_may_be_imported(register: Register) -> None:
    plain = await register.published()
    for prefix in (f"p1/models/{plain}/variants/a/", "p1/uploads/u/", "p2/models/x/"):  # import refuses the last
        assert await register.create("copy", source=sources_within(prefix)[0])


async def test_conversions_of_an_automatic_version_stay_too(register: Register, facts: Facts) -> None:
    auto = await register.published(source_type="auto")
    await register.tell(register.reports.conversion_succeeded, facts.converted(auto))
    with pytest.raises(Failure, match="cannot be downloaded"):
        await register.reading.files(register.context(), GetFiles(model_id=auto, artifact_id="a-k-1"))


@pytest.fixture
async def objects(s3_server: Any) -> AsyncIterator[Objects]:
    opened = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
    await opened.ensure_bucket("training")
    yield opened
    await opened.close()


@pytest.mark.servers
async def test_what_changed_since_the_import_is_named(
    register: Register, facts: Facts, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = []
    for name in ("a", "b", "c", "d"):
        key = f"pins/model/{name}.bin"
        etag = await objects.put("training", key, name.encode() * 10)
        sha256, size = await objects.digest("training", key)
        entries.append(FileEntry(path=f"model/{name}.bin", size=size, sha256=sha256, etag=etag))
    place = Location(bucket="training", prefix="pins/")
    fact = facts.imported("m")
    artifact = fact.artifact.model_copy(update={"files": tuple(entries), "location": place, "by_reference": True})
    assert await changed(objects, artifact, artifact.files) == ()
    monkeypatch.setattr(register.objects, "stat", objects.stat)
    model_id = await register.create()
    await register.tell(
        register.reports.import_succeeded, fact.model_copy(update={"artifact": artifact, "model_id": model_id})
    )
    assert len((await page(register, model_id)).files) == 4

    await objects.put("training", "pins/model/b.bin", b"B" * 10)
    await objects.remove("training", "pins/model/d.bin")
    with pytest.raises(Failure, match=r"model/b\.bin, model/d\.bin") as caught:
        await page(register, model_id)
    assert [problem.file for problem in caught.value.problems] == ["model/b.bin", "model/d.bin"]
    assert (await page(register, model_id, limit=1)).files[0].path == "model/a.bin"
    elsewhere = artifact.model_copy(update={"location": Location(bucket="gone", prefix="pins/")})
    assert {fault.reason for fault in await changed(objects, elsewhere, elsewhere.files)} == {"missing"}
