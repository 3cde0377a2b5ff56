"""Landlock: this process opens only the files that it is told, and reaches neither network nor other processes.

Applied by `confinement`, for good, to the calling thread and what comes of it. The standard library only. Numbers and
shapes: https://docs.kernel.org/userspace-api/landlock.html
"""

import os
import stat
import struct
from collections.abc import Iterable

from modelyard_runtime.linux import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_FILE = 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FIRST_RIGHTS = (1 << 13) - 1
_RIGHTS_SINCE = {2: _REFER, 3: _TRUNCATE, 5: 1 << 15}  # the last: ioctl of devices

_READ = _READ_FILE | _READ_DIR
# Not in it: links, pipes, sockets and devices. A link could lead whoever reads the folder later to files of its own.
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _REFER | _TRUNCATE
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_BIND_AND_CONNECT = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


def offered() -> int:
    """The version of the interface (ABI). Raises OSError where there is none."""
    return syscall(_CREATE_RULESET, None, 0, _VERSION)


def restrict(abi: int, *, read: Iterable[str], write: Iterable[str]) -> None:
    """Nothing else can be opened from now on. Folders stand for all below them. Raises OSError, also for a path that
    does not exist."""
    handled = _handled(abi)
    attributes = _attributes(abi, handled)
    rules = syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in read:
            _allow(rules, path, _READ & handled)
        for path in write:
            _allow(rules, path, _WRITE & handled)
        syscall(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def covers(abi: int) -> str:
    """In words."""
    return ", ".join(["files", *(["network"] if abi >= 4 else []), *(["signals"] if abi >= 6 else [])])


def _handled(abi: int) -> int:
    """What is forbidden unless a rule allows it: all that this version knows."""
    return _FIRST_RIGHTS | sum(right for since, right in _RIGHTS_SINCE.items() if abi >= since)


def _attributes(abi: int, handled: int) -> bytes:
    """`struct landlock_ruleset_attr`, as long as this version knows it."""
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", _BIND_AND_CONNECT)
    if abi >= 6:
        attributes += struct.pack("=Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    return attributes


def _allow(rules: int, path: str, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_A_FILE
        syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
