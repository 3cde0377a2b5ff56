"""HDF5 files, in which Keras keeps its layers as JSON and PyTables its objects as pickles. Called by `scan.content`.

HDF5's own structure is not followed, so the file stays odd. But attributes lie in one piece and are never compressed:
JSON and pickles are found by their text, JSON also where its letters are written as escapes.
"""

import re
from collections.abc import Iterator

from modelyard_formats.pickle.reader import TooMuch
from modelyard_formats.pickle.search import beginnings
from modelyard_formats.scan.opcodes import Reach, reach
from modelyard_formats.scan.pickles import scan_pickles
from modelyard_formats.scan.schema import judge_names
from modelyard_formats.scan.search import Part, Search
from modelyard_formats.scan.sniff import HDF5, HEAD, hdf5_starts
from modelyard_formats.wire.archive_bytes import window

MAX_LOOKS = 200
_CHUNK = 2**20
_OVERLAP = 2**13
_BLANKS = re.compile(rb"[ \t\r\n]{2,}+")
_LOOK = 50  # operations that cost as much
_TEXT = re.compile(rb"[\t\n\r -~]{20,}")
_ANCHORS = (b"class_name", b"module", b"\\u00")  # of what is searched for, however it is written
_ESCAPE = re.compile(rb"\\+u00([2-7][0-9a-fA-F])")
_LAMBDA = re.compile(rb"class_name\\*\" ?: ?\\*\"(?:__lambda__|Lambda|TorchModuleWrapper)\\*\"")
_VALUE = rb"\\*\" ?: ?\\*\"([\w.]+)\\*\""
_MODULE, _CONFIG = re.compile(rb"\bmodule" + _VALUE), re.compile(rb"\bconfig" + _VALUE)


def is_hdf5(part: Part) -> bool:
    for start in hdf5_starts(part.size):
        part.file.seek(start)
        if part.file.read(len(HDF5)) == HDF5:
            return True
    return False


def scan_hdf5(part: Part, search: Search) -> None:
    message = "an HDF5 file can hold Keras layers with Python code; save the model as .keras, which can be checked"
    search.found("suspicious", "hdf5-unchecked", message, part.inside)
    for data in _overlapping(part):
        if any(anchor in data for anchor in _ANCHORS):
            for text in _TEXT.finditer(data):
                _judge_text(text[0], part, search)
    try:
        few = _judge_pickles(part, search)
    except TooMuch:
        few = False
    if not few:
        message = "bytes in it look like more pickles than can be read; save the model as .keras"
        search.found("dangerous", "pickle-too-large", message, part.inside)


def _judge_pickles(part: Part, search: Search) -> bool:
    """Whether there are few enough to judge all. Raises `TooMuch`."""
    looks = MAX_LOOKS
    for start in beginnings(part.file, 0, part.size, search.allowance, texts=True):
        looks -= _judge_pickle(part, start, search)
        if looks < 0:
            return False
    return True


def _overlapping(part: Part) -> Iterator[bytes]:
    """The file in pieces, each with the end of the one before it. Blanks are one: JSON may have millions of them."""
    part.file.seek(0)
    before = b""
    while chunk := part.file.read(_CHUNK):
        data = _BLANKS.sub(b" ", before + chunk)
        yield data
        before = data[-_OVERLAP:]


def _judge_text(text: bytes, part: Part, search: Search) -> None:
    plain = b" ".join(_ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), text).split())
    if _LAMBDA.search(plain):
        message = "a Lambda layer holds Python code; write it as a registered layer"
        search.found("dangerous", "keras-lambda", message, part.inside)
    modules, configs = ({found.decode() for found in kind.findall(plain)} for kind in (_MODULE, _CONFIG))
    judge_names(modules, configs, search, part.inside)


def _judge_pickle(part: Part, start: int, search: Search) -> bool:
    """Whether it took more than a glance."""
    size = part.size - start
    for count in (min(64, size), min(HEAD, size)):  # most are chance, which ends at once
        search.allowance.spend(_LOOK if count > 64 else 0)
        part.file.seek(start)
        if reach(part.file.read(count), size) is not Reach.CALLS:
            return count == min(HEAD, size)
    with window(part.file, start, size) as rest:
        scan_pickles(Part(rest, size, "", part.inside), search, is_pickle=False)
    return True
