"""Message classes for the few fields of a protobuf schema that inspecting reads, made from a table.

The frameworks that own these schemas are hundreds of megabytes; what is needed of them are field numbers. Fields that
the table does not name are kept as unknown and never looked at. Used by the TensorFlow, Caffe and MindSpore formats.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]  # no types
from google.protobuf.message import Message  # type: ignore[import-untyped]  # as above

Table = Mapping[str, Mapping[str, tuple[int, str]]]
"""Message → field → (number, type). A type is a scalar's name, a message of the table, or `repeated` one of both."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_FIELD, f"TYPE_{name.upper()}")
    for name in ("string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "float", "double")
}


def messages(package: str, table: Table) -> dict[str, type[Message]]:
    """`package` must be new in this process. Enums are int32 on the wire. Map fields are repeated entries of key and
    value. Proto2 rules apply: a scalar that is missing can be told from one that is zero."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for name, fields in table.items():
        made = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add(made, package, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in table}


def _add(message: Any, package: str, field: str, number: int, kind: str) -> None:
    repeated, kind = kind.startswith("repeated "), kind.removeprefix("repeated ")
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    if kind in _SCALARS:
        message.field.add(name=field, number=number, label=label, type=_SCALARS[kind])
    else:
        type_name = f".{package}.{kind}"
        message.field.add(name=field, number=number, label=label, type=_FIELD.TYPE_MESSAGE, type_name=type_name)
