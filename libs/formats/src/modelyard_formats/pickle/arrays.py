"""The arrays that joblib writes between the operations of a pickle. Used by `pickle.reader`.

joblib's `NumpyArrayWrapper` says how many bytes its unpickler takes from the file. Whatever else it can be made to say
makes loaders disagree on what follows, so only what joblib writes is taken: see `joblib.numpy_pickle`. NumPy's dtypes
are read from what `numpy.dtype.__reduce__` gives: `(code, False, True)` and the state
`(version, byte order, subarray, names, fields, item size, alignment, flags[, metadata])`.
"""

import math
import re
from dataclasses import dataclass
from typing import cast

from modelyard_formats.pickle.source import Torn
from modelyard_formats.pickle.values import Global, Made

WRAPPER = Global("joblib.numpy_pickle", "NumpyArrayWrapper")
DTYPE = Global("numpy", "dtype")
RECORDS = frozenset(Global(module, "record") for module in ("numpy", "numpy.rec", "numpy.core.records"))
_KEYS = frozenset({"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"})
_CODE = re.compile(r"[<>=|]?([biufcmMOSUV])(\d{1,9})")
_HAS_OBJECTS = 0x01  # NumPy's NPY_ITEM_REFCOUNT
_MAX_AXES = 64
_MAX_FIELDS = 10_000
_MAX_DEPTH = 8
_MAX_PARTS = 20_000


@dataclass(frozen=True, slots=True)
class Array:
    """`size` in bytes; `padded`: a byte and as much padding as it says stand before them."""

    objects: bool
    size: int
    padded: bool


@dataclass(frozen=True, slots=True)
class Item:
    objects: bool
    size: int


def is_wrapper(value: Made) -> bool:
    return value.kind == WRAPPER


def array_in(wrapper: Made) -> Array:
    """Raises `Torn` where it is not as joblib writes it."""
    state = wrapper.state
    fresh = wrapper.args == () if wrapper.by == WRAPPER else True
    if not fresh or not isinstance(state, dict) or not state.keys() <= _KEYS:
        raise Torn("an array is announced in a way that joblib does not write")
    shape, padding = state.get("shape"), state.get("numpy_array_alignment_bytes")
    if (
        not isinstance(shape, tuple)
        or len(shape) > _MAX_AXES
        or not all(type(axis) is int and axis >= 0 for axis in shape)
    ):
        raise Torn("an array has an impossible shape")
    if not isinstance(padding, int | None) or state.get("order") not in ("C", "F"):
        raise Torn("an array has an impossible order or alignment")
    if not isinstance(state.get("subclass"), Global) or not isinstance(state.get("allow_mmap", False), bool):
        raise Torn("an array is of no class")
    item = item_of(state.get("dtype"))
    return Array(item.objects, math.prod(cast("tuple[int, ...]", shape)) * item.size, padding is not None)


def item_of(dtype: object) -> Item:
    """What one item of a symbolic `numpy.dtype` is. Raises `Torn` where NumPy would not write it like that."""
    return _item_of(dtype, 0, {})


def _item_of(dtype: object, depth: int, known: dict[int, Item]) -> Item:
    """`known`: those of all parts that were looked at, by their identity."""
    if id(dtype) in known:
        return known[id(dtype)]
    if len(known) > _MAX_PARTS:
        raise Torn(f"a dtype has more than {_MAX_PARTS:,} parts")
    if not isinstance(dtype, Made) or dtype.by != DTYPE or not isinstance(dtype.args, tuple) or depth > _MAX_DEPTH:
        raise Torn("an array has no known dtype")
    code, state = dtype.args[:1], dtype.state
    if not dtype.built or not isinstance(state, tuple) or len(state) not in (8, 9):
        raise Torn("a dtype has no known state")
    match = _CODE.fullmatch(str(code[0]) if code and isinstance(code[0], str) else "")
    if match is None and not (code and isinstance(code[0], Global) and code[0] in RECORDS):
        raise Torn("an array has no known dtype")
    kind = match[1] if match else "V"
    size = int(match[2]) * (4 if kind == "U" else 1) if match else state[5]
    objects = kind == "O" or _objects_below(state, kind, depth, known)
    if not isinstance(size, int) or size < 0 or (kind in "SUV" and state[5] != size):
        raise Torn("a dtype has two sizes")
    if not isinstance(state[7], int) or bool(state[7] & _HAS_OBJECTS) != objects:
        raise Torn("a dtype does not say whether it holds objects")
    return known.setdefault(id(dtype), Item(objects, size))


def _objects_below(state: tuple[object, ...], kind: str, depth: int, known: dict[int, Item]) -> bool:
    subarray, names, fields = state[2:5]
    parts: list[object] = []
    if isinstance(subarray, tuple) and len(subarray) == 2:
        parts.append(subarray[0])
    elif subarray is not None:
        raise Torn("a dtype has an unknown part")
    if isinstance(fields, dict) and isinstance(names, tuple) and len(fields) <= _MAX_FIELDS:
        parts.extend(field[0] if isinstance(field, tuple) and field else None for field in fields.values())
    elif fields is not None or names is not None:
        raise Torn("a dtype has unknown fields")
    if parts and kind != "V":
        raise Torn("a dtype of plain items has parts")
    found = [_item_of(part, depth + 1, known).objects for part in parts]  # every one is checked
    return any(found)
