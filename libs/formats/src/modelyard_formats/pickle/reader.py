"""Run a pickle's operations on symbols: nothing is imported, nothing is called, bulk is left in the file.

What a real unpickler does with stack, marks and memo is done exactly, because scanners that guess it are fooled
(a name taken from another memo cell, a list between module and name). What one loader reads is read here, also where
another one stops: numbers as C's `strtol` and as Python's `int` take them, a last line without its end. A number or
text that none can read is `UNCLEAR`, and reading goes on. Used by `scan.pickles` and by the formats.
"""

import codecs
import re
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol

from modelyard_formats.pickle.allowance import Allowance, TooMuch
from modelyard_formats.pickle.arrays import WRAPPER, array_in, is_wrapper
from modelyard_formats.pickle.source import KEEP, Source, Torn, Unreadable
from modelyard_formats.pickle.values import UNCLEAR, Global, Left, Made, OddKey, Persistent, as_today

__all__ = ["KEEP", "WRAPPER", "Allowance", "Machine", "Source", "TooMuch", "Torn", "Unreadable", "Watch"]

MAX_NESTED = 5
_A_CALL = 6  # operations that take as long as looking at one, or as much memory
MAX_DIGITS = 1_000
_NEWEST = 5  # protocol
Change = Literal["state", "items", "entries"]


