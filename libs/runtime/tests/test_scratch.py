from pathlib import Path

from modelyard_runtime.scratch import scratch_folder, sweep


def test_folders_of_dead_processes_are_swept(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "convert") as alive:
        dead = tmp_path / "modelyard-convert-999999999-x"
        (dead / "source").mkdir(parents=True)
        (tmp_path / "modelyard-convert-somebody-else").mkdir()
        (tmp_path / "modelyard-evaluate-999999999-x").mkdir()
        assert sweep(tmp_path, "convert") == 1
        assert alive.is_dir()
        assert not dead.exists()
        assert (tmp_path / "modelyard-evaluate-999999999-x").is_dir()
    assert not alive.exists()
