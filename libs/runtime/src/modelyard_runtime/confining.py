"""What confines children on this machine, found out by one: asked by every service that starts some, before it works.

The words go into the service's log, its /readyz and the log of each job.
"""

import tempfile
from pathlib import Path
from typing import Final

from modelyard_runtime.confinement import NotConfined
from modelyard_runtime.limits import Confinement
from modelyard_runtime.subprocesses import run_program

_REPORT: Final = Path(__file__).with_name("confinement_report.py")


async def confinement_here(wanted: Confinement) -> str:
    """Raises NotConfined where a part is missing and all are `required`."""
    with tempfile.TemporaryDirectory(prefix="modelyard-confinement-") as folder:
        found = await run_program(_REPORT, {}, workdir=Path(folder), on_line=_ignore)
    if found["missing"] and wanted == "required":
        raise NotConfined(
            f"MODELYARD_CONFINEMENT is `required`, and this machine lacks {', '.join(found['missing'])}. Landlock "
            "needs Linux 5.13 that has it turned on, both need a container runtime that permits them: see "
            "docs/confinement.md. Or set it to `available`, to work with less"
        )
    return str(found["held"])


async def _ignore(_: str) -> None:
    """It prints nothing."""
