"""No file of the repository knows the machine it was written on: no home folder, no package index, no secret."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .tree import ROOT, repository_files

# Written in pieces, so that this file does not find itself.
_HOMES = rb"(?<![\w.$}])/" + rb"(?:home|Users|root|work|mnt|srv/[\w-]+|private/var)/[\w.-]+"
_DRIVES = rb"[A-Z]:\\+Users\\+\w"
_INDEXES = rb"pypi\." + rb"(?:org|python\.org)|python" + rb"hosted\.|index-" + rb"url|/simple" + rb"/|find-" + rb"links"
_SECRETS = rb"-----BEGIN [A-Z ]*PRIVATE " + rb"KEY-----|\bAKIA[0-9A-Z]{16}\b"
TRACES = re.compile(b"|".join((_HOMES, _DRIVES, _INDEXES, _SECRETS)))


def here() -> set[bytes]:
    """What would name the machine that runs the tests: its folders, and where it fetches packages."""
    names = {str(ROOT), str(Path.home())} if len(Path.home().parts) > 2 else {str(ROOT)}
    for variable, value in os.environ.items():
        if variable.startswith(("PIP_", "UV_")) and "://" in value:
            names |= {host for url in value.split() if (host := urlsplit(url).hostname)}
    return {name.encode() for name in names if name not in ("/", "localhost", "127.0.0.1")}


def traces(content: bytes) -> set[bytes]:
    return {match.group() for match in TRACES.finditer(content)} | {name for name in here() if name in content}


def test_no_file_knows_this_machine() -> None:
    found = {str(path): traces((ROOT / path).read_bytes()) for path in repository_files()}
    assert {path: marks for path, marks in found.items() if marks} == {}


@pytest.mark.parametrize(
    "text",
    [
        "data = '/home" + "/ann/data'",
        "C:\\" + "Users\\ann",
        "--extra-index" + "-url https://packages.example",
        "https://files.python" + "hosted.org/x.whl",
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        f"see {ROOT}",
    ],
)
def test_a_trace_is_seen(text: str) -> None:
    assert traces(text.encode())


def test_ordinary_paths_are_no_traces() -> None:
    assert traces(b"/v1/default/models ./work/x $HOME/work/x s3://training/run-1 /var/lib/modelyard") == set()
