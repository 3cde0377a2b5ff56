"""TensorFlow's protobuf files as messages, without bulk, and what a graph says. Used by both TensorFlow formats.

Texts are bytes on purpose: a hostile name need not be UTF-8.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import Message  # type: ignore[import-untyped]  # protobuf ships no types

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, TensorSpec
from modelyard_formats.errors import BadSource
from modelyard_formats.expansion import Body, expansion_problems
from modelyard_formats.format import MAX_RANK, UNKNOWN_RANK
from modelyard_formats.kinds.tensorflow.bulk import KINDS
from modelyard_formats.pickle.rules import Severity
from modelyard_formats.wire.protobuf_file import Schema, read_protobuf, text
from modelyard_formats.wire.protobuf_messages import messages

MESSAGES = messages(
    "modelyard.tensorflow",
    {
        "SavedModel": {"meta_graphs": (2, "repeated MetaGraph")},
        "MetaGraph": {
            "info": (1, "MetaInfo"),
            "graph": (2, "Graph"),
            "signatures": (5, "repeated SignatureEntry"),
            "objects": (7, "Objects"),
        },
        "MetaInfo": {"tags": (4, "repeated bytes"), "version": (5, "bytes")},
        "SignatureEntry": {"key": (1, "bytes"), "value": (2, "Signature")},
        "Signature": {
            "inputs": (1, "repeated TensorEntry"),
            "outputs": (2, "repeated TensorEntry"),
            "method": (3, "bytes"),
        },
        "TensorEntry": {"key": (1, "bytes"), "value": (2, "TensorInfo")},
        "TensorInfo": {"name": (1, "bytes"), "dtype": (2, "int32"), "shape": (3, "Shape")},
        "Shape": {"dim": (2, "repeated Dim"), "unknown_rank": (3, "bool")},
        "Dim": {"size": (1, "int64"), "name": (2, "bytes")},
        "Objects": {"nodes": (1, "repeated Object")},
        "Object": {"user": (4, "UserObject")},
        "UserObject": {"identifier": (1, "bytes"), "metadata": (3, "bytes")},
        "Graph": {"node": (1, "repeated Node"), "library": (2, "Library"), "versions": (4, "Versions")},
        "Versions": {"producer": (1, "int32")},
        "Library": {"function": (1, "repeated Function")},
        "Function": {"signature": (1, "Operator"), "node": (3, "repeated Node")},
        "Operator": {"name": (1, "bytes")},
        "Node": {
            "name": (1, "bytes"),
            "op": (2, "bytes"),
            "input": (3, "repeated bytes"),
            "attr": (5, "repeated AttributeEntry"),
        },
        "AttributeEntry": {"key": (1, "bytes"), "value": (2, "Attribute")},
        "Attribute": {
            "list": (1, "List"),
            "s": (2, "bytes"),
            "type": (6, "int32"),
            "shape": (7, "Shape"),
            "tensor": (8, "Tensor"),
            "func": (10, "Called"),
        },
        "List": {"shape": (7, "repeated Shape"), "type": (6, "repeated int32"), "func": (9, "repeated Called")},
        "Called": {"name": (1, "bytes")},
        "Tensor": {"dtype": (1, "int32"), "shape": (2, "Shape")},
        "KerasMetadata": {"nodes": (1, "repeated KerasNode")},
        "KerasNode": {"identifier": (4, "bytes"), "metadata": (5, "bytes")},
        "BundleHeader": {"shards": (1, "int32")},
        "BundleEntry": {
            "dtype": (1, "int32"),
            "shape": (2, "Shape"),
            "shard": (3, "int32"),
            "offset": (4, "int64"),
            "size": (5, "int64"),
        },
    },
)
# types.proto: DataType → numpy's or ml_dtypes' name.
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "object", 8: "complex64", 9: "int64",
    10: "bool", 11: "qint8", 12: "quint8", 13: "qint32", 14: "bfloat16", 15: "qint16", 16: "quint16", 17: "uint16",
    18: "complex128", 19: "float16", 20: "resource", 21: "variant", 22: "uint32", 23: "uint64", 24: "float8_e5m2",
    25: "float8_e4m3fn", 29: "int4", 30: "uint4",
}  # fmt: skip
WEIGHTS = frozenset({1, 2, 14, 19, 24, 25, *(3, 4, 5, 6, 9, 11, 12, 13, 15, 16, 17, 22, 23, 29, 30)})

# What reaches beyond the model when the graph runs: the host's files, its Python, the network.
_DANGEROUS = ("ReadFile", "WriteFile")
_FILES = (
    "CreateSummaryFileWriter", "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "GenerateVocabRemapping",
    "LMDBDataset", "LoadDataset", "MatchingFiles", "Save", "SaveDataset", "SaveDatasetV2", "SaveSlices",
    "SnapshotDataset", "SnapshotDatasetV2", "TFRecordDataset", "TFRecordDatasetV2", "TFRecordReader",
    "TFRecordReaderV2", "TextLineDataset", "TextLineReader", "TextLineReaderV2", "WholeFileReader",
    "WholeFileReaderV2", "WriteSummary",
)  # fmt: skip
_CODE = ("EagerPyFunc", "PyFunc", "PyFuncStateless")
_NETWORK = ("DataServiceDataset", "DataServiceDatasetV2", "RpcCall", "RpcClient", "RpcServer")
_REASONS: tuple[tuple[tuple[str, ...], Severity, str, str], ...] = (
    (_DANGEROUS, "dangerous", "tensorflow-file-access", "reads or writes any file of the host; export without it"),
    (_FILES, "suspicious", "tensorflow-file-access", "reads or writes files of the host when it runs"),
    (_CODE, "suspicious", "tensorflow-python", "calls Python code that is not in the graph"),
    (_NETWORK, "suspicious", "tensorflow-network", "talks to other machines when it runs"),
)


def read_message(path: Path, name: str, kind: str) -> Any:
    """The message of type `kind` in `path`, called `name` in errors. Raises `BadSource`."""
    return read_protobuf(path, name, Schema(KINDS, MESSAGES, kind, f"TensorFlow {KINDS[kind].name}"))


def nodes(graph: Message) -> Iterator[Any]:
    """Of the graph and of all its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node


