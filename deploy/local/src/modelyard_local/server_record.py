"""What is written down about a running server, so that the next start finds what this one left behind.

`child.ChildServer` keeps one `server.json` in each data folder. It says which process runs there, started by whom, and
on which ports; the ports outlive the process so that addresses stay the same from one start to the next.
"""

import os
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

_SAME_START = 1.0  # seconds: the kernel counts start times in ticks, and the clock may be set in between


class ProcessMark(BaseModel):
    """A process, told apart from a later one with the same number by its start time (Unix seconds)."""

    pid: int
    started: float
    command: list[str]

    @classmethod
    def of(cls, pid: int, command: list[str]) -> "ProcessMark":
        return cls(pid=pid, started=psutil.Process(pid).create_time(), command=command)

    def find(self) -> psutil.Process | None:
        """The process if it still runs with the same start time and command line."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START and process.cmdline() == self.command
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class ServerRecord(BaseModel):
    """`server` and `owner` are None after an orderly stop."""

    ports: dict[str, int]
    server: ProcessMark | None = None
    owner: ProcessMark | None = None

    @classmethod
    def load(cls, path: Path) -> "ServerRecord":
        """The record, or an empty one if there is none or it was torn by a crash."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return cls(ports={})

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(self.model_dump_json())
        part.replace(path)


def this_process() -> ProcessMark:
    return ProcessMark.of(os.getpid(), psutil.Process().cmdline())
