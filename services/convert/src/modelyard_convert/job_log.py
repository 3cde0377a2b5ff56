"""What an attempt at a conversion says: to the document, to whoever watches, and to a file beside the result."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from modelyard_convert import domain
from modelyard_convert.child_request import STEP
from modelyard_convert.domain import Conversion
from modelyard_work.long_work import Progress

Announce = Callable[[str, str, dict[str, Any]], Awaitable[None]]


class JobLog:
    def __init__(self, conversion: Conversion, announce: Announce, file: Path) -> None:
        self.file = file
        self._conversion = conversion
        self._announce = announce
        self._lines: list[str] = []
        self._step: str | None = None
        file.write_text(f"{domain.heading(conversion)}\n")

    async def say(self, line: str) -> None:
        """One line; a step also becomes the progress."""
        if line.startswith(STEP):
            self._step = line.removeprefix(STEP)
        self._lines.append(line)
        with self.file.open("a") as file:
            file.write(f"{line}\n")
        payload = {"state": "running", "attempt": self._conversion.attempt, "progress": self._step, "line": line}
        await self._announce("conversion", self._conversion.conversion_id, payload)

    def progress(self) -> Progress[Conversion]:
        """The lines that the document does not have yet."""
        lines, step = tuple(self._lines), self._step

        def saved() -> None:
            del self._lines[: len(lines)]

        return Progress(lambda found: domain.reported(found, lines, step), saved)
