"""Where a pickle may begin among bytes that are none: behind another one, or behind what no loader reads.

By its first operation, PROTO, or by an import as the text protocols and protocol 4 write it. Used by `scan.pickles`.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from modelyard_formats.pickle.reader import Allowance

_CHUNK = 2**20
_OVERLAP = 512
_LINE = rb"[\w.-]{1,200}+\n"
_TOLD = rb"[\w.-]{1,200}(?:\x94|q.|p\d+\n|)"
_TEXT = rb"(?:\x8c.|X.\0\0\0|U.)" + _TOLD
# One byte is taken and the others only looked at: the next beginning may be among them.
_BEGIN = (
    rb"\x80(?=[\x00-\x05][()\]}BCFGIJKLMNPSTUVX\x88-\x8f\x95\x96c])"
    rb"|[ci](?=" + _LINE + _LINE + rb")"
    rb"|(?:[\x8cU](?=." + _TOLD + _TEXT + rb"\x93)|X(?=.\0\0\0" + _TOLD + _TEXT + rb"\x93))"
)  # fmt: skip
_ANYWHERE = re.compile(_BEGIN, re.DOTALL)
_WITH_TEXTS = re.compile(rb"\((?=S['\"]|V[ -~]|[XT].\0\0\0|[U\x8c].)|" + _BEGIN, re.DOTALL)
_A_GLANCE = 10  # operations that cost as much
_LETTERS = 20  # that may begin a line, for each operation


def beginnings(file: BinaryIO, begin: int, size: int, allowance: Allowance, *, texts: bool = False) -> Iterator[int]:
    """Offsets from `begin` on, each once, in order; `file` may be read elsewhere between them. Raises `TooMuch`.

    `texts`: also a mark before the texts that INST calls something with.
    """
    last, pattern = begin - 1, _WITH_TEXTS if texts else _ANYWHERE
    while begin < size:
        file.seek(begin)
        data = file.read(min(_CHUNK + _OVERLAP, size - begin))
        if not data:
            return
        allowance.spend((data.count(b"c") + data.count(b"i")) // _LETTERS)
        for match in pattern.finditer(data):
            if last < begin + match.start():
                last = begin + match.start()
                allowance.spend(_A_GLANCE)
                yield last
        begin += _CHUNK
