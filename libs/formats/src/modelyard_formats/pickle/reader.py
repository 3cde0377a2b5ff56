"""Run a pickle's operations on symbols: nothing is imported, nothing is called, bulk is left in the file.

What a real unpickler does with stack, marks and memo is done exactly, because scanners that guess it are fooled
(a name taken from another memo cell, a list between module and name). Used by `scan.pickles` and by the formats.
"""

import math
import pickletools
import re
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from modelyard_formats.pickle.values import Global, Left, Made, Persistent

MAX_OPERATIONS = 5_000_000  # for all pickles of one package; some 6 s of work
MAX_TEXT = 64 * 2**20
KEEP = 1024  # bytes and texts up to this size are kept
MAX_LINE = 2**16
MAX_NESTED = 5
WRAPPER = Global("joblib.numpy_pickle", "NumpyArrayWrapper")
_ITEM = re.compile(r"[<>=|]?([a-zA-Z])(\d{1,9})(?:\[\w{1,4}\])?")


class Unreadable(Exception):
    """The bytes are no pickle from here on; the text says why."""


class TooMuch(Exception):
    """More than is worth reading."""


class Watch(Protocol):
    """Is told what loading would do."""

    def imports(self, what: Global) -> None: ...

    def calls(self, what: object) -> None: ...

    def may_be_text(self, what: object) -> bool: ...

    def changes(self, what: object) -> None: ...


class Allowance:
    """What may still be read, for all pickles of one package together."""

    def __init__(self, operations: int = MAX_OPERATIONS, text: int = MAX_TEXT) -> None:
        self.operations = operations
        self.text = text

    def take(self, text: int) -> None:
        self.operations -= 1
        self.text -= text
        if self.operations < 0 or self.text < 0:
            raise TooMuch(f"more than {MAX_OPERATIONS:,} operations or {MAX_TEXT:,} bytes of text")


class Source:
    """What pickletools reads from: never past the end, never more than a little at once."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.left: Left | None = None

    def tell(self) -> int:
        return self._file.tell()

    def read(self, count: int) -> bytes:
        offset = self._file.tell()
        if count > self._size - offset:
            raise Unreadable(f"{count:,} bytes are announced at byte {offset:,}, the end is at {self._size:,}")
        if count <= KEEP:
            return self._file.read(count)
        self._file.seek(offset + count)
        self.left = Left()
        self.left.offset, self.left.extent = offset, count
        return self.left

    def readline(self) -> bytes:
        line = self._file.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise Unreadable(f"the line that ends at byte {self._file.tell():,} is cut off or too long")
        return line

    def skip(self, count: int) -> None:
        if count > self._size - self._file.tell():
            raise Unreadable(f"an array of {count:,} bytes goes past the end")
        self._file.seek(count, 1)


class Machine:
    """One pickle. With `arrays`, the array bytes that joblib writes between operations are passed over."""

    def __init__(self, source: Source, watch: Watch, allowance: Allowance, *, arrays: bool, depth: int = 0) -> None:
        self._source = source
        self._watch = watch
        self._allowance = allowance
        self._arrays = arrays
        self._depth = depth
        self._stack: list[object] = []
        self._below: list[list[object]] = []
        self._memo: dict[int, object] = {}
        self.saw_array = False

    def run(self) -> object:
        """The value, read up to its STOP. Raises `Unreadable`, `TooMuch`."""
        try:
            return self._run()
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
            raise Unreadable(f"it breaks off before byte {self._source.tell():,}: {error}") from error

    def _run(self) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in texts
            for opcode, argument, _ in pickletools.genops(self._source):  # type: ignore[arg-type]  # all that it uses
                left, self._source.left = self._source.left, None
                value = argument if left is None else left
                self._allowance.take(len(value) if left is None and isinstance(value, str | bytes) else 0)
                self._step(opcode.name, value)
        return self._stack.pop()

    def _step(self, name: str, value: object) -> None:
        action = _ACTIONS.get(name)
        if action is not None:
            action(self)
        elif name in _MEMO:
            _MEMO[name](self, value)
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in ("PROTO", "FRAME", "STOP", "READONLY_BUFFER"):
            pass
        elif name in ("GLOBAL", "INST"):
            module, _, attribute = str(value).partition(" ")
            self._global(module, attribute)
            if name == "INST":
                self._call(self._stack.pop(), tuple(self._marked()))
        else:
            self._stack.append(_CONSTANTS.get(name, value))

    def _marked(self) -> list[object]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def drop_marked(self) -> None:
        self._marked()

    def duplicate(self) -> None:
        self._stack.append(self._stack[-1])

    def put(self, place: object) -> None:
        self._memo[int(str(place))] = self._stack[-1]

    def get(self, place: object) -> None:
        self._stack.append(self._memo[int(str(place))])

    def stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        for part in (module, name):
            if not isinstance(part, str) and not self._watch.may_be_text(part):
                raise Unreadable("it imports by something that is no text")
        self._global(module if isinstance(module, str) else "?", name if isinstance(name, str) else "?")

    def _global(self, module: str, name: str) -> None:
        found = Global(module, name)
        self._watch.imports(found)
        self._stack.append(found)

    def extension(self) -> None:
        self._global("copyreg", "an extension code")

    def persistent(self) -> None:
        self._stack.append(Persistent(self._stack.pop()))

    def _call(self, by: object, args: object) -> None:
        if not isinstance(by, Global | Made | Persistent):
            raise Unreadable("it calls something that is no function")
        self._watch.calls(by)
        self._stack.append(Made(by, args))

    def reduce(self) -> None:
        args = self._stack.pop()
        self._call(self._stack.pop(), args)

    def new_with_names(self) -> None:
        names, args = self._stack.pop(), self._stack.pop()
        self._call(self._stack.pop(), (args, names))

    def obj(self) -> None:
        by, *args = self._marked()
        self._call(by, tuple(args))

    def build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        self._watch.changes(target)
        if isinstance(target, Made):
            target.state = state
            if target.by == WRAPPER:
                self.saw_array = True
                if self._arrays:
                    self._pass_array(target.attributes())

    def _pass_array(self, array: dict[object, object]) -> None:
        """As joblib: objects are another pickle; else one byte says how much padding comes before the array's bytes."""
        kind, size = item_of(array.get("dtype"))
        if kind == "O":
            if self._depth >= MAX_NESTED:
                raise TooMuch(f"pickles nested more than {MAX_NESTED} deep")
            Machine(self._source, self._watch, self._allowance, arrays=False, depth=self._depth + 1).run()
            return
        if isinstance(array.get("numpy_array_alignment_bytes"), int):
            self._source.skip(self._source.read(1)[0])
        shape = array.get("shape")
        axes = [axis for axis in shape if isinstance(axis, int)] if isinstance(shape, tuple) else []
        if len(axes) > 64 or any(axis < 0 for axis in axes):
            raise Unreadable("an array has an impossible shape")
        self._source.skip(math.prod(axes) * size)

    def append(self) -> None:
        value = self._stack.pop()
        self._extend([value])

    def appends(self) -> None:
        self._extend(self._marked())

    def _extend(self, values: list[object]) -> None:
        target = self._stack[-1]
        self._watch.changes(target)
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Made):
            target.items.extend(values)

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def set_items(self) -> None:
        self._update(self._marked())

    def _update(self, flat: list[object]) -> None:
        target = self._stack[-1]
        self._watch.changes(target)
        entries = target.entries if isinstance(target, Made) else target
        if isinstance(entries, dict):
            entries.update((key, value) for key, value in _pairs(flat) if isinstance(key, str | int | float | None))

    def push(self, value: object) -> None:
        self._stack.append(value)

    def take(self, count: int) -> tuple[object, ...]:
        taken = [self._stack.pop() for _ in range(count)]
        return tuple(reversed(taken))

    def marked(self) -> list[object]:
        return self._marked()


