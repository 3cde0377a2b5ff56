"""A package that is too much of something: what it is, how much there is, and how much is allowed."""

from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.shapes import FileEntry, Location, TrainingRef, UploadSource
from modelyard_formats.package.check import check_package
from modelyard_import.domain.imports import Import
from modelyard_import.errors import PackageTooLarge
from modelyard_import.fetching.fact import fact_of
from modelyard_import.fetching.origin import Origin
from modelyard_testkit import models

from .conftest import Yard

PLACE = Location(bucket="artifacts", prefix="p/models/m/")


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("model/data", ["has 62 files, 0 of them in calibration_data/", "pack data files of model/"]),
        ("calibration_data", ["has 62 files, 60 of them in calibration_data/", "into one .npz"]),
    ],
)
async def test_too_many_files(yard: Yard, tmp_path: Path, folder: str, words: list[str]) -> None:
    root = models.package(tmp_path / "p")
    (root / folder).mkdir()
    for number in range(60):
        (root / folder / f"{number}.npy").write_bytes(b"x")
    done = await yard.bring_in(await yard.put_folder(root, yard.buckets["training"], "many/"))
    assert done.state == "failed"
    for each in (*words, "at most 50"):
        assert each in str(done.reason)


@pytest.mark.parametrize(
    ("parameters", "names", "blamed"),
    [
        ({"seen": "x" * 900_000}, 1, "metrics and parameters of its training run"),
        ({"rate": 0.1}, 2_000, "the list of its 2,001 files"),
    ],
)
def test_the_largest_part_of_a_description_is_named(
    tmp_path: Path, parameters: dict[str, Any], names: int, blamed: str
) -> None:
    report = check_package(models.package(tmp_path))
    paths = ["model/config.json", *(f"model/{'long' * 100}-{number}" for number in range(names))]
    files = tuple(FileEntry(path=path, size=1, sha256="0" * 64) for path in paths)
    training = TrainingRef(job_id="j", job_name="digits", job_version="V001", parameters=parameters)
    job = Import(
        import_id="i",
        project="p",
        model_id="m",
        model_name="digits",
        model_version="0.0.1",
        source=UploadSource(upload_id="u"),
        destination=PLACE,
        created_at=1,
    )
    with pytest.raises(PackageTooLarge, match=r"bytes, at most 900,000; [0-9,]+ of them are " + blamed):
        fact_of(job, Origin(parts=(), training=training), PLACE, files, report, now=1)
