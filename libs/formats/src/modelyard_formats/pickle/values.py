"""What a pickle would make, as symbols: names of imports, and calls that nobody makes. Filled by `pickle.reader`.

Plain numbers, texts, lists, tuples and dicts stand for themselves; a set is a list. A list or dict may hold itself.
"""

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Global:
    """Something that loading would import; `name` may be a dotted path into the module."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


RECONSTRUCTOR = Global("copyreg", "_reconstructor")
_BARE = frozenset({RECONSTRUCTOR, Global("copyreg", "__newobj__"), Global("copyreg", "__newobj_ex__")})


def as_today(what: Global) -> Global:
    """As Python 3 finds what Python 2 wrote; those names lead nowhere else in Python 3."""
    renamed = NAME_MAPPING.get((what.module, what.name))
    return Global(*renamed) if renamed else Global(IMPORT_MAPPING.get(what.module, what.module), what.name)


class Made:
    """What calling `by` with `args` would give, with the state, list items and dict entries put into it later."""

    __slots__ = ("args", "built", "by", "entries", "items", "settled", "state")

    def __init__(self, by: object, args: object) -> None:
        self.by = by
        self.args = args
        self.built = False
        self.settled = False  # all in it was looked at, and it is a copy
        self.state: object = None
        self.items: list[object] = []
        self.entries: dict[object, object] = {}

    @property
    def kind(self) -> object:
        """The class that it is an instance of, where `by` is a class or makes a bare instance of one."""
        by, args = self.by, self.args
        bare = isinstance(by, Global) and (by in _BARE or by.name == "newObj" or by.name.startswith("__pyx_unpickle_"))
        return args[0] if bare and isinstance(args, tuple) and args else by

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


@dataclass(frozen=True, slots=True, eq=False)
class OddKey:
    """A key of a dict that is neither a short text nor a number."""

    key: object


class _Unclear:
    """A number or text that no loader here reads, or that only an older one does."""


UNCLEAR: Final = _Unclear()
