"""One thing, fact by fact: what a table would do, but that ids, digests and places are never broken."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions
from rich.text import Text

_FOR_COPYING = re.compile(r"[!-~]+")
_ROOM_FOR_COPYING = 80  # columns; with fewer of them a digest has no room anyway
_GAP = 2


@dataclass(frozen=True)
class Facts:
    """Names on the left, values on the right. A word that is too long for its side is folded, but not what people copy
    with a mouse or cut out of a pipe."""

    title: str
    rows: Sequence[tuple[str, str]]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(self.title, style="bold")
        side = max((cell_len(name) for name, _ in self.rows), default=0) + _GAP
        for name, value in self.rows:
            first, *more = (line for part in value.split("\n") for line in _lines(part, side, options.max_width))
            room = len(first) - len(first.lstrip(" ")) - cell_len(name)
            head = name + " " * room + first.lstrip(" ") if room >= _GAP else f"{name}\n{first}"
            yield Text("\n".join([head, *more]))


def _lines(text: str, side: int, width: int) -> Iterator[str]:
    """Each with its place: a long word begins further left, as far as it must."""
    room, line = max(width - side, 1), ""
    if cell_len(text) <= room:
        yield " " * side + text
        return
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) <= room:
            line = f"{line} {word}"
            continue
        if line:
            yield " " * side + line
        line = word
        if cell_len(word) <= room:
            continue
        if width >= _ROOM_FOR_COPYING and _FOR_COPYING.fullmatch(word):
            yield " " * max(width - cell_len(word), 0) + word
            line = ""
            continue
        *full, line = chop_cells(word, room)
        yield from (" " * side + piece for piece in full)
    if line:
        yield " " * side + line
