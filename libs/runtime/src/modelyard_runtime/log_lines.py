"""Lines out of a pipe that an untrusted program writes into: live, each of bounded length, bounded altogether.

Called by `subprocesses`. Pure: bytes in, lines out.
"""

from collections.abc import Iterator

_ENDS = b"\r\n"  # progress bars end their lines with a carriage return


class LogLines:
    """Feed it chunks; it yields finished lines as text that is safe to show (no control characters)."""

    def __init__(self, line_bytes: int, log_bytes: int) -> None:
        self._line_bytes = line_bytes
        self._left = log_bytes
        self._said_full = False
        self._line = bytearray()
        self._cut = False

    def feed(self, chunk: bytes) -> Iterator[str]:
        for piece in chunk.replace(_ENDS, b"\n").replace(b"\r", b"\n").splitlines(keepends=True):
            text = piece.removesuffix(b"\n")
            room = self._line_bytes - len(self._line)
            self._line += text[:room]
            self._cut |= len(text) > room
            if piece.endswith(b"\n"):
                yield from self.end()

    def end(self) -> Iterator[str]:
        """What is left when the pipe is closed."""
        line, self._line = bytes(self._line), bytearray()
        cut, self._cut = self._cut, False
        if not line.strip() or self._said_full:
            return
        self._left -= len(line)
        if self._left < 0:
            self._said_full = True
            yield "… the log is full; later lines are not kept"
            return
        yield _printable(line) + ("…" if cut else "")


def _printable(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() or sign == "\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
