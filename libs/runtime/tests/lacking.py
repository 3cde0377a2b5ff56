"""Children that run as on a kernel without a part of what confines them."""

import os
from pathlib import Path

import pytest

CHILDREN = Path(__file__).parent / "children"


def on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, part: str | None = None) -> None:
    """Children find the modules of `children`. The part is hidden in `sitecustomize`, which Python imports at start."""
    if part:
        (folder / "sitecustomize.py").write_text(f"from hiding import hide\nhide({part!r})\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHILDREN), *([str(folder)] if part else [])]))
