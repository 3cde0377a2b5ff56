"""Read the structure of a protobuf file, without its bulk. Used by the TensorFlow, Caffe and MindSpore formats."""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]  # protobuf ships no types

from modelyard_formats.errors import bad_source
from modelyard_formats.wire.protobuf_scan import Condenser, Kind, Malformed

MAX_FILE = 2**31 - 1  # protobuf's own limit


@dataclass(frozen=True, slots=True)
class Schema:
    """`root` is the message of both tables that is read; `what` names it to people."""

    kinds: Mapping[str, Kind]
    messages: Mapping[str, type[Message]]
    root: str
    what: str


def read_protobuf(path: Path, name: str, schema: Schema, start: int = 0, stop: int | None = None) -> Any:
    """The message in bytes `start` to `stop` of a file that is called `name` in errors. Raises `BadSource`."""
    rule = f"a complete {schema.what} of at most 2 GiB"
    size = path.stat().st_size
    stop = size if stop is None else stop
    if not 0 <= start < stop <= size or stop - start > MAX_FILE:
        raise bad_source(f"{name} has no {schema.what} of {stop - start:,} bytes", file=name, rule=rule)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            condensed = Condenser(data, schema.kinds).condense(schema.root, start, stop)
        return schema.messages[schema.root].FromString(condensed)
    except (Malformed, DecodeError) as error:
        raise bad_source(f"{name} is truncated or no {schema.what}: {error}", file=name, rule=rule) from error


def text(value: bytes) -> str:
    """Texts are read as bytes on purpose: a hostile name need not be UTF-8."""
    return value.decode(errors="backslashreplace")
