"""A child process that cannot outlive its parent, even when the parent is killed with SIGKILL.

Called in two ways: imported by `subprocess_child`, and run as a script in front of a program that is not ours
(`python -I -S parent_death.py PARENT_PID PROGRAM ARGUMENT…`, see `before_program`), because a hook between fork and
exec is not safe in a process with threads. It imports only the standard library: `-I -S` makes that start in 10 ms.

Linux only (`prctl(PR_SET_PDEATHSIG)`); elsewhere it does nothing and the caller's pid file is what finds an orphan.
The kernel watches the *thread* that started the child: start children from a thread that lives as long as the process.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies; exit at once if it died before we could ask."""
    if not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os._exit(128 + signal.SIGKILL)


def before_program(command: list[str]) -> list[str]:
    """The command line that starts `command` so that it dies with the calling process. The pid stays the same."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the launcher passes a list, there is no shell to fool