class Watch(Protocol):
    """Is told what loading would do."""

    def imports(self, what: Global) -> None: ...

    def imports_unknown(self, module: object, name: object) -> None:
        """By a name that is no short text in the pickle."""

    def calls(self, by: object, args: object, *, new: bool) -> None:
        """`new`: only its class's `__new__`. What `args` hold may be changed later, so look at it at once."""

    def changes(self, target: object, how: Change, value: object) -> None:
        """Of anything but a list, dict or set: a new state, items appended, entries set."""

    def keeps(self, what: Global) -> None:
        """It becomes an item or an attribute."""

    def persists(self, key: object) -> None:
        """Asks for something beside the pickle."""


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
        self._left_at_array: int | None = None
        self.confused = False
        self.saw_protocol = False
        self.saw_import = False
        self.saw_name = False
        self.operations = 0
        self.behind_array = 0
        """Operations since the first array of joblib's, read as plain pickle; 0 where they may mean anything."""

    def run(self) -> object:
        """The value, read up to its STOP. Raises `Unreadable`, `TooMuch`."""
        self._source.begin()
        before = self._allowance.operations
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes in texts
                return self._run()
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
            raise Unreadable(f"it breaks off before byte {self._source.offset:,}: {error}") from error
        finally:
            self.operations = before - self._allowance.operations
            if self._left_at_array is not None and not self.confused:
                self.behind_array = self._left_at_array - self._allowance.operations

    def _run(self) -> object:
        byte, allowance = self._source.byte, self._allowance
        while (code := byte()) != _STOP:
            allowance.operations -= 1
            if allowance.operations < 0:
                allowance.check()
            action = _ACTIONS[code]
            if action is None:
                raise Unreadable(f"byte {self._source.offset - 1:,} is no operation")
            action(self)
        value = self._stack.pop()
        self._source.leave_frame()
        return value

    # What the operations are made of.

    def push(self, value: object) -> None:
        self._stack.append(value)

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.marked()

    def marked(self) -> list[object]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise Unreadable("a tuple is made of more than there is")
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def line(self) -> bytes:
        line = self._source.line()
        self._allowance.text -= 0 if isinstance(line, Left) else len(line)
        return line

    def number(self, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._source.read(width), "little", signed=signed)

    def bytes_of(self, width: int) -> bytes:
        data = self._source.read(self.number(width))
        self._allowance.text -= 0 if isinstance(data, Left) else len(data)
        return data

    def text_of(self, width: int) -> None:
        self._stack.append(_text(self.bytes_of(width), "utf-8", "surrogatepass"))

    def old_text_of(self, width: int) -> None:
        self._stack.append(_text(self.bytes_of(width), "latin-1", "strict"))

    def old_text_line(self) -> None:
        line = self.line()
        quoted = isinstance(line, Left) or (len(line) >= 2 and line[0] == line[-1] and line[:1] in (b"'", b'"'))
        if not quoted:
            raise Unreadable("a text has no quotes")
        self._stack.append(line if isinstance(line, Left) else _unescaped(line[1:-1]))

    def long_of(self, width: int) -> None:
        data = self.bytes_of(width)
        self._stack.append(UNCLEAR if isinstance(data, Left) else int.from_bytes(data, "little", signed=True))

    def protocol(self) -> None:
        self.saw_protocol |= self._source.byte() <= _NEWEST

    # The memo.

    def put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def place(self) -> int:
        line = self.line()
        place = _number(line, 10)
        if not isinstance(place, int):
            raise (Torn if isinstance(line, Left) else Unreadable)("it keeps something at a place that is no number")
        return place

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    # Imports and calls.

    def imported(self) -> None:
        module, name = self.line(), self.line()
        self.named(_text(module, "utf-8", "strict"), _text(name, "utf-8", "strict"))

    def stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self.named(module, name)

    def named(self, module: object, name: object) -> None:
        self.saw_import = True
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > KEEP:
            self._watch.imports_unknown(module, name)
            raise Unreadable("it imports by something that is no short text")
        found = Global(module, name)
        self.saw_name |= all(part.isidentifier() for part in [*module.split("."), *name.split(".")])
        self._watch.imports(found)
        self._stack.append(as_today(found))

    def extension(self, width: int) -> None:
        """A number for an import in a registry of the process that loads: empty, unless somebody fills it."""
        self._allowance.operations -= _A_CALL
        self._source.read(width)
        self._stack.append(Made(UNCLEAR, "an extension code"))

    def persistent(self, key: object) -> None:
        self._allowance.operations -= _A_CALL
        self._watch.persists(key)
        # PyTorch's old format keeps a class with its source; what is handed out is the class.
        is_class = isinstance(key, tuple) and len(key) == 4 and key[0] == "module" and isinstance(key[1], Global)
        self._stack.append(key[1] if isinstance(key, tuple) and is_class else Persistent(key))

    def call(self, by: object, args: object, *, new: bool = False) -> None:
        self._allowance.operations -= _A_CALL
        if not isinstance(by, Global | Made | Persistent):
            raise Unreadable("it calls something that is no function")
        self._watch.calls(by, args, new=new)
        if isinstance(by, Global) and by.module in ("builtins", "collections") and by.name != "getattr":
            self.kept((args,))
        self._stack.append(Made(by, args))

    def reduce(self, *, new: bool = False) -> None:
        args = self._stack.pop()
        self.call(self._stack.pop(), args, new=new)

    def new_with_names(self) -> None:
        names, args = self._stack.pop(), self._stack.pop()
        self.call(self._stack.pop(), (args, names), new=True)

    def inst(self) -> None:
        self.imported()
        by = self._stack.pop()
        self.call(by, tuple(self.marked()))

    def obj(self) -> None:
        by, *args = self.marked()
        self.call(by, tuple(args))

    # Changes.

    def build(self) -> None:
        self._allowance.operations -= _A_CALL
        state = self._stack.pop()
        target = self._stack[-1]
        self._watch.changes(target, "state", state)
        self.kept(state if isinstance(state, tuple) else (state,))
        if not isinstance(target, Made):
            return
        if target.built and isinstance(target.state, dict) and isinstance(state, dict):
            target.state.update(state)
        else:
            target.state = state
        target.built = True
        if is_wrapper(target):
            self.saw_array = True
            if self._arrays:
                self._pass_array(target)
            else:
                self._read_on(target)

    def _read_on(self, wrapper: Made) -> None:
        """As plain pickle, which takes joblib's array bytes for operations. Objects are a whole pickle, which refers to
        what it has kept itself: read on here, it refers to anything."""
        try:
            plain = not array_in(wrapper).objects
        except Torn:
            plain = True
        self.confused |= not plain
        if self._left_at_array is None:
            self._left_at_array = self._allowance.operations

    def _pass_array(self, wrapper: Made) -> None:
        """As joblib: from behind the frame on, objects are another pickle; else padding says first how long it is."""
        array = array_in(wrapper)
        self._source.leave_frame()
        if array.objects:
            wrapper.items.append(self._nested())
            return
        if array.padded:
            self._source.skip(self._source.byte())
        self._source.skip(array.size)

    def _nested(self) -> Made:
        if self._depth >= MAX_NESTED:
            raise TooMuch(f"pickles nested more than {MAX_NESTED} deep")
        inner = Machine(self._source, self._watch, self._allowance, arrays=False, depth=self._depth + 1)
        array = inner.run()
        if not isinstance(array, Made) or not isinstance(array.by, Global) or array.by.name != "_reconstruct":
            raise Torn("where joblib reads an array of objects there is something else")
        self._source.begin()
        return array

    def kept(self, values: Iterable[object]) -> None:
        """Names among them, also in tuples; what lists and dicts hold was looked at when they got it."""
        for value in values:
            if isinstance(value, Global):
                self._watch.keeps(value)
            elif isinstance(value, tuple):
                self._kept_below(value)

    def _kept_below(self, value: tuple[object, ...]) -> None:
        waiting, seen = [value], {id(value)}
        while waiting:
            for each in waiting.pop():
                if isinstance(each, Global):
                    self._watch.keeps(each)
                elif isinstance(each, tuple) and id(each) not in seen:
                    seen.add(id(each))
                    waiting.append(each)
                    self._allowance.operations -= 1

    def list_of(self, values: list[object]) -> None:
        self.kept(values)
        self._stack.append(values)

    def extend(self, values: list[object]) -> None:
        target = self._stack[-1]
        self.kept(values)
        if isinstance(target, list):
            target.extend(values)
            return
        self._watch.changes(target, "items", values)
        if isinstance(target, Made):
            target.items.extend(values)

    def dict_of(self, flat: list[object]) -> None:
        self.kept(flat[1::2])
        self._stack.append(dict(_pairs(flat)))

    def update(self, flat: list[object]) -> None:
        target = self._stack[-1]
        self.kept(flat[1::2])
        if isinstance(target, dict):
            target.update(_pairs(flat))
            return
        entries = dict(_pairs(flat))
        if isinstance(target, list):
            _set_in_list(target, entries)
            return
        self._watch.changes(target, "entries", entries)
        if isinstance(target, Made):
            target.entries.update(entries)

    def append(self) -> None:
        value = self._stack.pop()
        self.extend([value])

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self.update([key, value])


