"""npz files that strangers wrote."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard_evaluate.errors import DatasetRefused
from modelyard_evaluate.tasks.classification import npz


def saved(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_labels_may_be_numbers_or_names(tmp_path: Path) -> None:
    x = np.zeros((2, 3), np.float32)
    assert npz.read_labels(saved(tmp_path / "a.npz", x=x, y=np.array([1, 0], np.uint8))) == ["1", "0"]
    assert npz.read_labels(saved(tmp_path / "b.npz", x=x, y=np.array(["猫", "狗"]))) == ["猫", "狗"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 3))}, "has no array 'y'; it has x"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3, int)}, "as many labels|has shape"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2)}, "array 'y' is float64"),
        ({"x": np.zeros((2, 3)), "y": np.zeros((2, 1), int)}, "of shape"),
        ({"x": np.array(["a", "b"]), "y": np.zeros(2, int)}, "array 'x' is <U1"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0, int)}, "holds no sample"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetRefused, match=message):
        npz.read_labels(saved(tmp_path / "bad.npz", **arrays))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("executed",))

    with zipfile.ZipFile(tmp_path / "evil.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Harmful()))
        archive.writestr("y.npy", pickle.dumps(Harmful()))
    with pytest.raises(DatasetRefused, match="cannot be read"):
        npz.read_labels(tmp_path / "evil.npz")
    with pytest.raises(DatasetRefused):
        npz.read_labels(saved(tmp_path / "objects.npz", x=np.zeros(1), y=np.array([Harmful()], dtype=object)))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "bomb.npz", x=np.zeros((1000, 100), np.float32), y=np.zeros(1000, int))
    monkeypatch.setattr(npz, "MOST_ARRAY_BYTES", 399_999)
    with pytest.raises(DatasetRefused, match="array 'x' has 400000 bytes"):
        npz.read_samples(path)


def test_no_zip_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no zip")
    with pytest.raises(DatasetRefused, match="cannot be read"):
        npz.read_labels(tmp_path / "a.npz")
