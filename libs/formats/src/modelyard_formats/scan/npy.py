"""NumPy's `.npy`: an array of objects is a pickle. Called by `scan.content`; the header is read as text only."""

import re

from modelyard_formats.scan.pickles import scan_pickles
from modelyard_formats.scan.search import Part, Search
from modelyard_formats.wire.archive_bytes import window

MAGIC = b"\x93NUMPY"
MAX_HEADER = 2**16
_DESCRIPTION = re.compile(r"'descr'\s*:(.*?)'fortran_order'\s*:", re.DOTALL)
_PLAIN = re.compile(r"""[^\\'"]*(?:'[^\\'"]*'[^\\'"]*)*""")
_OBJECT = re.compile(r"'[|<>=]?O\d*'")


def scan_npy(part: Part, search: Search) -> None:
    part.file.seek(0)
    head = part.file.read(12)
    width = 4 if head[6:7] >= b"\x02" else 2
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width + length
    part.file.seek(8 + width)
    header = part.file.read(min(length, MAX_HEADER)).decode("utf-8", "replace")
    found = _DESCRIPTION.search(header)
    # Text that NumPy would take for Python, but not one that NumPy writes, may say anything.
    known = found is not None and length <= MAX_HEADER and start <= part.size and _PLAIN.fullmatch(header) is not None
    if known and found is not None and not _OBJECT.search(found[1]):
        return
    if known:
        message = "an array of Python objects is a pickle: store numbers, or text of fixed length"
        search.found("suspicious", "numpy-objects", message, part.inside)
    else:
        search.found("suspicious", "numpy-header", "its header does not say which type the array has", part.inside)
    rest = max(0, part.size - start)
    with window(part.file, start, rest) as content:
        scan_pickles(Part(content, rest, part.name, part.inside), search, is_pickle=known)
