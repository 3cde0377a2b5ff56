"""Operators that run code or reach files, in graphs that no inspector has read: of another type than the package says,
or beside its model. Called by `scan.content`.

Operators are found by how protobuf and flatbuffers write their names, so it does not matter what holds them.
"""

import re
from collections.abc import Iterator

from modelyard_formats.pickle.rules import Severity
from modelyard_formats.scan.names import SMALL, is_model_format
from modelyard_formats.scan.search import Part, Search

_CHUNK, _OVERLAP = 2**20, 256
_DANGEROUS = ("WriteFile", "ReadFile", "PyOp", "FlexWriteFile", "FlexReadFile", "Python")
_SUSPICIOUS = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "FlexPyFunc", "FlexEagerPyFunc")
# As a field of a node (TensorFlow's and Caffe's second, ONNX's fourth), or with its length in four bytes.
_BINARY = {
    name.encode(): re.compile(b"(?:[\x12\x22]%c|%c\0\0\0)%b(?![A-Za-z])" % (len(name), len(name), name.encode()))
    for name in (*_DANGEROUS, *_SUSPICIOUS)
}
_PRINTS = re.compile(rb"output_stream\x12.\x12.file:", re.DOTALL)
_WRITTEN = re.compile(rb"\b(?:op|type)\s{0,9}:\s{0,9}[\"'](\w{4,20})[\"']")
_TEXTS = (".prototxt", ".pbtxt", ".txtpb")


def scan_operators(part: Part, search: Search) -> None:
    if part.size > SMALL and not is_model_format(part.name):
        return
    names = {name for data in _pieces(part) for name in _used(data, written=part.name.lower().endswith(_TEXTS))}
    for name in sorted(names):
        severity: Severity = "suspicious" if name in _SUSPICIOUS else "dangerous"
        message = (
            f"operator {name} runs code or reaches any file of the host, whatever runs the graph; export without it"
        )
        search.found(severity, "graph-code", message, part.inside)


def _used(data: bytes, *, written: bool) -> Iterator[str]:
    for name, pattern in _BINARY.items():
        if name in data and pattern.search(data):
            yield name.decode()
    if _PRINTS.search(data):
        yield "PrintV2"
    if written:
        yield from (name for name in map(bytes.decode, _WRITTEN.findall(data)) if name.encode() in _BINARY)


def _pieces(part: Part) -> Iterator[bytes]:
    part.file.seek(0)
    before = b""
    while chunk := part.file.read(_CHUNK):
        yield before + chunk
        before = chunk[-_OVERLAP:]
