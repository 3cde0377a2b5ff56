"""Pickles written operation by operation, in all spellings that CPython's unpicklers know; some call `os.system`.

Names, numbers and texts are written in whichever form a loader takes, frames rightly and wrongly, with detours over the
memo and the stack. The command that is called is never run: `loading` stops it.
"""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

COMMAND = "modelyard-must-not-run"
BAD = (
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "exec"), ("subprocess", "getoutput"),
    ("__builtin__", "eval"), ("commands", "getoutput"), ("builtins", "__import__"), ("os", "popen"),
    ("numpy.testing", "measure"), ("joblib", "load"), ("numpy", "load"), ("scipy.io", "loadmat"),
    ("sklearn.utils.parallel", "_FuncWrapper"), ("runpy", "run_path"), ("operator", "methodcaller"),
    ("functools", "partial"), ("importlib", "import_module"), ("pickle", "loads"), ("timeit", "timeit"),
    ("sklearn.datasets", "load_files"), ("joblib.memory", "Memory"), ("matplotlib.pyplot", "savefig"),
    ("numpy", "testing.measure"), ("sklearn.base", "os.system"), ("PIL.Image", "open"), ("yaml", "load"),
)  # fmt: skip
GOOD = (
    ("collections", "OrderedDict"), ("builtins", "list"), ("builtins", "set"), ("numpy", "dtype"), ("numpy", "float64"),
    ("numpy", "ndarray"), ("numpy._core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "scalar"),
    ("numpy.random._pickle", "__generator_ctor"), ("numpy.random._pickle", "__bit_generator_ctor"),
    ("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("builtins", "object"), ("builtins", "bytearray"),
    ("_codecs", "encode"), ("collections", "defaultdict"), ("collections", "deque"), ("types", "SimpleNamespace"),
    ("argparse", "Namespace"), ("sklearn.linear_model._base", "LinearRegression"), ("sklearn.utils._bunch", "Bunch"),
    ("sklearn.tree._tree", "Tree"), ("datetime", "date"), ("random", "Random"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("sklearn.isotonic", "IsotonicRegression"), ("scipy.stats._continuous_distns", "norm_gen"), ("re", "_compile"),
    ("numpy._core", "_ufunc_reconstruct"), ("pathlib", "PurePosixPath"), ("numpy", "mean"), ("numpy", "log1p"),
)  # fmt: skip
_KEYS = ("a", "shape", "extend", "append", "add", "__setstate__", "__class__", "dtype", "read", "_build_f", "subclass")


@dataclass(slots=True)
class Writer:
    """Each method gives the bytes that push one value."""

    dice: random.Random

    def one_of(self, *ways: Callable[[], bytes]) -> bytes:
        return self.dice.choice(ways)()

    def number(self, value: int) -> bytes:
        wide = value.to_bytes(9, "little", signed=True)
        return self.one_of(
            lambda: b"I" + self._digits(value) + b"\n",
            lambda: b"L" + self._digits(value) + self.dice.choice((b"L\n", b"\n")),
            lambda: b"J" + struct.pack("<i", value),
            lambda: b"K" + bytes([value & 255]),
            lambda: b"M" + struct.pack("<H", value & 0xFFFF),
            lambda: b"\x8a\x09" + wide,
            lambda: b"\x8b\x09\0\0\0" + wide,
        )

    def _digits(self, value: int) -> bytes:
        forms = (f"{value}", f"{value:#x}", f"{value:#o}", f"{value:#b}", f" {value}", f"{value} ", f"+{abs(value)}")
        more = (f"{value}_0", f"0{abs(value):o}", f"{value}\0rest", f"\t{value}\r", "0" * 40 + "1", "9" * 5000)
        return self.dice.choice((*forms, *more)).encode()

    def other(self) -> bytes:
        return self.one_of(
            lambda: b"N",
            lambda: b"\x88",
            lambda: b"\x89",
            lambda: b"F" + self.dice.choice((b"1.5", b" 2 ", b"inf", b"1_0.5", b"nan", b"1\0x", b"1e400")) + b"\n",
            lambda: b"G" + struct.pack(">d", self.dice.random()),
            lambda: b"I0" + self.dice.choice((b"0\n", b"1\n")),
            lambda: self.number(self.dice.randrange(-5, 300)),
            lambda: self.text(self.dice.choice(_KEYS)),
            lambda: self.data(b"some bytes"),
            lambda: self.dice.choice((b")", b"]", b"}", b"\x8f", b"(t", b"(l", b"(d", b"(\x91")),
        )

    def data(self, value: bytes) -> bytes:
        forms = (b"C" + bytes([len(value)]), b"B" + struct.pack("<I", len(value)))
        more = (b"\x8e" + struct.pack("<Q", len(value)), b"\x96" + struct.pack("<Q", len(value)))
        return self.dice.choice((*forms, *more)) + value

    def text(self, value: str) -> bytes:
        raw = value.encode()
        escaped = "".join(f"\\x{ord(c):02x}" if self.dice.random() < 0.3 else c for c in value).encode()
        wide = "".join(f"\\u{ord(c):04x}" if self.dice.random() < 0.3 else c for c in value).encode()
        quote = self.dice.choice((b"'", b'"'))
        return self.one_of(
            lambda: b"S" + quote + escaped + quote + b"\n",
            lambda: b"V" + wide + b"\n",
            lambda: b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"X" + struct.pack("<I", len(raw)) + raw,
            lambda: b"T" + struct.pack("<I", len(raw)) + raw,
            lambda: b"X" + struct.pack("<I", len(raw)) + raw,
            lambda: b"\x8c" + bytes([len(raw)]) + raw if len(raw) < 256 else b"X" + struct.pack("<I", len(raw)) + raw,
            lambda: b"\x8d" + struct.pack("<Q", len(raw)) + raw,
        )

    def detour(self, value: bytes) -> bytes:
        """The same value on the stack, by way of memo, copies and rubbish."""
        place = self.dice.randrange(1, 250)
        put = self.dice.choice((b"q" + bytes([place]), b"r" + struct.pack("<I", place), b"p%d\n" % place))
        get = self.dice.choice(
            (b"h" + bytes([place]), b"j" + struct.pack("<I", place), b"g%d\n" % place, b"g0%d\n" % place)
        )
        ways = (value, value, value + put + b"0" + get, value + b"20", b"(" + self.other() + b"1" + value)
        return self.dice.choice((*ways, b"(0" + value, value + b"\x94", value + b"(K\x01K\x021"))

    def name(self, module: str, name: str) -> bytes:
        if self.dice.random() < 0.4:
            return b"c" + module.encode() + b"\n" + name.encode() + b"\n"
        return self.detour(self.text(module)) + self.detour(self.text(name)) + b"\x93"

    def args(self, *values: bytes) -> bytes:
        if 1 <= len(values) <= 3 and self.dice.random() < 0.5:
            return b"".join(values) + bytes([0x84 + len(values)])
        return b"(" + b"".join(values) + b"t"

    def call(self, module: str, name: str, *values: bytes) -> bytes:
        return self.one_of(
            lambda: self.name(module, name) + self.args(*values) + b"R",
            lambda: b"(" + self.name(module, name) + b"".join(values) + b"o",
            lambda: b"(" + b"".join(values) + b"i" + module.encode() + b"\n" + name.encode() + b"\n",
            lambda: self.name(module, name) + self.args(*values) + b"\x81",
            lambda: self.name(module, name) + self.args(*values) + b"}\x92",
            lambda: self.name(module, name) + b"(" + b"".join(values) + b"lR",
        )

    def value(self, depth: int = 0) -> bytes:
        if depth > 3 or self.dice.random() < 0.3:
            return self.other()
        inner = [self.value(depth + 1) for _ in range(self.dice.randrange(4))]
        return self.one_of(
            lambda: self.args(*inner),
            lambda: b"](" + b"".join(inner) + b"e",
            lambda: b"}(" + b"".join(self.text(self.dice.choice(_KEYS)) + each for each in inner) + b"u",
            lambda: self.detour(self.named()),
            lambda: self.call(*self.dice.choice(GOOD), *inner),
            lambda: self.changed(self.call(*self.dice.choice(GOOD), *inner), inner),
            lambda: b"".join(each + b"0" for each in inner) + self.other(),
            lambda: b"\x8f(" + b"".join(inner) + b"\x90",
        )

    def named(self) -> bytes:
        return self.name(*self.dice.choice(GOOD))

    def changed(self, target: bytes, values: Sequence[bytes]) -> bytes:
        rest = b"".join(values)
        key = self.text(self.dice.choice(_KEYS))
        state = b"}" + key + self.value(3) + b"s"
        return target + self.dice.choice((
            state + b"b", b"N" + state + b"\x86b", self.args(*values) + b"b", b"(" + rest + b"e", b"(" + rest + b"\x90",
            key + self.value(3) + b"s", self.named() + b"a", state + b"b" + state + b"b", b")b", b"}b",
        ))  # fmt: skip

    def attack(self) -> bytes:
        module, name = self.dice.choice(BAD)
        command = self.detour(self.text(COMMAND))
        return self.one_of(
            lambda: self.call(module, name, command),
            lambda: self.call("numpy.random._pickle", "__generator_ctor", command, self.name(module, name)),
            lambda: self.changed(self.call("types", "SimpleNamespace"), [command])
            + b"}" + self.text("__setstate__") + self.name(module, name) + b"sb" + command + b"b",
            lambda: self.call("argparse", "Namespace") + b"}" + self.text("extend") + self.name(module, name)
            + b"sb(" + command + b"e",
            lambda: self.name(module, name) + self.args(command) + b"R",
            lambda: self.text(module) + self.call("_codecs", "encode", self.text(name), self.text("rot13")) + b"\x93",
            lambda: self.call("collections", "defaultdict", self.name(module, name)),
            lambda: self.name(module, name),
        )  # fmt: skip

    def pickle(self, *, hostile: bool) -> bytes:
        """One pickle with its beginning, frames and STOP, or without them."""
        parts = [self.value() for _ in range(self.dice.randrange(1, 4))]
        if hostile:
            parts.insert(self.dice.randrange(len(parts) + 1), self.attack())
        begin = self.dice.choice((b"", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x04", b"\x80\x05", b"\x80\0"))
        body = [part + b"0" for part in parts[:-1]] + [
            parts[-1] + self.dice.choice((b".", b".", b".", b"", b"0", b"b."))
        ]
        return begin + b"".join(self._framed(part) for part in body)

    def _framed(self, part: bytes) -> bytes:
        size = len(part) + self.dice.choice((0, 0, 0, 0, -1, 1, -len(part) // 2, 2**40))
        return b"\x95" + struct.pack("<Q", max(0, size)) + part if self.dice.random() < 0.25 else part

    def file(self) -> bytes:
        """Some pickles behind each other."""
        count = self.dice.choice((1, 1, 1, 2, 3))
        hostile = self.dice.randrange(count) if self.dice.random() < 0.7 else -1
        return b"".join(self.pickle(hostile=number == hostile) for number in range(count))
