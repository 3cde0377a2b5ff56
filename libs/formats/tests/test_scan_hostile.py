"""Containers around code are refused. Each is first seen to execute in its real loader, where that is installed."""

from contextlib import suppress
from pathlib import Path

import pytest

from modelyard_formats.format import Entry
from modelyard_formats.scan.package import scan_package

from .hostile import HOSTILE, Hostile
from .hostile_chains import CHAINS, IMPORTED
from .hostile_states import HANDED

ALL = {**HOSTILE, **HANDED, **CHAINS, **IMPORTED}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore")
def test_what_executes_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Hostile = ALL[name]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / made.file
    path.write_bytes(made.data)
    report = scan_package(tmp_path, [Entry(made.file, len(made.data))])
    assert not (tmp_path / "executed").exists()
    if made.load:
        with suppress(Exception):
            made.load(path)
        assert (tmp_path / "executed").exists(), "it does not execute"
    assert "dangerous" in {each.severity for each in report.findings}, report.findings
