"""What is derived from code and checked in is what the code says now."""

from pathlib import Path

import pytest

from .generated import ERRORS, FOLDER, NATS_CONF, ROOT, generated, write

WANTED = generated()


@pytest.mark.parametrize("path", sorted(WANTED), ids=str)
def test_the_file_is_fresh(path: Path) -> None:
    there = (ROOT / path).read_text("utf-8") if (ROOT / path).exists() else None
    assert there == WANTED[path], f"{path} is stale: run make generate"


def test_nothing_else_lies_there() -> None:
    there = {path.relative_to(ROOT) for path in (ROOT / FOLDER).rglob("*") if path.is_file()}
    assert there == set(WANTED) - {NATS_CONF, ERRORS}, "run make generate"


def test_writing_replaces_what_is_there_and_removes_what_is_gone(tmp_path: Path) -> None:
    gone, changed = tmp_path / FOLDER / "schemas" / "gone.json", tmp_path / NATS_CONF
    for path in (gone, changed):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    write(tmp_path)
    assert not gone.exists()
    assert changed.read_text("utf-8") == WANTED[NATS_CONF]
