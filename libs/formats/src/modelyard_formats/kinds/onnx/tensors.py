"""The tensors stored in an ONNX model: do their data and their declared shapes agree, and where does data lie outside.

Used by `onnx.format` while inspecting. Nothing here reads tensor data.
"""

import math
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from modelyard_contracts.failures import Problem
from modelyard_formats.expansion import MAX_ELEMENTS, SIZE_RULE, most_elements
from modelyard_formats.format import MAX_RANK
from modelyard_formats.kinds.onnx.bulk import RAW_DATA
from modelyard_formats.kinds.onnx.model import attributes, parts

# TensorProto.DataType → (numpy's or ml_dtypes' name, bits of one element); strings have no fixed size.
DTYPES: dict[int, tuple[str, int]] = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16), 6: ("int32", 32),
    7: ("int64", 64), 8: ("object", 0), 9: ("bool", 8), 10: ("float16", 16), 11: ("float64", 64), 12: ("uint32", 32),
    13: ("uint64", 64), 14: ("complex64", 64), 15: ("complex128", 128), 16: ("bfloat16", 16),
    17: ("float8_e4m3fn", 8), 18: ("float8_e4m3fnuz", 8), 19: ("float8_e5m2", 8), 20: ("float8_e5m2fnuz", 8),
    21: ("uint4", 4), 22: ("int4", 4), 23: ("float4_e2m1fn", 4), 24: ("float8_e8m0fnu", 8), 25: ("uint2", 2),
    26: ("int2", 2), 27: ("float6_e2m3fn", 6), 28: ("float6_e3m2fn", 6),
}  # fmt: skip

SHARED = 10
"""How often external data may be used on the whole: tensors may share bytes, and are as large as if they did not."""
_NO_DATA = (".json", ".onnx", ".py", ".txt", ".md", ".xml", ".yaml", ".yml", ".toml", ".ini", ".sh", ".html")


def stored_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor with data: initializers and attributes of all graphs and functions, sparse ones as their two."""
    for part in parts(model):
        if isinstance(part, GraphProto):
            yield from part.initializer
            yield from _dense_parts(part.sparse_initializer)
        yield from _attribute_tensors(part)


def _attribute_tensors(part: GraphProto | FunctionProto) -> Iterator[TensorProto]:
    for attribute in attributes(part):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield from _dense_parts([attribute.sparse_tensor])
        yield from _dense_parts(attribute.sparse_tensors)


def _sparse_tensors(model: ModelProto) -> Iterator[SparseTensorProto]:
    for part in parts(model):
        if isinstance(part, GraphProto):
            yield from part.sparse_initializer
        for attribute in attributes(part):
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor
            yield from attribute.sparse_tensors


def _dense_parts(sparse: Iterable[SparseTensorProto]) -> Iterator[TensorProto]:
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices


def parameter_count(model: ModelProto) -> int:
    """Elements of all initializers and Constant nodes, by their declared dimensions; sparse ones count their stored
    values."""
    graphs = [part for part in parts(model) if isinstance(part, GraphProto)]
    dense = sum(elements(tensor) for graph in graphs for tensor in graph.initializer)
    sparse = sum(elements(tensor.values) for graph in graphs for tensor in graph.sparse_initializer)
    return dense + sparse + sum(map(_constant_elements, _constants(model)))


def _constants(model: ModelProto) -> Iterator[NodeProto]:
    return (node for part in parts(model) for node in part.node if node.op_type == "Constant")


def _constant_elements(node: NodeProto) -> int:
    return sum(
        (elements(each.t) if each.HasField("t") else 0)
        + (elements(each.sparse_tensor.values) if each.HasField("sparse_tensor") else 0)
        + len(each.floats)
        + len(each.ints)
        for each in node.attribute
    )


def elements(tensor: TensorProto) -> int:
    return math.prod(int(dim) for dim in tensor.dims)


def sparse_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    """Runtimes write sparse tensors out."""
    for tensor in _sparse_tensors(model):
        if any(dim < 0 for dim in tensor.dims) or most_elements(tensor.dims) > MAX_ELEMENTS:
            message = f"sparse tensor {tensor.values.name!r} declares {list(tensor.dims)}"
            yield Problem(message=message, file=file, field=tensor.values.name, rule=SIZE_RULE)


def tensor_problem(tensor: TensorProto, file: str) -> Problem | None:
    """Why the tensor cannot be right: unknown type, impossible dimensions, or data of another size than declared."""
    rule = "data as large as the declared dimensions"
    label = f"tensor {tensor.name!r}" if tensor.name else "an unnamed tensor"
    if tensor.data_type not in DTYPES:
        message = f"{label} has the unknown data type {tensor.data_type}"
        return Problem(message=message, file=file, field=tensor.name, rule="a data type of ONNX")
    if len(tensor.dims) > MAX_RANK or any(dim < 0 for dim in tensor.dims):
        message = f"{label} declares impossible dimensions"
        return Problem(message=message, file=file, field=tensor.name, rule=f"0 to {MAX_RANK} axes, none negative")
    if 0 in tensor.dims and most_elements(tensor.dims) > MAX_ELEMENTS:
        message = f"{label} holds nothing and declares {list(tensor.dims)}"
        return Problem(message=message, file=file, field=tensor.name, rule=SIZE_RULE)
    if tensor.data_location == TensorProto.EXTERNAL or _holds_its_elements(tensor):
        return None
    return Problem(
        message=f"{label} does not hold {list(tensor.dims)} elements", file=file, field=tensor.name, rule=rule
    )


def _holds_its_elements(tensor: TensorProto) -> bool:
    count = elements(tensor)
    left, size = int(tensor.segment.begin), int(tensor.segment.end)  # 0 and 0 without a segment
    if left == RAW_DATA or tensor.HasField("raw_data"):
        return (size if left else len(tensor.raw_data)) == byte_size(tensor)
    # Typed fields: int32_data may pack several small elements into one number, and numbers have one byte at least.
    stored = size + sum(len(typed) for typed in _typed_data(tensor))
    return stored * 8 >= count if DTYPES[tensor.data_type][1] < 8 else stored >= count


def _typed_data(tensor: TensorProto) -> tuple[Sequence[object], ...]:
    return (
        tensor.float_data,
        tensor.int32_data,
        tensor.int64_data,
        tensor.string_data,
        tensor.double_data,
        tensor.uint64_data,
    )


def byte_size(tensor: TensorProto) -> int:
    """Bytes of the tensor's data as raw data, small types packed."""
    return (elements(tensor) * DTYPES[tensor.data_type][1] + 7) // 8


