"""NumPy's `.npy`: an array of objects is a pickle. Called by `scan.content`; the header is read as a literal only.

Grammar: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. NumPy reads far more than it writes
(`'object'`, `'f4,O'`, a key twice). Whatever it would not write itself has to hold a pickle, and that pickle decides.
"""

import ast
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from modelyard_formats.scan.pickles import scan_pickles
from modelyard_formats.scan.search import Part, Search
from modelyard_formats.wire.archive_bytes import window

MAGIC = b"\x93NUMPY"
MAX_HEADER = 2**18
MAX_ARRAYS = 10_000
_WIDTH = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}  # of the header's length, by version
_CODE = re.compile(r"[<>|=]?(?:\?|[biufcSUVmM]\d{1,10}(?:\[\d{0,9}\w{1,7}(?:/\d{1,9})?\])?)")
_NAME = re.compile(r"bool|(?:u?int(?:8|16|32|64)|float(?:16|32|64)|complex(?:64|128))")
_OBJECT = re.compile(r"\|?O[48]?")
_LONG = re.compile(r"(?<=\d)L\b")  # NumPy on Python 2 wrote shapes as `(3L,)`


class NotNumpys(Exception):
    """NumPy did not write this header; the text says why."""


class Header(NamedTuple):
    """`objects`: a pickle follows. Else `size` bytes of numbers do."""

    objects: bool
    size: int


def scan_npy(part: Part, search: Search, look: Callable[[Part, Search], None], at: int = 0) -> None:
    """Array after array from `at` on, as repeated `numpy.load` of one open file would read them."""
    for _ in range(MAX_ARRAYS):
        part.file.seek(at)
        head = part.file.read(12)
        if not head.startswith(MAGIC):
            if head:
                look(_rest(part, at, name=""), search)
            elif at > part.size:
                search.found("suspicious", "numpy-header", "the file ends before its array does", part.inside)
            return
        behind = _scan_array(part, head, at, search)
        if behind is None:
            return
        at = behind
    search.found("dangerous", "archive-bomb", f"it holds more than {MAX_ARRAYS:,} arrays", part.inside)


def _scan_array(part: Part, head: bytes, at: int, search: Search) -> int | None:
    """Where the next one begins, if that can be told."""
    width = _WIDTH.get(head[6:8], 0)
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = at + 8 + width + length
    if not width or length > MAX_HEADER or start > part.size:
        message = "its header cannot be read: an unknown version, too long or cut off; save the array again"
        search.found("dangerous", "numpy-header", message, part.inside)
        return None
    part.file.seek(at + 8 + width)
    try:
        header = read_header(part.file.read(length), version=head[6])
    except NotNumpys as error:
        header = Header(True, 0)
        search.found("suspicious", "numpy-header", f"NumPy writes no such header: {error}", part.inside)
    else:
        if header.objects:
            message = "an array of Python objects is a pickle: store numbers, or text of fixed length"
            search.found("suspicious", "numpy-objects", message, part.inside)
    if not header.objects:
        return start + header.size
    scan_pickles(_rest(part, start, name=part.name), search, is_pickle=True)
    return next_array(part, start)


def next_array(part: Part, start: int) -> int | None:
    """Where the next bytes stand that `numpy.load` takes for an array."""
    at, before = start, b""
    part.file.seek(start)
    while chunk := part.file.read(2**20):
        found = (before + chunk).find(MAGIC)
        if found >= 0:
            return at - len(before) + found
        at, before = at + len(chunk), chunk[-len(MAGIC) + 1 :]
    return None


def _rest(part: Part, start: int, *, name: str) -> Part:
    size = part.size - start
    return Part(window(part.file, start, size), size, name, part.inside)


def read_header(text: bytes, *, version: int) -> Header:
    """Raises `NotNumpys`."""
    try:
        values = _each_once(text.decode("utf-8" if version == 3 else "latin-1"), version)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise NotNumpys(f"it is no literal ({error})") from error
    if set(values) != {"descr", "fortran_order", "shape"} or type(values["fortran_order"]) is not bool:
        raise NotNumpys("its keys are not descr, fortran_order and shape")
    shape = values["shape"]
    if not isinstance(shape, tuple) or any(type(axis) is not int or axis < 0 for axis in shape):
        raise NotNumpys("its shape is no tuple of sizes")
    objects = _has_objects(values["descr"])
    size = 0 if objects else math.prod(shape) * _item_size(values["descr"])
    if size >= 2**63 or math.prod(shape) >= 2**63:
        raise NotNumpys("it announces more than there can be")
    return Header(objects, size)


def _each_once(literal: str, version: int) -> dict[str, Any]:
    try:
        tree = ast.parse(literal.strip(), mode="eval").body
    except SyntaxError:
        if version == 3:
            raise
        tree = ast.parse(_LONG.sub("", literal.strip()), mode="eval").body
    if not isinstance(tree, ast.Dict):
        raise NotNumpys("it is no dictionary")
    keys = [key.value if isinstance(key, ast.Constant) else None for key in tree.keys]
    if len(set(keys)) != len(keys):
        raise NotNumpys("a key is there twice")
    return {str(key): ast.literal_eval(value) for key, value in zip(keys, tree.values, strict=True)}


def _has_objects(descr: object) -> bool:
    """Raises `NotNumpys` for whatever is not written by NumPy: the C code behind `numpy.dtype` reads a language."""
    if isinstance(descr, str):
        if _OBJECT.fullmatch(descr):
            return True
        if not _CODE.fullmatch(descr) and not _NAME.fullmatch(descr):
            raise NotNumpys(f"{descr[:50]!r} is no type that it would write")
        return False
    if isinstance(descr, tuple) and len(descr) == 2 and _is_shape(descr[1]):
        return _has_objects(descr[0])
    if not isinstance(descr, list):
        raise NotNumpys("its descr is neither a type nor a list of fields")
    found = [_field_has_objects(field) for field in descr]  # each must be known
    return any(found)


def _field_has_objects(field: object) -> bool:
    if not isinstance(field, tuple) or len(field) not in (2, 3) or not all(_is_shape(each) for each in field[2:]):
        raise NotNumpys("a field is not its name, type and shape")
    names = field[0] if isinstance(field[0], tuple) and len(field[0]) == 2 else (field[0],)
    if not all(isinstance(name, str) for name in names):
        raise NotNumpys("a field's name is no text")
    return _has_objects(field[1])


def _is_shape(value: object) -> bool:
    axes = value if isinstance(value, tuple) else (value,)
    return all(type(axis) is int and axis >= 0 for axis in axes)


def _item_size(descr: Any) -> int:
    import numpy as np

    try:
        made = np.lib.format.descr_to_dtype(descr)
    except (TypeError, ValueError, OverflowError, MemoryError, KeyError, SyntaxError) as error:
        raise NotNumpys(f"it is no type ({error})") from error
    if made.hasobject:
        raise NotNumpys("its type holds objects")
    return made.itemsize
