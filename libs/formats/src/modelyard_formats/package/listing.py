"""Refuse a package by its file names and sizes alone, before anything is copied. Called by the import service."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from modelyard_contracts.failures import Problem
from modelyard_formats.errors import CONFIG_FILE, BadSource, bounded
from modelyard_formats.format import CUSTOM_CODE, MODEL_FOLDER, Entry
from modelyard_formats.table import recognise

MAX_CONFIG = 2**20


def check_listing(entries: Iterable[Entry | tuple[str, int]], model_type: str | None = None) -> tuple[Problem, ...]:
    """Every rule that a package's names and sizes break; empty when it is worth fetching.

    `entries` are all files of the package, `model/` included in their paths; `model_type` as in `recognise`.
    Make a `Failure` with `errors.refusal`.
    """
    files = [entry if isinstance(entry, Entry) else Entry(*entry) for entry in entries]
    problems = [*_config_problems(files), *_path_problems(files)]
    custom = [entry.path for entry in files if _below_model(entry.path, CUSTOM_CODE)]
    if len(custom) > 1:
        message = f"{len(custom)} files named {CUSTOM_CODE}: {', '.join(custom)}"
        problems.append(Problem(message=message, file=custom[1], rule=f"at most one {CUSTOM_CODE}"))
    try:
        recognise(files, model_type)
    except BadSource as refused:
        problems.extend(refused.problems)
    return bounded(problems)


def _config_problems(files: Sequence[Entry]) -> Iterable[Problem]:
    """Only the one in the root counts: parts of a model (1_Pooling/, unet/) have files of that name too."""
    at_root = [entry for entry in files if entry.path == CONFIG_FILE]
    if not at_root:
        elsewhere = [entry.path for entry in files if _below_model(entry.path, "config.json")]
        where = f"; found {elsewhere[0]}" if elsewhere else ""
        rule = "one config.json, directly in model/"
        yield Problem(message=f"{CONFIG_FILE} is missing{where}", file=CONFIG_FILE, rule=rule)
    elif at_root[0].size > MAX_CONFIG:
        message = f"{CONFIG_FILE} has {at_root[0].size:,} bytes"
        yield Problem(message=message, file=CONFIG_FILE, rule=f"at most {MAX_CONFIG:,} bytes")


def _path_problems(files: Sequence[Entry]) -> Iterable[Problem]:
    seen: set[str] = set()
    for entry in files:
        if entry.path in seen:
            yield Problem(message=f"{entry.path} is listed twice", file=entry.path, rule="every path once")
        seen.add(entry.path)
        if not is_safe(entry.path):
            rule = "relative paths without '..', empty segments, backslashes and control characters"
            yield Problem(message=f"{entry.path!r} is no path inside a package", file=entry.path, rule=rule)


def is_safe(path: str) -> bool:
    """Whether a path stays inside the folder it is joined to, on any file system and as an object key."""
    segments = path.split("/")
    printable = all(ord(character) >= 32 and character not in "\\\x7f" for character in path)
    return printable and all(segment not in ("", ".", "..") for segment in segments)


def _below_model(path: str, name: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) > 1 and parts[0] == MODEL_FOLDER and parts[-1] == name
