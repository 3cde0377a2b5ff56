"""Search a package for what could harm whoever loads it. Called by `package.check`; nothing is executed or unpickled.

docs/scanning.md says what is refused and what is only recorded.
"""

from collections.abc import Iterable
from pathlib import Path

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, ScanReport
from modelyard_formats.format import Entry
from modelyard_formats.pickle.rules import scanner_version
from modelyard_formats.scan.content import look_at
from modelyard_formats.scan.names import is_plain, judge_name, wants_content
from modelyard_formats.scan.search import Part, Search

RULES = "1"
"""Version of the rules; raise it when a package may be judged differently."""

__all__ = ["problems_of", "scan_package", "wants_content"]


def scan_package(root: Path, entries: Iterable[Entry], known: frozenset[str] = frozenset()) -> ScanReport:
    """`entries` are the package's regular files, relative to `root`; `known` those that an inspector has understood.

    Only files for which `wants_content` holds are opened: of others the local copy may be a hole.
    """
    search, count, read = Search(), 0, 0
    for entry in entries:
        search.file, count = entry.path, count + 1
        if named := judge_name(entry.path):
            search.found(*named)
        if wants_content(entry.path, entry.size):
            read += 1
            with (root / entry.path).open("rb") as file:
                look_at(Part(file, entry.size, entry.path), search)
        elif not is_plain(entry.path) and entry.path not in known:
            message = f"{entry.size:,} bytes of a kind that the scan does not know; they were not read"
            search.found("suspicious", "not-read", message)
    scanners = {"modelyard": RULES, "picklescan": scanner_version()}
    return ScanReport(scanners=scanners, files=count, read=read, findings=search.findings())


def problems_of(findings: Iterable[Finding]) -> list[Problem]:
    """The refusals among them."""
    return [
        Problem(message=f"{each.file}: {each.message}", file=each.file, rule=each.rule)
        for each in findings
        if each.severity == "dangerous"
    ]
