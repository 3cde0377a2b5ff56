"""What one attempt has to report, gathered while it works and saved by the fetch handler about once a second."""

from collections.abc import Callable

from modelyard_contracts.shapes import ScanReport
from modelyard_import.domain.imports import LogLine, Progress


class Notes:
    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._lines: list[LogLine] = []
        self.total_bytes: int | None = None
        self.copied_bytes = 0
        self.scan: ScanReport | None = None

    def log(self, text: str) -> None:
        self._lines.append(LogLine(self._now(), text))

    def progress(self) -> Progress:
        """The state now, with the lines that are not saved yet."""
        return Progress(self.total_bytes, self.copied_bytes, tuple(self._lines), self.scan)

    def saved(self, progress: Progress) -> None:
        del self._lines[: len(progress.lines)]
