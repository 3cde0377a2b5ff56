"""Which font draws names in a PNG, and what to write when none can.

A plain machine has no font with Chinese characters, and matplotlib brings none. SVG plots keep their text as text, so
the reader's browser finds a font (`SVG_FAMILIES`). A PNG needs one here: the first installed font that has every
character is taken; without one the names become numbers and the result's `plots` says so. Used by the tasks' plots.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from matplotlib import font_manager

SVG_FAMILIES: Final = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei",
    "WenQuanYi Micro Hei", "sans-serif",
)  # fmt: skip
_PLAIN: Final = "DejaVu Sans"  # comes with matplotlib
_WANTED: Final = (*SVG_FAMILIES[1:-1], "WenQuanYi Zen Hei", "SimHei", "Droid Sans Fallback", "Arial Unicode MS")


@dataclass(frozen=True, slots=True)
class Naming:
    """`names`: what to write for each; `families`: fonts to draw it with; `numbered`: the names could not be
    drawn and are numbers now."""

    names: tuple[str, ...]
    families: tuple[str, ...]
    numbered: bool = False


def for_svg(names: Sequence[str]) -> Naming:
    """Names as they are. matplotlib's complaints about families it has not are of no use here and are silenced."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.CRITICAL)
    return Naming(tuple(names), SVG_FAMILIES)


def for_png(names: Sequence[str]) -> Naming:
    needed = frozenset("".join(names))
    for family in _candidates():
        if needed <= _characters(family):
            return Naming(tuple(names), (family,))
    return Naming(tuple(f"#{index}" for index in range(len(names))), (_PLAIN,), numbered=True)


def _candidates() -> Iterable[str]:
    """The plain font, then known Chinese ones, then whatever else is installed."""
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    known = [family for family in _WANTED if family in installed]
    others = sorted(family for family in installed - set(known) if "CJK" in family or "Hei" in family)
    return (_PLAIN, *known, *others)


@cache
def _characters(family: str) -> frozenset[str]:
    path = font_manager.findfont(family, fallback_to_default=False)
    return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
