"""The tensors in a PyTorch pickle: names, shapes, types. Used by `pytorch.format`; no tensor data is read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from modelyard_formats.format import MAX_RANK
from modelyard_formats.pickle.reader import Unreadable
from modelyard_formats.pickle.values import Global, Made, Persistent

MAX_TENSORS = 200_000
# Storage class → (numpy's or ml_dtypes' name, bytes of one element).
STORAGES = {
    "DoubleStorage": ("float64", 8), "FloatStorage": ("float32", 4), "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2), "LongStorage": ("int64", 8), "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2), "CharStorage": ("int8", 1), "ByteStorage": ("uint8", 1), "BoolStorage": ("bool", 1),
    "ComplexDoubleStorage": ("complex128", 16), "ComplexFloatStorage": ("complex64", 8),
    "QInt8Storage": ("int8", 1), "QUInt8Storage": ("uint8", 1), "QInt32Storage": ("int32", 4),
    "UntypedStorage": ("", 1),
}  # fmt: skip
_REBUILD = frozenset(f"torch._utils._rebuild_{kind}" for kind in ("tensor", "tensor_v2", "tensor_v3", "qtensor"))
_WRAPPERS = frozenset({"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """`storage` is the key of its data, `needs` how many bytes of data there must be."""

    dtype: str
    shape: tuple[int, ...]
    storage: str
    needs: int


def named_tensors(root: object) -> Iterator[tuple[str, Tensor]]:
    """Every tensor once per place, by its dotted path. Raises `Unreadable` for one that cannot be, or too many."""
    waiting: list[tuple[str, object]] = [("", root)]
    seen: set[int] = set()
    found = 0
    while waiting:
        path, value = waiting.pop()
        tensor = tensor_of(value)
        if tensor:
            found += 1
            yield path, tensor
        elif isinstance(value, Made | dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(reversed(list(_children(path, value))))
        if found > MAX_TENSORS:
            raise Unreadable(f"more than {MAX_TENSORS:,} tensors")


def _children(path: str, value: object) -> Iterator[tuple[str, object]]:
    before = f"{path[:400]}." if path else ""
    if isinstance(value, Made):
        parts = {**value.entries, **_submodules(value.attributes())}
        yield from ((f"{before}{name!s:.100}", part) for name, part in parts.items())
        yield from ((path, each) for each in value.items)
        if str(value.by) == "collections.OrderedDict":
            yield from ((path, each) for each in (value.args if isinstance(value.args, tuple) else ()))
    elif isinstance(value, dict):
        yield from ((f"{before}{name!s:.100}", part) for name, part in value.items())
    elif isinstance(value, list | tuple):
        yield from ((path, each) for each in value)


def _submodules(attributes: dict[object, object]) -> dict[object, object]:
    """A module's parameters, buffers and parts under their own names, as `state_dict` shows them."""
    parts: dict[object, object] = {}
    for name, value in attributes.items():
        inner = value.entries if isinstance(value, Made) else value
        if name in ("_parameters", "_buffers", "_modules") and isinstance(inner, dict):
            parts |= inner
        else:
            parts[name] = value
    return parts


def tensor_of(value: object) -> Tensor | None:
    """Raises `Unreadable` for a tensor whose parts do not fit each other."""
    if not isinstance(value, Made) or not isinstance(value.args, tuple):
        return None
    if str(value.by) in _WRAPPERS and value.args:
        return tensor_of(value.args[0])
    if str(value.by) not in _REBUILD or len(value.args) < 3:
        return None
    storage, offset, shape = value.args[:3]
    dtype, size, key, elements = _storage(storage)
    if str(value.by).endswith("_v3") and len(value.args) > 6 and isinstance(value.args[6], Global):
        dtype = value.args[6].name
    if isinstance(shape, Made):  # torch.Size
        shape = shape.args[0] if isinstance(shape.args, tuple) and shape.args else None
    if not isinstance(shape, tuple) or len(shape) > MAX_RANK or not isinstance(offset, int):
        raise Unreadable("a tensor has no shape")
    axes = tuple(axis for axis in shape if isinstance(axis, int) and axis >= 0)
    if len(axes) != len(shape) or offset < 0:
        raise Unreadable("a tensor has an impossible shape")
    stride = value.args[3] if len(value.args) > 3 else ()
    reach = _reach(axes, stride, offset)
    if reach > elements:
        raise Unreadable(f"a tensor of shape {list(axes)} needs {reach:,} elements, its storage has {elements:,}")
    return Tensor(dtype, axes, key, elements * size)


def _reach(shape: tuple[int, ...], stride: object, offset: int) -> int:
    """How many elements of its storage the tensor spans, from the storage's first on."""
    if math.prod(shape) == 0:
        return 0
    if not isinstance(stride, tuple) or len(stride) != len(shape):
        return offset + math.prod(shape)
    steps = [step for step in stride if isinstance(step, int) and step >= 0]
    if len(steps) != len(shape):
        raise Unreadable("a tensor has impossible strides")
    return offset + 1 + sum((axis - 1) * step for axis, step in zip(shape, steps, strict=True))


def _storage(value: object) -> tuple[str, int, str, int]:
    """dtype, bytes of one element, key, number of elements."""
    key = value.key if isinstance(value, Persistent) else None
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[1], Global):
        raise Unreadable("a tensor has no storage")
    kind = STORAGES.get(key[1].name)
    if kind is None or not isinstance(key[4], int) or key[4] < 0:
        raise Unreadable(f"a tensor has a storage of the unknown kind {key[1].name[:100]}")
    return *kind, str(key[2]), key[4]
