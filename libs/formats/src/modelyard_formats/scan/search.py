"""What one scan of a package has found so far, and how much work it may still do. Passed along by `scan.package`."""

from dataclasses import dataclass
from typing import BinaryIO

from modelyard_contracts.shapes import Finding
from modelyard_formats.pickle.reader import Allowance
from modelyard_formats.pickle.rules import Severity
from modelyard_formats.wire.archive_bytes import MAX_UNPACKED

MAX_FINDINGS = 200
MAX_ALIKE = 5
MAX_LOOKS = 50_000
MAX_ITEMS = 32_000_000  # of JSON
MAX_NESTED = 50
MAX_DEPTH = 4
_ORDER = {"dangerous": 0, "suspicious": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Part:
    """`size` bytes to look at, called `name`; `inside` are the archive members that lead to them."""

    file: BinaryIO
    size: int
    name: str
    inside: tuple[str, ...] = ()


class Search:
    """One per package. `file` is the package's file that is being looked at; `known`: those that an inspector read."""

    def __init__(self, known: frozenset[str] = frozenset()) -> None:
        self.known = known
        self.file = ""
        self.room = MAX_UNPACKED
        self.looks = MAX_LOOKS
        self.items = MAX_ITEMS
        self.nested = 0
        self.allowance = Allowance()
        self._found: dict[tuple[str, str, str], list[Finding]] = {}

    def found(self, severity: Severity, rule: str, message: str, inside: tuple[str, ...] = ()) -> None:
        """`inside` are the archive members that lead to it."""
        where = "".join(f"in {name[:100]}: " for name in inside)
        finding = Finding(file=self.file, severity=severity, rule=rule, message=_printable(where + message)[:500])
        alike = self._found.setdefault((self.file, rule, severity), [])
        if len(alike) < MAX_ALIKE and finding not in alike:
            alike.append(finding)

    def findings(self) -> tuple[Finding, ...]:
        """The worst first; not more than a few of a kind for each file."""
        found = [each for alike in self._found.values() for each in alike]
        return tuple(sorted(found, key=lambda each: _ORDER[each.severity])[:MAX_FINDINGS])


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
