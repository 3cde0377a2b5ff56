"""What may be uploaded and when an upload is whole. Used by the upload calls."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from modelyard_contracts.calls.imports import UploadFile, UploadView
from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Location
from modelyard_import.errors import UploadRefused

UploadState = Literal["open", "complete"]


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that a client puts straight into storage. `multiparts` maps a path to the store's multipart id;
    after `expires_at` (ms) the URLs are dead and an upload nobody used may be swept away."""

    upload_id: str
    project: str
    location: Location
    files: tuple[UploadFile, ...]
    multiparts: dict[str, str]
    part_size: int
    created_at: int
    expires_at: int
    created_by: str
    request_digest: str
    state: UploadState = "open"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Bytes. A presigned URL is some 500 bytes and the answer must fit one message, hence few files and large parts."""

    max_files: int
    max_bytes: int
    part_size: int


def check_files(files: tuple[UploadFile, ...], limits: UploadLimits) -> None:
    """Raises UploadRefused with every broken rule. Whether a path is safe is checked where its key is made."""
    problems = [
        Problem(message=f"file {path!r} is named {count} times", field="files", rule="unique paths")
        for path, count in sorted(Counter(file.path for file in files).items())
        if count > 1
    ]
    if len(files) > limits.max_files:
        message = f"{len(files)} files, at most {limits.max_files} are allowed in one upload"
        problems.append(Problem(message=message, field="files", rule=f"at most {limits.max_files} files"))
    total = sum(file.size for file in files)
    if total > limits.max_bytes:
        message = f"{total} bytes together, at most {limits.max_bytes} are allowed in one upload"
        problems.append(Problem(message=message, field="files", rule=f"at most {limits.max_bytes} bytes"))
    if problems:
        raise UploadRefused(tuple(problems))


def part_count(size: int, part_size: int) -> int:
    """Parts of a file; 1 means it is sent whole."""
    return max(1, -(-size // part_size))


def check_arrived(upload: Upload, arrived: Mapping[str, int]) -> None:
    """`arrived`: size of every object there is, by path. Raises UploadRefused naming each file that is not whole."""
    problems = tuple(
        Problem(
            message=_what_is_wrong(file, arrived.get(file.path)), file=file.path, field="files", rule="arrived whole"
        )
        for file in upload.files
        if arrived.get(file.path) != file.size
    )
    if problems:
        raise UploadRefused(problems)


def complete(upload: Upload) -> Upload:
    return replace(upload, state="complete")


def upload_view(upload: Upload) -> UploadView:
    return UploadView(
        upload_id=upload.upload_id,
        state=upload.state,
        location=upload.location,
        files=upload.files,
        expires_at=upload.expires_at,
    )


def _what_is_wrong(file: UploadFile, size: int | None) -> str:
    if size is None:
        return f"file {file.path!r} has not arrived"
    return f"file {file.path!r} has {size} bytes, {file.size} were promised"
