"""The bytes of a pickle, read as loaders read them: bulk stays in the file, and frames mean what they mean to each.

Python's own unpickler, joblib's with it, and the C one disagree on what comes next once a frame (PEP 3154) is not used
up where an operation ends: what one drops another one executes. No pickler writes that, so it is refused as `Torn`.
"""

from typing import BinaryIO

from modelyard_formats.pickle.values import Left

KEEP = 1024  # bytes and texts up to this size are kept
MAX_LINE = 2**16
_CHUNK = 2**16


class Unreadable(Exception):
    """The bytes are no pickle from here on; the text says why."""


class Torn(Unreadable):
    """Loaders disagree on how it goes on from here."""


class Source:
    """`file` up to byte `size`, from byte `offset` on."""

    def __init__(self, file: BinaryIO, size: int, offset: int = 0) -> None:
        self._file = file
        self._size = size
        self._frame: int | None = None
        self._go_to(offset)

    @property
    def offset(self) -> int:
        return self._start + self._at

    def _go_to(self, offset: int) -> None:
        """`_buffer` lies at byte `_start` of the file; up to its index `_sure` nothing can be in the way."""
        self._file.seek(offset)
        self._buffer = self._file.read(min(_CHUNK, max(0, self._size - offset)))
        self._start, self._at = offset, 0
        self._limit()

    def _limit(self) -> None:
        self._sure = len(self._buffer)
        if self._frame is not None:
            self._sure = max(0, min(self._sure, self._frame - self._start))

    def byte(self) -> int:
        at = self._at
        if at >= self._sure:
            self._need(1)
            at = self._at
        self._at = at + 1
        return self._buffer[at]

    def read(self, count: int) -> bytes:
        at, end = self._at, self._at + count
        if end > self._sure or count > KEEP:
            self._need(count)
            if count > KEEP:
                return self._leave(count)
            at, end = self._at, self._at + count
        self._at = end
        return self._buffer[at:end]

    def _need(self, count: int) -> None:
        """Have `count` bytes in the buffer if they are few, or know that they are there. Raises `Unreadable`."""
        offset = self.offset
        if count and self._frame == offset:
            self._frame = None
        if self._frame is not None and offset + count > self._frame and self._frame < self._size:
            raise Torn(f"what begins at byte {offset:,} does not end within its frame")
        if count > self._size - offset:
            raise Unreadable(f"{count:,} bytes are announced at byte {offset:,}, the end is at {self._size:,}")
        if count <= KEEP:
            self._go_to(offset)
            if count > len(self._buffer):
                raise Unreadable(f"the file ends early, at byte {offset + len(self._buffer):,}")

    def _leave(self, count: int) -> Left:
        left = Left()
        left.offset, left.extent = self.offset, count
        self._go_to(left.offset + count)
        return left

    def line(self) -> bytes:
        """Without its end; a long one is `Left`. The Python unpickler takes the last byte of the file for an end."""
        end = self._buffer.find(b"\n", self._at, self._sure)
        if 0 <= end <= self._at + MAX_LINE:
            line = self._buffer[self._at : end]
            self._at = end + 1
            return line
        return self._long_line()

    def _long_line(self) -> bytes:
        begin, count = self.offset, 0
        while True:
            part = self._part_of_line()
            count += len(part)
            if not part or part.endswith(b"\n"):
                break
        if not count:
            raise Unreadable(f"a line is missing at byte {begin:,}, the end of the file")
        end = self.offset
        if count <= MAX_LINE:
            self._file.seek(begin)
            return self._file.read(count - 1)
        left = Left()
        left.offset, left.extent = begin, count - 1
        self._go_to(end)
        return left

    def _part_of_line(self) -> bytes:
        """Up to the line's end, or as much of it as the buffer holds; empty at the end of the file."""
        if self._at >= self._sure:
            if self._frame == self.offset:
                self._frame = None
            self._go_to(self.offset)
        end = self._buffer.find(b"\n", self._at, self._sure)
        stop = self._sure if end < 0 else end + 1
        part = self._buffer[self._at : stop]
        self._at = stop
        if end < 0 and self._frame == self.offset and self._frame < self._size:
            raise Torn(f"the line at byte {self.offset:,} does not end within its frame")
        return part

    def begin(self) -> None:
        """A pickle of its own: no frame is left from what came before."""
        self._frame = None
        self._limit()

    def frame(self, size: int) -> None:
        """The Python unpickler is content with a frame that is cut off by the end of the file."""
        self.leave_frame()
        self._frame = min(self.offset + size, self._size)
        self._limit()

    def leave_frame(self) -> None:
        """Go on behind the frame, where the Python unpickler's file stands. Raises `Torn` when some of it is left."""
        if self._frame is not None and self._frame != self.offset:
            raise Torn(f"the frame that ends at byte {self._frame:,} is left at byte {self.offset:,}")
        self.begin()

    def skip(self, count: int) -> None:
        if count > self._size - self.offset:
            raise Unreadable(f"an array of {count:,} bytes goes past the end")
        self._go_to(self.offset + count)