def _pairs(flat: list[object]) -> Iterator[tuple[object, object]]:
    for key, value in zip(flat[::2], flat[1::2], strict=False):
        yield key if isinstance(key, str | int | float | None) else OddKey(key), value


def _text(data: bytes, encoding: str, errors: str) -> object:
    if isinstance(data, Left):
        return data
    try:
        return data.decode(encoding, errors)
    except UnicodeError:
        return UNCLEAR


def _unescaped(quoted: bytes) -> object:
    try:
        return codecs.escape_decode(quoted)[0].decode("latin-1")
    except ValueError:
        return UNCLEAR


def _set_in_list(target: list[object], entries: dict[object, object]) -> None:
    for place, value in entries.items():
        if isinstance(place, int) and -len(target) <= place < len(target):
            target[place] = value


def _integer(line: bytes) -> object:
    """A line of INT: in protocol 0 also a truth value; C takes a leading zero for octal."""
    return {b"00": False, b"01": True}.get(line, _number(line.removesuffix(b"L"), 0, 8))


def _number(line: bytes, *bases: int) -> object:
    """C's readers stop at a NUL. Leading zeros are cut because Python bounds the number of digits."""
    digits = line.split(b"\0")[0].strip()
    if bases == (10,):
        digits = re.sub(rb"^([+-]?)[0_]+(?=\d)", rb"\1", digits)
    for base in () if isinstance(line, Left) or len(digits) > MAX_DIGITS else bases:
        try:
            return int(digits, base)
        except ValueError:
            continue
    return UNCLEAR


