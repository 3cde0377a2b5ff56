"""Check a whole package in a local folder: every rule, all broken ones at once. Called by import's inspecting child.

`root/model/` is the model root. Nothing from the package is executed, and no inference runtime is imported.
"""

import os
import stat
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from modelyard_contracts.failures import Failure, Problem
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Inspection, ScanReport
from modelyard_formats.errors import CONFIG_FILE, BadSource, bounded, refusal
from modelyard_formats.format import MODEL_FOLDER, Entry, Format, Reading
from modelyard_formats.package.config_file import read_config
from modelyard_formats.package.cross_check import cross_check
from modelyard_formats.package.listing import MAX_CONFIG, check_listing
from modelyard_formats.scan.package import problems_of, scan_package
from modelyard_formats.table import empty_files, recognise


class PackageReport(BaseModel):
    """What a package is. `model_files` are relative to the package, main file first; partial when problems exist."""

    model_config = ConfigDict(frozen=True)

    format: str | None = None
    model_files: tuple[str, ...] = ()
    config: PackageConfig | None = None
    inspection: Inspection | None = None
    scan: ScanReport | None = None
    problems: tuple[Problem, ...] = ()

    def failure(self) -> Failure | None:
        """The refusal to raise, or None when the package is good."""
        return refusal(self.problems) if self.problems else None


def check_package(root: Path) -> PackageReport:
    """Raises nothing for a bad package: the report lists what is wrong."""
    entries, problems = list_files(root)
    config, config_problems, wrong = _config(root, entries)
    model_type = config.model_type if config and "model_type" not in wrong else None
    problems.extend(check_listing(entries, model_type))
    problems.extend(config_problems)
    row, reading, model_problems = _model(root, entries, model_type)
    problems.extend(model_problems)
    if row and config:
        problems.extend(_type_problems(row, config, wrong))
    if config and reading:
        problems.extend(cross_check(config, reading.inspection.signature))
    scan = _scan(root, entries, row, reading)
    problems.extend(problems_of(scan.findings))
    return PackageReport(
        format=row.name if row else None,
        model_files=tuple(f"{MODEL_FOLDER}/{name}" for name in reading.files) if reading else (),
        config=None if wrong else config,
        inspection=reading.inspection if reading else None,
        scan=scan,
        problems=bounded(sorted(problems, key=_config_first)),
    )


def _config_first(problem: Problem) -> tuple[bool, bool]:
    return problem.file != CONFIG_FILE, problem.field is not None


def list_files(root: Path) -> tuple[list[Entry], list[Problem]]:
    """All regular files below `root`, and a problem for everything else: links, sockets, devices, unreadable names."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            path = Path(folder, name)
            shown = path.relative_to(root).as_posix().encode(errors="backslashreplace").decode()
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                entries.append(Entry(shown, status.st_size))
            elif not stat.S_ISDIR(status.st_mode):
                kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
                problems.append(Problem(message=f"{shown} is {kind}", file=shown, rule="regular files only"))
    return entries, problems


def _config(root: Path, entries: list[Entry]) -> tuple[PackageConfig | None, tuple[Problem, ...], frozenset[str]]:
    if not any(entry.path == CONFIG_FILE and entry.size <= MAX_CONFIG for entry in entries):
        return None, (), frozenset()  # the listing check has said why
    return read_config((root / CONFIG_FILE).read_bytes())


def _model(
    root: Path, entries: list[Entry], model_type: str | None
) -> tuple[Format | None, Reading | None, tuple[Problem, ...]]:
    try:
        row, files = recognise(entries, model_type)
    except BadSource:
        return None, None, ()  # the listing check has said why
    folder = root / MODEL_FOLDER
    try:
        reading = row.read(folder, files)
    except BadSource as refused:
        return row, None, refused.problems
    return row, reading, tuple(empty_files(row, ((name, (folder / name).stat().st_size) for name in reading.files)))


def _scan(root: Path, entries: list[Entry], row: Format | None, reading: Reading | None) -> ScanReport:
    """What the scan found, and what the format's own inspector noticed."""
    understood = reading.files if row and reading and row.reads(reading.files) else ()  # of Custom nobody opens any
    known = frozenset(f"{MODEL_FOLDER}/{name}" for name in understood)
    report = scan_package(root, [entry for entry in entries if (root / entry.path).is_file()], known)
    own = tuple(each for each in reading.findings if each not in report.findings) if reading else ()
    return report.model_copy(update={"findings": (*report.findings, *own)})


def _type_problems(row: Format, config: PackageConfig, wrong: frozenset[str]) -> tuple[Problem, ...]:
    if "model_type" in wrong or config.model_type in row.model_types:
        return ()
    rule = f"model_type of such a file is {' or '.join(row.model_types)}"
    message = f"{CONFIG_FILE}: model_type: {config.model_type}, but the model file is {row.name}"
    return (Problem(message=message, file=CONFIG_FILE, field="model_type", rule=rule),)
