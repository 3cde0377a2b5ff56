"""Search a package for what could harm whoever loads it. Called by `package.check`; nothing is executed or unpickled.

docs/scanning.md says what is refused and what is only recorded.
"""

from collections.abc import Iterable
from pathlib import Path

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, PartlyRead, ScanReport
from modelyard_formats.format import Entry
from modelyard_formats.pickle.rules import scanner_version
from modelyard_formats.scan.content import judge_program, look_at
from modelyard_formats.scan.names import holds_graph, is_plain, judge_name, wants_content
from modelyard_formats.scan.search import Part, Search
from modelyard_formats.scan.sniff import ends_of, is_json, loadable

RULES = "4"
"""Version of the rules; raise it when a package may be judged differently."""
MAX_SHOWN = 200
_MAX_PATH = 300

__all__ = ["problems_of", "scan_package", "wants_content"]


def scan_package(root: Path, entries: Iterable[Entry], known: frozenset[str] = frozenset()) -> ScanReport:
    """`entries` are the package's regular files, relative to `root`; `known` those that an inspector has understood.

    Both ends of every file are there. All of it is read where `wants_content` or its ends ask for that: of others the
    middle of the local copy may be a hole.
    """
    search, count = Search(known), 0
    sniffed: list[PartlyRead] = []
    for entry in entries:
        search.file, count = entry.path, count + 1
        if named := judge_name(entry.path):
            search.found(*named)
        if not _read(root, entry, search):
            sniffed.append(_partly(entry, search))
    return ScanReport(
        scanners={"modelyard": RULES, "picklescan": scanner_version()},
        files=count,
        read=count - len(sniffed),
        sniffed=len(sniffed),
        partly_read=tuple(sniffed[:MAX_SHOWN]),
        findings=search.findings(),
    )


def _read(root: Path, entry: Entry, search: Search) -> bool:
    """Whether all of the file was."""
    with (root / entry.path).open("rb") as file:
        if not wants_content(entry.path, entry.size):
            ends = ends_of(file, entry.size)
            if loadable(ends) is None:
                judge_program(file, ends.head, search)
                if is_json(entry.path, ends.head) and entry.path not in search.known:
                    message = (
                        f"{entry.size:,} bytes of JSON that may build layers of Keras's; only both ends were looked at"
                    )
                    search.found("suspicious", "not-read", message)
                return False
        try:
            look_at(Part(file, entry.size, entry.path), search)
        except RecursionError:
            search.found("dangerous", "archive-bomb", "it is nested too deep to be read")
    return True


def _partly(entry: Entry, search: Search) -> PartlyRead:
    if holds_graph(entry.path) and entry.path not in search.known:
        message = f"{entry.size:,} bytes of a model that is not the package's; its operators were not looked at"
        search.found("info", "not-read", message)
    if is_plain(entry.path):
        reason = "text, a picture, or a model of a format that is neither unpickled nor unpacked"
    elif entry.path in search.known:
        reason = "it belongs to the model, whose own format was inspected"
    else:
        reason = "larger than 16 MiB and of a kind that the scan does not know"
        search.found(
            "suspicious",
            "not-read",
            f"{entry.size:,} bytes of a kind that the scan does not know; only both ends were looked at",
        )
    return PartlyRead(file=entry.path[:_MAX_PATH], size=entry.size, reason=reason)


def problems_of(findings: Iterable[Finding]) -> list[Problem]:
    """The refusals among them."""
    return [
        Problem(message=f"{each.file}: {each.message}", file=each.file, rule=each.rule)
        for each in findings
        if each.severity == "dangerous"
    ]
