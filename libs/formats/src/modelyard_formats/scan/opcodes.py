"""How far an unpickler gets in any bytes: a cheap look before `scan.pickles` reads them.

Only kinds of operations, sizes of arguments and the depth of the stack are followed, nothing is kept. An unpickler gets
no further than this says, but may break before. So most bytes that are no pickle are told by their first few.
"""

import pickletools
import re
from enum import IntEnum

_OPERATIONS = {operation.code.encode("latin-1")[0]: operation for operation in pickletools.opcodes}
_COUNTED = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})  # codes that nobody registers: chance, but behind a PROTO meant so
_ENDINGS = frozenset({"REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST", "BUILD", "STOP"})
_MODULE = re.compile(r"[\w.-]+")  # folders of Python have a hyphen
_NEWEST = 5  # a higher PROTO is refused


class _Impossible(Exception):
    """No unpickler goes on from here."""


class _Unseen(Exception):
    """The argument goes on behind the bytes at hand."""


class Reach(IntEnum):
    """`VALUES`: a whole pickle without imports. `CALLS`: something imported is called, or handed out; also where the
    bytes at hand do not suffice to tell."""

    NOTHING = 0
    VALUES = 1
    IMPORTS = 2
    CALLS = 3


def reach(data: bytes, size: int) -> Reach:
    """`data` are the first bytes of a file of `size` bytes."""
    walk = _Walk(data, size)
    try:
        while walk.at < len(data):
            walk.step()
            if walk.reach is Reach.CALLS:
                return walk.reach
    except _Impossible:
        return Reach.CALLS if walk.framed else walk.reach
    except _Unseen:
        return Reach.CALLS
    return Reach.CALLS if walk.at < size else walk.reach


class _Walk:
    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size
        self._frames = [0]  # items on the stack, since each mark
        self._announced = False
        self.framed = False  # the C unpickler drops the rest of a frame that is not used up, and reads on behind it
        self.reach = Reach.NOTHING
        self.at = 0

    def step(self) -> None:
        """One operation."""
        operation = _OPERATIONS.get(self._data[self.at])
        if operation is None:
            raise _Impossible
        self.at += 1
        self._pass_argument(operation)
        if operation.name == "POP" and not self._frames[-1]:
            self._take_mark()
        else:
            self._move(operation)
        self._announced |= operation.name == "PROTO"
        if operation.name in _IMPORTS or (self._announced and operation.name in _EXTENSIONS):
            self.reach = max(self.reach, Reach.IMPORTS)
        if self.reach is Reach.IMPORTS and operation.name in _ENDINGS:
            self.reach = Reach.CALLS
        if operation.name == "STOP":
            self.reach = max(self.reach, Reach.VALUES)
            self._frames = [0]

    def _take_mark(self) -> None:
        if len(self._frames) == 1:
            raise _Impossible
        self._frames.pop()

    def _move(self, operation: pickletools.OpcodeInfo) -> None:
        before, after = operation.stack_before, operation.stack_after
        taken = len(before)
        if pickletools.markobject in before:
            self._take_mark()
            taken = before.index(pickletools.markobject)
        if self._frames[-1] < taken:
            raise _Impossible
        self._frames[-1] -= taken
        if pickletools.markobject in after:
            self._frames.append(0)
        else:
            self._frames[-1] += len(after)

    def _pass_argument(self, operation: pickletools.OpcodeInfo) -> None:
        argument = operation.arg
        if argument is None:
            return
        if argument.n >= 0:
            value = self._take(argument.n)
            if operation.name == "PROTO" and value[0] > _NEWEST:
                raise _Impossible
            self.framed |= operation.name == "FRAME" and int.from_bytes(value, "little") <= self._size - self.at
        elif argument.n in _COUNTED:
            self._take(int.from_bytes(self._take(_COUNTED[argument.n]), "little"))
        else:
            self._lines(operation.name)

    def _lines(self, name: str) -> None:
        """Names are UTF-8. Texts may hold anything, and numbers behind a NUL, where C's readers stop."""
        module = self._line(any_bytes=name not in _IMPORTS)
        if name in _IMPORTS:
            self._line(any_bytes=False)
            if not _MODULE.fullmatch(module):
                raise _Impossible

    def _take(self, count: int) -> bytes:
        start, self.at = self.at, self.at + count
        if self.at > self._size:
            raise _Impossible
        if self.at > len(self._data):
            raise _Unseen
        return self._data[start : self.at]

    def _line(self, *, any_bytes: bool) -> str:
        end = self._data.find(b"\n", self.at)
        unseen = end < 0 and len(self._data) < self._size
        if end < 0:  # at its end, the unpickler in Python, which joblib uses, takes the last byte for that of the line
            end = len(self._data) if unseen else max(self.at, self._size - 1)
        line, self.at = self._data[self.at : end], end + 1
        try:
            text = line.decode("latin-1" if any_bytes else "utf-8")
        except UnicodeDecodeError as error:
            if not unseen or error.start < len(line) - 3:
                raise _Impossible from error
        if unseen:
            raise _Unseen
        return text
