"""What may be uploaded, when an upload is whole and when it ends. Used by the upload calls and the expiry.

open ──► complete ──► expired        also open ──► expired; nothing comes back from there
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from modelyard_contracts.calls.imports import UploadFile, UploadView
from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Location
from modelyard_import.errors import UploadExpired, UploadRefused

MIB: Final = 1 << 20
UploadState = Literal["open", "complete", "expired"]

GRACE_MS: Final = 300_000
"""From the end of an upload to the removal of its objects: what a client began to send in time may still arrive."""
MOST_HOLDERS: Final = 1_000
MOST_LINKS: Final = 1_500
"""Of one upload, some 500 bytes each: they have to fit one message of 1 MB."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that a client puts straight into storage. `multiparts` maps a path to the store's multipart id.

    After `expires_at` (ms) the URLs are dead. `due_at` (ms) is when somebody has to look whether it may be swept away;
    None while one of `holders` keeps it, and when nothing is left of it.
    """

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
    holders: tuple[str, ...] = ()
    due_at: int | None = None


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Bytes. `part_size` is the least: a large upload has larger parts, so that its links fit one message."""

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
        advice = "pack many files into one archive, many samples into one .npz"
        message = f"{len(files):,} files, at most {limits.max_files:,} go in one upload; {advice}"
        problems.append(Problem(message=message, field="files", rule=f"at most {limits.max_files} files"))
    total = sum(file.size for file in files)
    if total > limits.max_bytes:
        message = f"{total:,} bytes together, at most {limits.max_bytes:,} are allowed in one upload"
        problems.append(Problem(message=message, field="files", rule=f"at most {limits.max_bytes} bytes"))
    if problems:
        raise UploadRefused(tuple(problems))


def part_size_for(files: tuple[UploadFile, ...], limits: UploadLimits) -> int:
    """Bytes, whole MiB: as small as MOST_LINKS allows."""
    fitting = sum(file.size for file in files) / max(1, MOST_LINKS - len(files))
    return max(limits.part_size, math.ceil(fitting / MIB) * MIB)


def part_length(size: int, part_size: int, number: int) -> int:
    """Bytes of one part, counted from 1; the last is what is left."""
    return min(part_size, size - (number - 1) * part_size)


def part_lengths(size: int, part_size: int) -> list[int]:
    return [part_length(size, part_size, number) for number in range(1, part_count(size, part_size) + 1)]


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


def complete(upload: Upload, *, until: int) -> Upload:
    """Its files may be used at least `until` (ms). Raises UploadExpired."""
    return renew(replace(refuse_expired(upload), state="complete"), until=until)


def renew(upload: Upload, *, until: int) -> Upload:
    """It ends at `until` (ms), or when it would have anyway if that is later. Raises UploadExpired."""
    expires_at = max(upload.expires_at, until)
    return _scheduled(replace(refuse_expired(upload), expires_at=expires_at))


def keep(upload: Upload, holder: str) -> Upload:
    """Raises UploadExpired and UploadRefused."""
    refuse_expired(upload)
    if holder in upload.holders:
        return upload
    if len(upload.holders) >= MOST_HOLDERS:
        message = f"upload {upload.upload_id} is kept by {MOST_HOLDERS} others"
        raise UploadRefused((Problem(message=message, field="holder", rule=f"at most {MOST_HOLDERS} holders"),))
    return _scheduled(replace(upload, holders=(*upload.holders, holder)))


def let_go(upload: Upload, holder: str) -> Upload:
    if holder not in upload.holders:
        return upload
    return _scheduled(replace(upload, holders=tuple(each for each in upload.holders if each != holder)))


def expire(upload: Upload, *, now: int) -> Upload:
    """Nobody can use it from now on. Unchanged when somebody has renewed or kept it meanwhile."""
    return replace(upload, state="expired") if upload.due_at is not None and upload.due_at <= now else upload


def postpone(upload: Upload, *, state: UploadState, until: int) -> Upload:
    """It cannot be swept away now, and is in `state` as before: look again at `until` (ms)."""
    return replace(upload, state=state, due_at=until)


def swept(upload: Upload) -> Upload:
    return replace(upload, due_at=None)


def refuse_expired(upload: Upload) -> Upload:
    """The upload. Raises UploadExpired."""
    if upload.state == "expired":
        raise UploadExpired(upload.upload_id)
    return upload


def upload_view(upload: Upload) -> UploadView:
    return UploadView(
        upload_id=upload.upload_id,
        state=upload.state,
        location=upload.location,
        files=upload.files,
        expires_at=upload.expires_at,
    )


def _scheduled(upload: Upload) -> Upload:
    return replace(upload, due_at=None if upload.holders else upload.expires_at + GRACE_MS)


def _what_is_wrong(file: UploadFile, size: int | None) -> str:
    if size is None:
        return f"file {file.path!r} has not arrived"
    return f"file {file.path!r} has {size} bytes, {file.size} were promised"
