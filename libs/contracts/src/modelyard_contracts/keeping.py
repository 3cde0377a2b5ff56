"""What every document store keeps, and so what may be said at all: refused where it enters, the same everywhere.

Used by the stores for whole documents, by admission and gateway for what comes from outside.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

DEEPEST: Final = 90
"""Levels of a document: MongoDB keeps a hundred."""
INTEGERS: Final = range(-(2**63), 2**63)
_REPLACEMENT: Final = "\ufffd"
Path = tuple[str | int, ...]
Misfit = tuple[Path, str, str]
"""Where, what is wrong, and the rule."""


def misfits(value: Any, deepest: int = DEEPEST) -> Iterator[Misfit]:
    """Every place in JSON values that no store keeps. What lies deeper than `deepest` is not looked at."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        if not isinstance(here, dict | list | tuple):
            if wrong := misfit(here):
                yield path, *wrong
            continue
        if len(path) >= deepest:
            yield path, f"nested deeper than {deepest} levels", f"at most {deepest} levels"
            continue
        pairs: list[tuple[Any, Any]] = list(here.items() if isinstance(here, dict) else enumerate(here))
        waiting.extend(((*path, name), inner) for name, inner in reversed(pairs))
        for name, _ in pairs if isinstance(here, dict) else ():
            if wrong := misfit(name):
                yield (*path, name), *wrong


def too_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Cheaper than all `misfits`."""
    level, depth = [value], 0
    while level and depth < deepest:
        inner = (each for here in level for each in (here.values() if isinstance(here, dict) else here))
        level, depth = [each for each in inner if isinstance(each, dict | list | tuple)], depth + 1
    return bool(level)


def misfit(value: Any) -> tuple[str, str] | None:
    """What is wrong with one value that holds no others, and the rule."""
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number", "finite number"
    if isinstance(value, int) and value not in INTEGERS:
        return "an integer of more than 64 bits", "64-bit integer"
    return None


def dotted(path: Path) -> str:
    return shown(".".join(map(str, path)))[:300]


def shown(text: str) -> str:
    """For people: what cannot be kept is replaced."""
    return text.replace("\x00", _REPLACEMENT).encode(errors="surrogatepass").decode(errors="replace")


def _of_text(text: str) -> tuple[str, str] | None:
    if "\x00" in text:
        return "the character U+0000 cannot be stored", "text without U+0000"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "half of a surrogate pair is no character", "Unicode text"
    return None


Shown = Annotated[str, BeforeValidator(lambda text: shown(text) if isinstance(text, str) else text)]
"""Text that people read and nobody looks anything up by."""
