"""Children that run as on a kernel without a part of what confines them."""

import os
from pathlib import Path

import pytest

CHILDREN = Path(__file__).parent / "children"


def on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, part: str | None = None) -> None:
    """Children find the modules of `children`. Python imports `sitecustomize` at its start: there the part is hidden."""
    if part:
        (folder / "sitecustomize.py").write_text(f"from hiding import hide\nhide({part!r})\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHILDREN), *([str(folder)] if part else [])]))
