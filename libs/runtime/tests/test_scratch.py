"""A folder belongs to whoever holds its lock, however many processes share the volume, whatever their numbers are."""

import os
import subprocess
import sys
from pathlib import Path

from modelyard_runtime.scratch import scratch_folder, sweep, written

HOLD = """
import sys
from pathlib import Path
from modelyard_runtime.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "convert") as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def holding(parent: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_folders_that_nobody_uses_are_swept(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "convert") as alive:
        left = tmp_path / "modelyard-convert-left"
        (left / "source").mkdir(parents=True)
        (tmp_path / "modelyard-evaluate-left").mkdir()
        (tmp_path / "modelyard-convert-link").symlink_to(tmp_path / "modelyard-evaluate-left")
        assert sweep(tmp_path, "convert") == 1
        assert alive.is_dir()
        assert not left.exists()
        assert (tmp_path / "modelyard-evaluate-left").is_dir()
    assert not alive.exists()


def test_a_replica_on_the_same_volume_keeps_its_folder_until_it_dies(tmp_path: Path) -> None:
    """Also one in a container of its own, whose process has the number of one here, or of none."""
    with holding(tmp_path) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        (folder / "half").write_bytes(b"half")
        assert sweep(tmp_path, "convert") == 0
        assert (folder / "half").exists()
        other.kill()
        other.wait()
        assert sweep(tmp_path, "convert") == 1
    assert not folder.exists()


def test_what_a_child_wrote_leads_nowhere_else(tmp_path: Path) -> None:
    private, made = tmp_path / "private", tmp_path / "made"
    for folder in (private, made, made / "model"):
        folder.mkdir()
    (private / "connection.json").write_text("hush")
    (made / "model" / "model.onnx").write_text("model")
    (made / "model" / "config.json").symlink_to(private / "connection.json")
    (made / "all").symlink_to(private)
    os.mkfifo(made / "waits")
    (tmp_path / "instead").symlink_to(private)
    assert written(made) == {"model/model.onnx": made / "model" / "model.onnx"}
    assert written(tmp_path / "instead") == {}
