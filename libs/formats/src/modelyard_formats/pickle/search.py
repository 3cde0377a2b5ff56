"""Where a pickle may begin among bytes that are none: behind another one, or behind what no loader reads.

By its first operation, PROTO, or by an import as the text protocols and protocol 4 write it. Used by `scan.pickles`.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK = 2**20
_OVERLAP = 512
_WORD = rb"[\w.-]{1,200}"
_TEXT = rb"(?:\x8c.|X.\0\0\0|U.)" + _WORD + rb"(?:\x94|q.|p\d+\n|)"
_BEGIN = re.compile(
    rb"\x80[\x00-\x05][()\]}BCFGIJKLMNPSTUVX\x88-\x8f\x95\x96c]"
    rb"|[ci]" + _WORD + rb"\n" + _WORD + rb"\n"
    rb"|" + _TEXT + _TEXT + rb"\x93",
    re.DOTALL,
)  # fmt: skip


def beginnings(file: BinaryIO, begin: int, size: int) -> Iterator[int]:
    """Offsets from `begin` on, each once, in order; `file` may be read elsewhere between them."""
    last = begin - 1
    while begin < size:
        file.seek(begin)
        data = file.read(min(_CHUNK + _OVERLAP, size - begin))
        if not data:
            return
        for match in _BEGIN.finditer(data):
            if last < begin + match.start():
                last = begin + match.start()
                yield last
        begin += _CHUNK