def refuse_endless(graphs: Sequence[Message], file: str) -> None:
    """Raises `BadSource` for functions that call each other in a circle, or become too much when written out."""
    problems: list[Problem] = []
    for graph in graphs:
        functions = {each.signature.name: each for each in graph.library.function}
        bodies = {name: _body(part, functions) for name, part in {b"": graph, **functions}.items()}
        if len(bodies) <= len(graph.library.function):
            message = f"{file} holds two functions of one name, or one without"
            problems.append(
                Problem(message=message, file=file, field="library", rule="every function once, with a name")
            )
        problems += expansion_problems(bodies, file, lambda name: text(name) if name else "graph")  # type: ignore[arg-type]  # our own keys
    if problems:
        raise BadSource(problems)


def _body(part: Any, functions: Mapping[bytes, Any]) -> Body[bytes]:
    """A node calls the function of its operator's name, and those that its attributes name."""
    calls = [(name, 0) for node in part.node for name in (node.op, *_called(node)) if name in functions]
    return Body(sum(node.op not in functions for node in part.node), calls)


def _called(node: Any) -> Iterator[bytes]:
    for entry in node.attr:
        yield from (each.name for each in (entry.value.func, *entry.value.list.func) if each.name)


def operators(graphs: Iterable[Message]) -> dict[str, int]:
    return dict(sorted(Counter(text(node.op) for graph in graphs for node in nodes(graph)).items()))


def operator_findings(graphs: Sequence[Message], file: str) -> tuple[Finding, ...]:
    """Operators that reach beyond the model, each kind once."""
    used = operators(graphs)
    found = [
        Finding(file=file, severity=severity, rule=rule, message=f"operator {name} ({used[name]}×) {reason}")
        for names, severity, rule, reason in _REASONS
        for name in names
        if name in used
    ]
    if any(_prints_to_file(node) for graph in graphs for node in nodes(graph)):
        message = "operator PrintV2 writes to a file of the host; export without it"
        found.append(Finding(file=file, severity="dangerous", rule="tensorflow-file-access", message=message))
    return tuple(found)


def reach_of(operator: str) -> tuple[Severity, str, str] | None:
    """How bad it is that a model uses this operator of TensorFlow: severity, rule and reason; None when it is not."""
    return next((row[1:] for row in _REASONS if operator in row[0]), None)


def _prints_to_file(node: Any) -> bool:
    return node.op == b"PrintV2" and bool(attribute(node, b"output_stream").s.startswith(b"file:"))


def attribute(node: Any, name: bytes) -> Any:
    """An empty one when the node has none of that name."""
    return next((entry.value for entry in node.attr if entry.key == name), MESSAGES["Attribute"]())


def spec(name: str, dtype: int, shape: Any | None) -> TensorSpec:
    return TensorSpec(name=name, dtype=DTYPES.get(dtype, "undefined"), shape=axes(shape))


def axes(shape: Any | None) -> tuple[int | str | None, ...]:
    if shape is None or shape.unknown_rank or len(shape.dim) > MAX_RANK:
        return UNKNOWN_RANK
    return tuple(dim.size if dim.size >= 0 else text(dim.name) or None for dim in shape.dim)


def elements(shape: Any) -> int:
    """0 for a shape that is not fully known, or impossible."""
    sizes = [dim.size for dim in shape.dim]
    unknown = shape.unknown_rank or len(sizes) > MAX_RANK or any(size < 0 for size in sizes)
    return 0 if unknown else math.prod(sizes)
