"""Two doors to the Linux kernel that Python has none for. Used by what confines a child; the standard library only."""

import ctypes
import os


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Raises OSError. A number is passed in full width, bytes as a pointer to them, None as a null pointer."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    wide = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _checked(libc.syscall(ctypes.c_long(number), *wide))


def prctl(option: int, value: int) -> int:
    """Raises OSError."""
    zeros = (ctypes.c_ulong(0),) * 3
    return _checked(ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), *zeros))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
