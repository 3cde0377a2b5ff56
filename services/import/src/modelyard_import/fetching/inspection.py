"""Have a fetched package read by a process of its own, which may crash, hang or eat memory. Called by `bring`."""

from pathlib import Path

import structlog

from modelyard_formats.package.check import PackageReport
from modelyard_formats.package.inspect_child import read_report
from modelyard_import.errors import SourceRefused
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import Limits, Reach, SubprocessFailed

log = structlog.get_logger()

CHILD = "modelyard_import.fetching.inspection_child"


class Inspector:
    """One process per package, forked: starting one takes ten times as long as reading 5 MB."""

    def __init__(self, limits: Limits, confinement: str | None = None) -> None:
        self._limits = limits
        self.confinement = confinement
        self._processes = PreloadedPython(CHILD, limits)
        self.start = self._processes.start
        self.stop = self._processes.stop

    async def __call__(self, folder: Path) -> PackageReport:
        """`folder` is absolute and holds `model/`. Raises SourceRefused when reading the package breaks the reader."""
        try:
            reply = await self._processes.run({"root": str(folder)}, on_line=_log, reach=Reach(read=(folder,)))
        except SubprocessFailed as failed:
            rule = f"readable within {self._limits.wall_seconds:g} s and {self._limits.memory_bytes} bytes of memory"
            message = f"the package cannot be inspected: {failed.message}"
            raise SourceRefused(message, rule=rule, field="model/") from failed
        return read_report(reply)


async def _log(line: str) -> None:
    log.info("inspection", line=line)
