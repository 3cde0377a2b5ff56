"""Shuts a child in before it touches anything of a user: limits, Landlock, seccomp; each for good.

Called by the children of `subprocesses` and `preloaded`, also in a toolchain's interpreter: the standard library only.
Every part needs the kernel, and some container runtimes withhold one. What cannot be had is named; whether a child
works without it is the operator's choice (MODELYARD_CONFINEMENT). docs/confinement.md says what each part keeps out.
"""

import errno
import os
import resource
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard_runtime import landlock, seccomp
from modelyard_runtime.linux import prctl

_CPU_GRACE = 5  # seconds from SIGXCPU to SIGKILL
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38

# Where libraries lie, and what they ask of processors, devices, memory and time zone.
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/fonts", "/usr/local/share/fonts",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/sys/vm", "/sys/kernel/mm", "/sys/devices",
    "/sys/bus/pci/devices", "/sys/fs/cgroup",
)  # fmt: skip
_REASONS = {
    errno.ENOSYS: "this kernel or machine has none",
    errno.EOPNOTSUPP: "it is turned off at boot",
    errno.EINVAL: "this kernel has none",
    errno.EPERM: "it is not permitted here",
    errno.EACCES: "it is not permitted here",
}


class NotConfined(Exception):
    """A part is missing, and the operator wants all of them."""


@dataclass(frozen=True)
class Held:
    """What confines this process, and what of it cannot be had here; each in words."""

    parts: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        parts = ", ".join(self.parts) or "none"
        return f"{parts}; missing: {', '.join(self.missing)}" if self.missing else parts


held = Held((), ("not confined yet",))
"""Of this process."""


def confine(order: dict[str, Any]) -> None:
    """`order` is that of `subprocesses.order`. Raises NotConfined, and OSError for a path that is not there."""
    global held  # noqa: PLW0603 - a process is confined once
    limit(order["limits"])
    os.umask(0o077)  # what it makes is its own; and nobody has to change that afterwards, which is ignored
    held = _shut_in(order["read"], order["write"])
    if held.missing and order["limits"]["confinement"] == "required":
        raise NotConfined(f"this machine lacks {', '.join(held.missing)}")


def limit(limits: dict[str, Any]) -> None:
    """Apply `modelyard_runtime.limits.Limits`. A limit the system already set lower stays."""
    if limits["memory_bytes"] is not None:
        _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + _CPU_GRACE)
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold the model and whatever else was in memory
    with suppress(OSError):  # Linux only: when the machine runs out of memory, take this process, not the service
        Path("/proc/self/oom_score_adj").write_text("500")


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(what)[1]
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    with suppress(ValueError):  # macOS refuses RLIMIT_AS
        resource.setrlimit(what, (soft, hard))


def _shut_in(read: Iterable[str], write: Iterable[str]) -> Held:
    def landlocked() -> str:
        abi = landlock.offered()
        landlock.restrict(abi, read=[*_interpreter(), *read], write=["/dev/null", *write])
        return f"landlock ABI {abi} ({landlock.covers(abi)})"

    def filtered() -> str:
        seccomp.restrict()
        return "seccomp"

    if not sys.platform.startswith("linux"):
        return Held((), ("no-new-privs, landlock, seccomp (Linux only)",))
    prctl(_PR_SET_DUMPABLE, 0)  # a core would be written where a limit of 0 does not hold: to a program
    parts, missing = list[str](), list[str]()
    for name, apply in (("no-new-privs", _no_new_privileges), ("landlock", landlocked), ("seccomp", filtered)):
        _attempt(name, apply, parts, missing)
    return Held(tuple(parts), tuple(missing))


def _no_new_privileges() -> str:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "no-new-privs"


def _attempt(name: str, apply: Callable[[], str], parts: list[str], missing: list[str]) -> None:
    try:
        parts.append(apply())
    except OSError as error:
        if error.errno not in _REASONS or error.filename:  # a path that cannot be opened is no missing part
            raise
        missing.append(f"{name} ({_REASONS[error.errno]})")


def _interpreter() -> list[str]:
    """What this Python reads: where it finds modules, and the libraries that came with it."""
    found = [*sys.path, f"{sys.prefix}/lib", f"{sys.base_prefix}/lib", *_SYSTEM]
    return [path for path in dict.fromkeys(found) if os.path.isabs(path) and os.path.exists(path)]  # noqa: PTH110, PTH117
