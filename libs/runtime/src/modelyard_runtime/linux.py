"""Two doors to the Linux kernel that Python has none for. Used by what confines a child; the standard library only."""

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
if hasattr(_LIBC, "syscall"):
    _LIBC.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Raises OSError. A number is passed in full width, bytes as a pointer to them, None as a null pointer."""
    wide = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _checked(_LIBC.syscall(ctypes.c_long(number), *wide))


def prctl(option: int, value: int) -> int:
    """Raises OSError."""
    return _checked(_LIBC.prctl(option, ctypes.c_ulong(value), *(ctypes.c_ulong(0),) * 3))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
