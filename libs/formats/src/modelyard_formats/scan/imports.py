"""Files that break off behind an import: the module was run by then. Used by `scan.sniff` and `scan.content`.

Lists of words begin like that too (`cos`, `sin` is the module `os`), so of text only such modules count as do something
when they are imported.
"""

import contextlib
import io
import re

from modelyard_formats.pickle.reader import Allowance, Machine, Source, TooMuch, Unreadable
from modelyard_formats.pickle.rules import Audit, is_attack
from modelyard_formats.pickle.values import Global

_MOST = 10_000  # operations
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]*")
_RUNS = frozenset({"antigravity", "this"})


def runs_a_module(head: bytes) -> bool:
    """Whether its first bytes import one that is within reach wherever a model is loaded."""
    audit = Audit()
    with contextlib.suppress(Unreadable, TooMuch):
        Machine(Source(io.BytesIO(head), len(head)), audit, Allowance(_MOST), arrays=False).run()
    is_text = bool(_TEXT.fullmatch(head)) and _is_utf8(head)
    return any(_is_meant(each, is_text=is_text) for each in audit.unknown_names())


def _is_meant(what: Global, *, is_text: bool) -> bool:
    parts = [*what.module.split("."), *what.name.split(".")]
    if not all(part.isidentifier() for part in parts) or not is_attack(what):
        return False
    return not is_text or "." in what.module or what.module in _RUNS


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) > 2**15
    return True
