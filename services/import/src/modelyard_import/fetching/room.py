"""Room on the local disk for what inspection reads, shared by all packages that are being fetched. Used by `bring`.

Files that are read go to disk, never to memory; `TMPDIR` must therefore lie on a disk.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from modelyard_import.errors import PackageTooLarge

KEPT_FREE: Final = 256 << 20
"""Bytes that stay free on the disk: others live there as well."""


class Room:
    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._taken = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def take(self, size: int) -> AsyncIterator[None]:
        """`size` bytes until the block ends. Waits while other packages hold what is needed.

        Raises PackageTooLarge when it does not fit although nobody else holds any.
        """
        async with self._freed:
            while not self._fits(size):
                if self._taken == 0:
                    message = f"inspection has to read {size} bytes, and the worker's disk has not so much room"
                    raise PackageTooLarge(message, rule="what inspection reads fits the worker's temporary folder")
                await self._freed.wait()
            self._taken += size
        try:
            yield
        finally:
            async with self._freed:
                self._taken -= size
                self._freed.notify_all()

    def _fits(self, size: int) -> bool:
        """What others took counts in full, whether it is written by now or not: better to wait than to fill a disk."""
        return size == 0 or self._taken + size + KEPT_FREE <= shutil.disk_usage(self._parent).free
