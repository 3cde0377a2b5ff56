"""Have a fetched package read by a process of its own, which may crash, hang or eat memory. Called by `bring`."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from modelyard_formats.inspect_child import read_report
from modelyard_formats.package import PackageReport
from modelyard_import.errors import SourceRefused
from modelyard_runtime.subprocesses import Limits, SubprocessFailed, run_python

log = structlog.get_logger()

CHILD = "modelyard_import.inspection_child"


@dataclass(frozen=True, slots=True)
class Inspector:
    limits: Limits

    async def __call__(self, folder: Path) -> PackageReport:
        """Raises SourceRefused when reading the package breaks the reader."""
        request = {"root": str(folder)}
        try:
            reply = await run_python(CHILD, request, workdir=folder.parent, on_line=_log, limits=self.limits)
        except SubprocessFailed as failed:
            rule = f"readable within {self.limits.wall_seconds:g} s and {self.limits.memory_bytes} bytes of memory"
            message = f"the package cannot be inspected: {failed.message}"
            raise SourceRefused(message, rule=rule, field="model/") from failed
        return read_report(reply)


async def _log(line: str) -> None:
    log.info("inspection", line=line)
