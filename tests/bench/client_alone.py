"""What the client costs a laptop: size installed alone, and how long until it is imported or has shown its help."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

from figures import Aim, Table, load, median

_ROOT = Path(__file__).parents[2]
_MIB = 1 << 20


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    python = await asyncio.to_thread(_installed, folder)
    tries = 3 if quick else 20
    imported = median([_seconds([str(python), "-c", "import modelyard"]) for _ in range(tries)])
    helped = median([_seconds([str(python.with_name("modelyard")), "--help"]) for _ in range(tries)])
    table = Table(
        "The client installed alone",
        (
            "size of the environment, MiB",
            "`import modelyard`, ms",
            "of it modules, ms",
            "`modelyard --help`, ms",
            "load",
        ),
        notes=[
            "A fresh environment without pip, with the locked versions and compiled files. Whole processes, from the "
            f"start to the end, the median of {tries}; the modules are what `-X importtime` adds up.",
        ],
    )
    table.rows.append((_size(folder) / _MIB, imported * 1000, _modules_ms(python), helped * 1000, load()))
    return [table], [Aim("`modelyard --help` of the client alone", "< 0.3 s", f"{helped:.2f} s", helped < 0.3)]


def _installed(folder: Path) -> Path:
    """The environment's Python. Needs the package index, as `make setup` does."""
    uv, python = Path(sys.executable).with_name("uv"), folder / "bin/python"
    install = ("pip", "install", "--quiet", "--compile-bytecode", "--python", python)
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([uv, *install, "--constraint", _ROOT / "requirements.lock", _ROOT / "libs/sdk"], check=True)
    return python


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _modules_ms(python: Path) -> float:
    """Cumulative, of `modelyard` with everything it imports."""
    command = [str(python), "-X", "importtime", "-c", "import modelyard"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    (found,) = re.findall(r"\| +(\d+) \| modelyard$", said, re.MULTILINE)
    return int(found) / 1000


def _size(folder: Path) -> int:
    """Bytes on disk, as `du` counts them."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