def _float(line: bytes) -> object:
    try:
        return float(line.split(b"\0")[0])
    except ValueError:
        return UNCLEAR


# By operation code; the names and forms are those of CPython's `pickletools`.
_KNOWN: dict[bytes, Callable[[Machine], object]] = {
    b"\x80": Machine.protocol,
    b"\x95": lambda m: m._source.frame(m.number(8)),
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine.marked,
    b"2": lambda m: m.push(m._stack[-1]),
    # Constants.
    b"N": lambda m: m._stack.append(None),
    b"\x88": lambda m: m._stack.append(True),
    b"\x89": lambda m: m._stack.append(False),
    b"I": lambda m: m.push(_integer(m.line())),
    b"J": lambda m: m._stack.append(m.number(4, signed=True)),
    b"K": lambda m: m._stack.append(m._source.byte()),
    b"M": lambda m: m._stack.append(m.number(2)),
    b"L": lambda m: m.push(_integer(m.line())),
    b"\x8a": lambda m: m.long_of(1),
    b"\x8b": lambda m: m.long_of(4),
    b"F": lambda m: m.push(_float(m.line())),
    b"G": lambda m: m._stack.append(struct.unpack(">d", m._source.read(8))[0]),
    b"S": Machine.old_text_line,
    b"T": lambda m: m.old_text_of(4),
    b"U": lambda m: m.old_text_of(1),
    b"V": lambda m: m.push(_text(m.line(), "raw-unicode-escape", "strict")),
    b"X": lambda m: m.text_of(4),
    b"\x8c": lambda m: m.text_of(1),
    b"\x8d": lambda m: m.text_of(8),
    b"B": lambda m: m.push(m.bytes_of(4)),
    b"C": lambda m: m.push(m.bytes_of(1)),
    b"\x8e": lambda m: m.push(m.bytes_of(8)),
    b"\x96": lambda m: m.push(m.bytes_of(8)),
    b"\x97": lambda m: m.push(UNCLEAR),  # a buffer that the caller of the loader brings
    b"\x98": lambda m: None,  # noqa: ARG005 - it becomes readable only
    # Containers.
    b"]": lambda m: m._stack.append([]),
    b"}": lambda m: m._stack.append({}),
    b")": lambda m: m._stack.append(()),
    b"\x8f": lambda m: m._stack.append([]),
    b"l": lambda m: m.list_of(m.marked()),
    b"\x91": lambda m: m.list_of(m.marked()),
    b"d": lambda m: m.dict_of(m.marked()),
    b"t": lambda m: m.push(tuple(m.marked())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"a": Machine.append,
    b"e": lambda m: m.extend(m.marked()),
    b"\x90": lambda m: m.extend(m.marked()),
    b"s": Machine.set_item,
    b"u": lambda m: m.update(m.marked()),
    # The memo.
    b"p": lambda m: m.put(m.place()),
    b"q": lambda m: m.put(m._source.byte()),
    b"r": lambda m: m.put(m.number(4)),
    b"g": lambda m: m.get(m.place()),
    b"h": lambda m: m.get(m._source.byte()),
    b"j": lambda m: m.get(m.number(4)),
    b"\x94": Machine.memoize,
    # Imports, calls, changes.
    b"c": Machine.imported,
    b"\x93": Machine.stack_global,
    b"\x82": lambda m: m.extension(1),
    b"\x83": lambda m: m.extension(2),
    b"\x84": lambda m: m.extension(4),
    b"P": lambda m: m.persistent(_text(m.line(), "latin-1", "strict")),
    b"Q": lambda m: m.persistent(m._stack.pop()),
    b"R": Machine.reduce,
    b"\x81": lambda m: m.reduce(new=True),
    b"\x92": Machine.new_with_names,
    b"i": Machine.inst,
    b"o": Machine.obj,
    b"b": Machine.build,
}
_ACTIONS = [_KNOWN.get(bytes([code])) for code in range(256)]
_STOP = ord(".")
