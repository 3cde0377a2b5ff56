"""A model that lies in a pickle, read as symbols. Used by the formats of scikit-learn, XGBoost and LightGBM."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from modelyard_contracts.shapes import Inspection
from modelyard_formats.errors import bad_source
from modelyard_formats.pickle.reader import Allowance, Machine, Source, TooMuch, Unreadable
from modelyard_formats.pickle.rules import Audit
from modelyard_formats.pickle.values import Global, Left, Made
from modelyard_formats.wire.archive_bytes import MAX_UNPACKED, Bomb, CannotUnpack, packing_of, unpack, window

_MAX_OBJECTS = 1_000_000
_BOOSTERS = {"xgboost": "an XGBoost model", "lightgbm": "a LightGBM model"}


@dataclass(frozen=True, slots=True)
class Pickled:
    """`root` is what the pickle holds; `content` opens bytes or text of it, also those that were left in the file."""

    root: object
    file: BinaryIO

    def content(self, value: object) -> tuple[BinaryIO, int] | None:
        if isinstance(value, Made) and isinstance(value.args, tuple) and value.args:
            value = value.args[0]  # bytearray(b"…")
        if isinstance(value, Left):
            return window(self.file, value.offset, value.extent), value.extent
        if isinstance(value, str):
            value = value.encode(errors="surrogatepass")
        if isinstance(value, bytes | bytearray):
            return io.BytesIO(bytes(value)), len(value)
        return None


@contextmanager
def read_pickle(path: Path, name: str) -> Iterator[Pickled]:
    """The pickle in `path`, called `name` in errors, compressed as a whole or not. Raises `BadSource`."""
    with ExitStack() as opened:
        file: BinaryIO = opened.enter_context(path.open("rb"))
        size = path.stat().st_size
        try:
            kind = packing_of(file.read(8))
            file.seek(0)
            if kind:
                file, size = unpack(file, kind, MAX_UNPACKED)
                opened.enter_context(file)
            root = Machine(Source(file, size), Audit(), Allowance(), arrays=True).run()
        except (Unreadable, TooMuch, CannotUnpack, Bomb) as error:
            rule = "a complete pickle or joblib file, packed with zlib, gzip, bzip2 or xz if at all"
            raise bad_source(f"{name} is no pickle that can be read: {error}", file=name, rule=rule) from error
        yield Pickled(root, file)


def class_of(value: object) -> str:
    """`module.Class` of an instance; empty for anything else."""
    kind = value.kind if isinstance(value, Made) else None
    return str(kind) if isinstance(kind, Global) else ""


def objects_below(value: object) -> Iterator[object]:
    """`value` and everything in it, every list, dict and instance once; stops after a million."""
    waiting: list[object] = [value]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_OBJECTS:
        item = waiting.pop()
        yield item
        if not isinstance(item, Made | dict | list | tuple) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Made):
            waiting.extend((item.args, item.state, item.items, item.entries))
        else:
            waiting.extend(item.values() if isinstance(item, dict) else item)


def shape_of(array: object) -> tuple[int, ...] | None:
    """Of a NumPy array, stored by pickle or by joblib."""
    if not isinstance(array, Made):
        return None
    shape = array.attributes().get("shape")
    if isinstance(array.state, tuple) and len(array.state) > 1:
        shape = array.state[1]
    if isinstance(array.args, tuple) and str(array.by).endswith("._frombuffer") and len(array.args) > 2:
        shape = array.args[2]
    return _numbers(shape)


def dtype_of(array: object) -> str:
    """NumPy's short name of a stored array's dtype, `f8`, `U5`, `O8`; empty if it cannot be told."""
    if not isinstance(array, Made):
        return ""
    dtype = array.attributes().get("dtype")
    if isinstance(array.state, tuple) and len(array.state) > 2:
        dtype = array.state[2]
    if isinstance(array.args, tuple) and str(array.by).endswith("._frombuffer") and len(array.args) > 1:
        dtype = array.args[1]
    args = dtype.args if isinstance(dtype, Made) else None
    return str(args[0]) if isinstance(args, tuple) and args else ""


def _numbers(shape: object) -> tuple[int, ...] | None:
    if not isinstance(shape, tuple):
        return None
    axes = tuple(axis for axis in shape if isinstance(axis, int))
    return axes if len(axes) == len(shape) else None


def is_pickle(path: Path, head: bytes) -> bool:
    """By its name or its first bytes: a `.m` may hold a pickle or a library's own format."""
    return path.suffix in (".pkl", ".pickle", ".joblib") or head[:1] == b"\x80"


def inspect_booster(
    path: Path, name: str, *, package: str, rule: str, handle: str, read: Callable[[BinaryIO, int], Inspection]
) -> Inspection:
    """A booster that was pickled by itself or inside of its package's scikit-learn estimator.

    It keeps its own format in `handle`, or without a leading underscore as in older releases; `read` inspects that.
    Raises `BadSource`.
    """
    with read_pickle(path, name) as pickled:
        root = pickled.root
        kind = class_of(root)
        if not kind.startswith(f"{package}.") or not isinstance(root, Made):
            message = f"{name} holds {f'a {kind[:200]}' if kind else 'no model'}"
            raise bad_source(message, file=name, rule=f"{_BOOSTERS[package]}; name the model_type of what it is")
        booster = root.attributes().get("_Booster", root)
        attributes = booster.attributes() if isinstance(booster, Made) else {}
        content = pickled.content(attributes.get(handle, attributes.get("handle")))
        if content is None:
            raise bad_source(f"{name} holds a {kind} that was not trained", file=name, rule=rule)
        inspection = read(*content)
        return inspection.model_copy(update={"details": {"estimator": kind[:200], **inspection.details}})
