"""Files that run in an interpreter where nothing of ours is installed, confined as every other child."""

import signal
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from modelyard_runtime.limits import Limits
from modelyard_runtime.subprocesses import SubprocessFailed, run_program

PROGRAM = Path(__file__).parent / "children" / "bare_program.py"


async def run(workdir: Path, request: dict[str, Any], lines: list[str] | None = None, **options: Any) -> dict[str, Any]:
    async def on_line(line: str) -> None:
        if lines is not None:
            lines.append(line)

    return await run_program(PROGRAM, request, workdir=workdir, on_line=on_line, **options)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="dying with the parent is Linux's")
async def test_another_interpreter_is_confined_without_anything_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setenv("MODELYARD_SECRET", "hidden")
    monkeypatch.setenv("PYTHONPATH", str(PROGRAM.parent))
    limits, lines = Limits(open_files=77, memory_bytes=1 << 30), list[str]()
    python = tmp_path / "bare" / "bin" / "python"
    found = await run(tmp_path, {"do": "tell"}, lines, python=python, limits=limits)
    assert lines == ["asked to tell"]
    assert Path(found["prefix"]) == tmp_path / "bare"
    confining = ("confinement", "landlock", "linux", "parent_death", "seccomp", "syscalls")
    assert found["ours"] == ["modelyard_runtime", *(f"modelyard_runtime.{name}" for name in confining)]
    assert (found["open_files"], found["memory"]) == (77, 1 << 30)
    assert found["dies_with_parent"] == signal.SIGKILL
    assert "MODELYARD_SECRET" not in found["environment"]
    assert not {str(PROGRAM.parent), str(tmp_path), ""} & set(found["path"])
    assert left_in(tmp_path) == {"bare"}


async def test_by_default_it_runs_in_this_interpreter(tmp_path: Path) -> None:
    assert (await run(tmp_path, {"do": "tell"}))["prefix"] == sys.prefix


async def test_what_it_raises_and_how_it_dies_is_told(tmp_path: Path) -> None:
    with pytest.raises(SubprocessFailed, match="ValueError: not a number: x") as raised:
        await run(tmp_path, {"do": "raise"})
    assert (raised.value.kind, raised.value.code) == ("crashed", 0)
    with pytest.raises(SubprocessFailed, match="killed by SIGSEGV") as died:
        await run(tmp_path, {"do": "die", "signal": signal.SIGSEGV})
    assert (died.value.kind, died.value.code) == ("crashed", -signal.SIGSEGV)


async def test_an_interpreter_that_is_not_there_is_a_failed_child(tmp_path: Path) -> None:
    with pytest.raises(SubprocessFailed):
        await run(tmp_path, {"do": "tell"}, python=tmp_path / "no" / "python")
