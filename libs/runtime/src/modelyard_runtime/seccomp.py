"""A seccomp filter: no network, no other process, no program, no second process. Applied by `confinement`, for good.

A filter is a small program of classic BPF that the kernel runs before each system call. The standard library only.
https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Sequence

from modelyard_runtime.linux import syscall
from modelyard_runtime.syscalls import DENIED, IGNORED, JUDGED, LAST_KNOWN

Instruction = tuple[int, int, int, int]

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # of `struct seccomp_data`
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_REFUSE = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_UNKNOWN = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
_PASS = (_RETURN, 0, 0, _ALLOW)
_IGNORE = (_RETURN, 0, 0, _ERRNO)  # says that it is done

_MACHINES = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}  # audit name, column, seccomp's number
_SET_FILTER, _ALL_THREADS = 1, 1
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def restrict() -> None:
    """Raises OSError; ENOSYS also for a machine that no filter is written for."""
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, "no filter for this machine")
    apply(program(platform.machine(), os.getpid()))


def apply(instructions: Sequence[Instruction]) -> None:
    """To every thread. Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    filtering = struct.pack("@HP", len(instructions), ctypes.addressof(code))
    if syscall(_MACHINES[platform.machine()][2], _SET_FILTER, _ALL_THREADS, filtering):
        raise OSError(errno.EBUSY, "another thread has a filter of its own")


def program(machine: str, own_pid: int) -> list[Instruction]:
    """Refused: everything DENIED, and what a JUDGED call would do to others or to this very confinement."""
    name, column, _ = _MACHINES[machine]
    # A call in another dialect of the same processor (32 bit, x32) has other numbers: none is let through.
    instructions = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_EQUAL, 1, 0, name), _REFUSE, (_LOAD, 0, 0, _NUMBER_AT)]
    instructions += [(_GREATER, 0, 1, LAST_KNOWN), _UNKNOWN]
    for numbers in DENIED.values():
        instructions += _when(numbers[column], [_REFUSE])
    for numbers in IGNORED.values():
        instructions += _when(numbers[column], [_IGNORE])
    for call, judgement in _judgements(own_pid).items():
        instructions += _when(JUDGED[call][column], judgement)
    return [*instructions, _PASS]


def _judgements(own_pid: int) -> dict[str, list[Instruction]]:
    to_itself = [_argument(0), (_EQUAL, 0, 1, own_pid), _PASS, _REFUSE]
    return {
        "clone3": [_UNKNOWN],  # its flags lie in memory, out of a filter's sight; the C library then uses `clone`
        "clone": [  # a thread, no process
            _argument(0), (_ANY_BIT, 2, 0, _CLONE_NAMESPACES), (_ANY_BIT, 0, 1, _CLONE_THREAD), _PASS, _REFUSE,
        ],
        "kill": to_itself,
        "tgkill": to_itself,
        "prctl": [  # it goes on to die with its parent and to leave no core
            _argument(0), (_EQUAL, 1, 0, _PR_SET_PDEATHSIG), (_EQUAL, 0, 1, _PR_SET_DUMPABLE), _REFUSE, _PASS,
        ],
        "prlimit64": [*_refuse_unless_null(2), _PASS],  # limits may be asked, not set
        # Runtimes pin their own threads, and complain aloud when they cannot; whose a thread is, no filter can see.
        "sched_setaffinity": [_argument(0), (_EQUAL, 0, 1, 0), _PASS, _IGNORE],
    }  # fmt: skip


def _when(number: int | None, then: Sequence[Instruction]) -> Iterable[Instruction]:
    return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _argument(index: int, *, high: bool = False) -> Instruction:
    """Its lower or higher half; both machines are little-endian."""
    return _LOAD, 0, 0, _ARGUMENTS_AT + 8 * index + 4 * high


def _refuse_unless_null(index: int) -> list[Instruction]:
    halves = [_argument(index), _argument(index, high=True)]
    return [each for half in halves for each in (half, (_EQUAL, 1, 0, 0), _REFUSE)]