def _pairs(flat: list[object]) -> Iterator[tuple[object, object]]:
    return zip(flat[::2], flat[1::2], strict=False)


def _dict_of(machine: Machine) -> None:
    flat = machine.marked()
    machine.push({key: value for key, value in _pairs(flat) if isinstance(key, str | int | float | None)})


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "NEXT_BUFFER": b""}
_MEMO: dict[str, Callable[[Machine, object], None]] = {
    "PUT": Machine.put, "BINPUT": Machine.put, "LONG_BINPUT": Machine.put,
    "GET": Machine.get, "BINGET": Machine.get, "LONG_BINGET": Machine.get,
    "PERSID": lambda machine, key: machine.push(Persistent(key)),
    "EXT1": lambda machine, _: machine.extension(),
    "EXT2": lambda machine, _: machine.extension(),
    "EXT4": lambda machine, _: machine.extension(),
}  # fmt: skip
_ACTIONS: dict[str, Callable[[Machine], None]] = {
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": Machine.drop_marked,
    "DUP": Machine.duplicate,
    "STACK_GLOBAL": Machine.stack_global,
    "BINPERSID": Machine.persistent,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.reduce,
    "NEWOBJ_EX": Machine.new_with_names,
    "OBJ": Machine.obj,
    "BUILD": Machine.build,
    "APPEND": Machine.append,
    "APPENDS": Machine.appends,
    "ADDITEMS": Machine.appends,
    "SETITEM": Machine.set_item,
    "SETITEMS": Machine.set_items,
    "EMPTY_LIST": lambda machine: machine.push([]),
    "EMPTY_SET": lambda machine: machine.push([]),
    "EMPTY_DICT": lambda machine: machine.push({}),
    "EMPTY_TUPLE": lambda machine: machine.push(()),
    "LIST": lambda machine: machine.push(machine.marked()),
    "FROZENSET": lambda machine: machine.push(machine.marked()),
    "DICT": _dict_of,
    "TUPLE": lambda machine: machine.push(tuple(machine.marked())),
    "TUPLE1": lambda machine: machine.push(machine.take(1)),
    "TUPLE2": lambda machine: machine.push(machine.take(2)),
    "TUPLE3": lambda machine: machine.push(machine.take(3)),
}


def item_of(dtype: object) -> tuple[str, int]:
    """Kind letter and bytes of one item of a symbolic `numpy.dtype`. Raises `Unreadable`."""
    args = dtype.args if isinstance(dtype, Made) else None
    match = _ITEM.fullmatch(str(args[0])) if isinstance(args, tuple) and args else None
    if match is None:
        raise Unreadable("an array has no known dtype")
    kind, size = match[1], int(match[2])
    return kind, size * 4 if kind == "U" else size
