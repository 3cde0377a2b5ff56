"""What one attempt has to report, gathered while it works and saved by the fetch handler about once a second.

Transfers tell of their bytes in worker threads. Each pass over a file has a counter of its own, made in the event loop
before the thread begins, so that no two threads ever write to one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

from modelyard_contracts.shapes import ScanReport
from modelyard_import.domain.imports import LogLine, Progress
from modelyard_import.domain.resuming import FileState


class Pass:
    """Bytes of one file that one reading, or one copying, has behind it. Called with every so many more.

    `behind`: what an earlier attempt has done. Whoever goes on from there begins by telling that once more.
    """

    def __init__(self, weight: int, behind: int = 0) -> None:
        self._weight = weight
        self._behind = behind
        self._untold = behind > 0

    def __call__(self, more: int) -> None:
        self._behind = more if self._untold else self._behind + more
        self._untold = False

    @property
    def weighed(self) -> int:
        return self._behind * self._weight


class Notes:
    """`passes`: how often every byte is gone through; once where it is copied and not read."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.passes = 2
        self._lines: list[LogLine] = []
        self._files: dict[str, FileState] = {}
        self._passes: dict[tuple[str, str], Pass] = {}
        self._changing = Lock()
        self.begun: set[str] = set()
        self.total_bytes: int | None = None
        self.scan: ScanReport | None = None
        self.pins: str | None = None
        self.folder: int | None = None

    @property
    def copied_bytes(self) -> int:
        """Every byte is read once and copied once, and counts when both is done: half after one of them."""
        return sum(each.weighed for each in self._passes.values()) // self.passes

    @property
    def upload_ids(self) -> dict[str, str]:
        """By path: copies in parts that are not joined, as far as is known."""
        files = self._files.values()
        return {file.path: file.upload_id for file in files if file.upload_id is not None and not file.copied}

    def log(self, text: str) -> None:
        self._lines.append(LogLine(self._now(), text))

    def adopt(self, states: Iterable[FileState], in_parts: Mapping[str, int]) -> None:
        """Where an earlier attempt has come to. `in_parts`: bytes, by path, of what is copied in part."""
        self._passes |= {(path, "copied"): Pass(1, size) for path, size in in_parts.items()}
        for state in states:
            self._files[state.path] = state
            if state.sha256 is not None:
                self._passes[state.path, "read"] = Pass(1, state.size)
            if state.copied:
                self._passes[state.path, "copied"] = Pass(1, state.size)

    def state(self, path: str, size: int) -> FileState:
        """How far the file is."""
        return self._files.setdefault(path, FileState(path, size))

    def reading(self, path: str, *, weight: int = 1) -> Pass:
        """A reading begins. `weight` 2 when there is no copying beside it."""
        return self._pass(path, "read", weight)

    def copying(self, path: str) -> Pass:
        """A copying begins, or goes on."""
        return self._passes.get((path, "copied")) or self._pass(path, "copied", 1)

    def hashed(self, path: str, sha256: str) -> None:
        self._note(path, sha256=sha256)

    def copied(self, path: str) -> None:
        self._note(path, copied=True)

    def in_parts(self, path: str, upload_id: str) -> None:
        """A copy in parts has begun. Called in a worker thread, for a file whose `state` was asked for before."""
        self.begun.add(upload_id)
        self._note(path, upload_id=upload_id)

    def progress(self) -> Progress:
        """The state now, with the lines that are not saved yet."""
        files = tuple(file for file in self._files.values() if file.begun)
        return Progress(self.total_bytes, self.copied_bytes, tuple(self._lines), self.scan, self.pins, files)

    def saved(self, progress: Progress) -> None:
        del self._lines[: len(progress.lines)]

    def _note(self, path: str, **found: Any) -> None:
        with self._changing:
            self._files[path] = replace(self._files[path], **found)

    def _pass(self, path: str, kind: str, weight: int) -> Pass:
        made = self._passes[path, kind] = Pass(weight)
        return made
