"""What goes wrong between a service and its stores, on purpose: calls that fail before or after they did their work.

For tests of whoever calls a port (documents, objects) and has to live with that.
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from math import inf
from typing import Any, TypeVar, cast

from modelyard_store.documents import StoreUnavailable

PortT = TypeVar("PortT")
Before = Callable[[], Awaitable[None]]
WRITES = ("add", "save", "remove")
ALWAYS = inf


class Faults:
    """What becomes of the calls with these names, without names of all: `passing` are left alone, then `away` fail and
    nothing happens, then `lost` happen and fail. May be set anew at any time. `seen` counts what came by.
    """

    def __init__(
        self, *names: str, passing: int = 0, away: float = 0, lost: float = 0,
        error: type[StoreUnavailable] = StoreUnavailable, words: str = "the store is away",
    ) -> None:  # fmt: skip
        self.names, self.passing, self.away, self.lost = names, passing, away, lost
        self.error, self.words = error, words
        self.seen = 0

    def before(self, port: PortT) -> PortT:
        """The port as its callers meet it."""
        return cast(PortT, _Between(port, self.names, self._call))

    async def _call(self, method: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        self.seen += 1
        if self.passing:
            self.passing -= 1
        elif self.away:
            self.away -= 1
            raise self.error(self.words)
        elif self.lost:
            self.lost -= 1
            await method(*arguments, **options)
            raise self.error(self.words)
        return await method(*arguments, **options)


def meanwhile(port: PortT, happens: Before, *names: str) -> PortT:
    """The port, where something else happens before each call with one of these names, without names before all."""

    async def call(method: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        await happens()
        return await method(*arguments, **options)

    return cast(PortT, _Between(port, names, call))


class _Between:
    """Passes everything on; `call` gets the coroutines of these names, or all."""

    def __init__(self, port: object, names: tuple[str, ...], call: Callable[..., Awaitable[Any]]) -> None:
        self._port, self._names, self._through = port, names, call

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not iscoroutinefunction(method) or (self._names and name not in self._names):
            return method

        async def call(*arguments: Any, **options: Any) -> Any:
            return await self._through(method, *arguments, **options)

        return call
