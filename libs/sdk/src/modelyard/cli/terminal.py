"""Where commands write: how wide, in colour or not, moving or not, and in which signs.

Each stream decides for itself when a command begins (`begin`, called by `app.main`), from what it is then and from
COLUMNS, TERM, NO_COLOR and FORCE_COLOR as they are then. Nothing is decided at import, so that tests can choose.
"""

import codecs
import shutil
import sys
from io import TextIOWrapper

from rich.console import Console
from typer import rich_utils

_SPOKEN = {"–": "-", "…": "...", "→": "->", "≥": ">=", "≤": "<=", "·": ".", "•": "*", "✓": "yes", "✗": "no"}


class Screen(Console):
    """With `soft_wrap` a sentence is one line, however narrow the terminal: paths and digests are for copying."""

    def begin(self) -> None:
        super().__init__(stderr=self.stderr, soft_wrap=self.soft_wrap)
        if self.is_dumb_terminal or not self.width:  # rich takes every dumb one for 80 columns wide
            self.size = shutil.get_terminal_size()
        # FORCE_COLOR alone asks for colour, in a log file too; only who sits before it wants to see things move.
        self.is_interactive = self.is_interactive and self.is_watched

    @property
    def is_watched(self) -> bool:
        return self.file.isatty()

    @property
    def is_unicode(self) -> bool:
        return self.encoding.startswith("utf")


def begin(*screens: Screen) -> None:
    for stream in (sys.stdout, sys.stderr):
        # Before the first byte is written: a sign that the encoding does not have must not end the command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_DEGRADE)
    # typer looked at import; with None its help and its errors look now, as the screens do.
    rich_utils.FORCE_TERMINAL = rich_utils.MAX_WIDTH = None
    for screen in screens:
        screen.begin()


def _degrade(error: UnicodeError) -> tuple[str, int]:
    """Our own signs in words, those of others as question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SPOKEN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


_DEGRADE = "modelyard"
codecs.register_error(_DEGRADE, _degrade)
