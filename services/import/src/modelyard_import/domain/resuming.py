"""What an attempt leaves for the one that follows it: how far each file is, and what all of that rests on.

Used by the fetch job (docs/adr/0007). A folder may be gone on with only while the source is the very same.
"""

import hashlib
import json
from dataclasses import dataclass, replace

from modelyard_import.domain.layout import Layout


@dataclass(frozen=True, slots=True)
class FileState:
    """How far one file of the artifact is; `path` as in the artifact, `size` in bytes.

    `copied`: all of it lies in the folder. `sha256` (hexadecimal) once all of it was read. `upload_id`: the store's, of
    a copy in parts that is under way.
    """

    path: str
    size: int
    copied: bool = False
    sha256: str | None = None
    upload_id: str | None = None

    @property
    def begun(self) -> bool:
        return self.copied or self.sha256 is not None or self.upload_id is not None


def pins_of(layout: Layout) -> str:
    """A digest of what the artifact is made from: where each object lies, its size and ETag, and what is written."""
    source = [
        [file.path, file.source.bucket, file.source.key, file.source.size, file.source.etag] for file in layout.files
    ]
    written = [[file.path, hashlib.sha256(file.data).hexdigest()] for file in layout.written]
    return hashlib.sha256(json.dumps([sorted(source), sorted(written)]).encode()).hexdigest()


def still_there(states: tuple[FileState, ...], sizes: dict[str, int]) -> tuple[FileState, ...]:
    """What is kept of the last attempt's word, given the size of every object in its folder, by path.

    A copy in parts whose object is there was joined, although nobody lived to write that down.
    """

    def checked(state: FileState) -> FileState:
        whole = sizes.get(state.path) == state.size
        return replace(state, copied=whole and (state.copied or state.upload_id is not None))

    return tuple(checked(state) for state in states)
