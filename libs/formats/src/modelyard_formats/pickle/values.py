"""What a pickle would make, as symbols: names of imports, and calls that nobody makes. Filled by `pickle.reader`.

Plain numbers, texts, lists, tuples and dicts stand for themselves. A list or dict may hold itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Global:
    """Something that loading would import; `name` may be a dotted path into the module."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Made:
    """What calling `by` with `args` would give, with the state, list items and dict entries put into it later."""

    __slots__ = ("args", "by", "entries", "items", "state")

    def __init__(self, by: object, args: object) -> None:
        self.by = by
        self.args = args
        self.state: object = None
        self.items: list[object] = []
        self.entries: dict[object, object] = {}

    def attributes(self) -> dict[object, object]:
        """The instance's `__dict__` as far as the pickle says."""
        states = self.state if isinstance(self.state, tuple) else (self.state,)
        return next((state for state in states if isinstance(state, dict)), {})


class Left(bytes):
    """Bytes or text too long to keep: `extent` bytes at `offset` of the file. Only its length is right."""

    offset: int
    extent: int

    def __len__(self) -> int:
        return self.extent


@dataclass(frozen=True, slots=True)
class Persistent:
    """Something kept beside the pickle, e.g. a tensor's storage."""

    key: object