def external_problem(tensor: TensorProto, folder: Path, file: str) -> Problem | None:
    """Why the tensor's external data must not, or cannot, be read. `folder` holds the model file."""
    reference = {entry.key: entry.value for entry in tensor.external_data}
    location = reference.get("location", "")
    reason = _unsafe_location(location) or _missing(folder, location)
    if reason is None:
        reason = _outside(tensor, reference, (folder / location).stat().st_size)
    if reason is None:
        return None
    message = f"external data of tensor {tensor.name!r} at {location!r}: {reason}"
    rule = "external data is a regular file beside the model, holding the whole tensor"
    return Problem(message=message, file=file, field=tensor.name, rule=rule)


def shared_problem(model: ModelProto, folder: Path, file: str) -> Problem | None:
    """Why external data are larger in memory than their files let expect. All of them are known to be there."""
    outside = [tensor for tensor in stored_tensors(model) if tensor.data_location == TensorProto.EXTERNAL]
    locations = {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"}
    size, needed = sum((folder / name).stat().st_size for name in locations), sum(map(byte_size, outside))
    if needed <= SHARED * size:
        return None
    message = f"{len(outside):,} tensors need {needed:,} bytes of external data, the files have {size:,}"
    return Problem(
        message=message, file=file, field="external_data", rule=f"bytes are shared by at most {SHARED} tensors"
    )


def _unsafe_location(location: str) -> str | None:
    path = PurePosixPath(location)
    if not location or path == PurePosixPath():
        return "no location is given"
    if path.is_absolute() or "\\" in location or ":" in path.parts[0]:
        return "the location is not relative"
    if ".." in path.parts:
        return "the location leads out of the package"
    if any(ord(character) < 32 for character in location):
        return "the location holds control characters"
    if path.name.lower().endswith(_NO_DATA):
        return "the location is no data file"
    return None


def _missing(folder: Path, location: str) -> str | None:
    path = folder
    for segment in PurePosixPath(location).parts:
        path = path / segment
        try:
            mode = path.lstat().st_mode
        except OSError:
            return "there is no such file in the package"
        if stat.S_ISLNK(mode):
            return "it is a symbolic link"
    return None if stat.S_ISREG(mode) else "it is not a regular file"


def _outside(tensor: TensorProto, reference: dict[str, str], size: int) -> str | None:
    numbers = [reference.get("offset", "0"), reference.get("length", str(byte_size(tensor)))]
    if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers):
        return "offset and length must be whole numbers, not negative"
    offset, length = (int(number) for number in numbers)
    if not size:
        return "the file is empty"
    if offset + length > size:
        return f"bytes {offset} to {offset + length} are needed, the file has {size}"
    if length != byte_size(tensor) and DTYPES[tensor.data_type][1]:
        return f"length is {length}, the declared dimensions need {byte_size(tensor)}"
    return None
