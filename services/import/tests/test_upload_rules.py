"""What may be uploaded, and when an upload is whole."""

import pytest

from modelyard_contracts.calls.imports import UploadFile
from modelyard_contracts.shapes import Location
from modelyard_import.domain.uploads import Upload, UploadLimits, check_arrived, check_files, part_count
from modelyard_import.errors import UploadRefused

LIMITS = UploadLimits(max_files=2, max_bytes=10, part_size=4)


def files(**sizes: int) -> tuple[UploadFile, ...]:
    return tuple(UploadFile(path=path, size=size) for path, size in sizes.items())


def test_limits_and_repeated_paths_are_all_named() -> None:
    check_files(files(a=5, b=5), LIMITS)
    with pytest.raises(UploadRefused) as refused:
        check_files((*files(a=5, b=5), *files(a=1)), LIMITS)
    assert [problem.rule for problem in refused.value.problems] == [
        "unique paths",
        "at most 2 files",
        "at most 10 bytes",
    ]


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_large_files_are_cut(size: int, parts: int) -> None:
    assert part_count(size, 4) == parts


def test_each_file_that_is_not_whole_is_named() -> None:
    upload = Upload(
        upload_id="u",
        project="p",
        location=Location(bucket="artifacts", prefix="p/uploads/u/"),
        files=files(a=1, b=2, c=3),
        multiparts={},
        part_size=4,
        created_at=1,
        expires_at=2,
        created_by="me",
        request_digest="d",
    )
    check_arrived(upload, {"a": 1, "b": 2, "c": 3, "extra": 4})
    with pytest.raises(UploadRefused, match="file 'a' has not arrived \\(and 1 more\\)") as refused:
        check_arrived(upload, {"b": 9, "c": 3})
    assert [problem.file for problem in refused.value.problems] == ["a", "b"]
    assert "9 bytes, 2 were promised" in refused.value.problems[1].message
