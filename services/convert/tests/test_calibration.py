"""Samples out of packages, datasets and nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.children import calibration
from modelyard_convert.children.axes import supposed
from modelyard_convert.children.calibration import SEEDED_SAMPLES, Samples, seeded_shapes
from modelyard_convert.children.reading import Pieces, array_files, array_pieces, image_pieces
from modelyard_convert.errors import CalibrationProblem
from modelyard_testkit.models import digits_config

CONFIG = PackageConfig.model_validate(digits_config())


def signature(*inputs: tuple[Any, ...], dtype: str = "float32") -> Signature:
    names = ("image",) if len(inputs) == 1 else tuple("abcdef"[: len(inputs)])
    specs = (TensorSpec(name=name, dtype=dtype, shape=shape) for name, shape in zip(names, inputs, strict=True))
    return Signature(inputs=tuple(specs), outputs=())


IMAGE = signature(("N", 1, 8, 8))


def array_items(folder: Path, model: Signature) -> Pieces:
    return array_pieces(array_files(folder, model), model, supposed(model)[0])


def image_items(folder: Path, model: Signature, config: PackageConfig) -> Pieces:
    return image_pieces(folder, model, supposed(model)[0], config)


def real_samples(pieces: Pieces, model: Signature, *, calibrate: int, prove: int) -> Samples:
    return calibration.real_samples(pieces, model, supposed(model)[0], calibrate=calibrate, prove=prove)


def seeded_samples(model: Signature, config: PackageConfig) -> Samples:
    axes = supposed(model)[0]
    return calibration.seeded_samples(model, axes, next(seeded_shapes(model, axes, config)))


def counted(count: int, *shape: int) -> Any:
    """Arrays whose every value is the number of the sample."""
    return np.broadcast_to(np.arange(count, dtype=np.float32).reshape(-1, *(1 for _ in shape)), (count, *shape)).copy()


def values(feeds: list[Any], name: str = "image") -> list[float]:
    return [float(item.flat[0]) for feed in feeds for item in feed[name]]


def test_batches_and_single_samples_mix(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counted(5, 1, 8, 8))
    np.save(tmp_path / "b.npy", np.full((1, 8, 8), 5, np.float32))
    np.savez(tmp_path / "c.npz", anything=counted(2, 1, 8, 8) + 6)
    items = array_items(tmp_path, IMAGE)
    assert [float(items.read(index)["image"].flat[0]) for index in range(items.count)] == list(range(8))


def test_calibration_and_proof_use_different_samples_while_there_are_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counted(100, 1, 8, 8))
    samples = real_samples(array_items(tmp_path, IMAGE), IMAGE, calibrate=30, prove=50)
    assert samples.kind == "calibration"
    assert (len(samples.calibrate), len(samples.prove)) == (30, 50)
    assert not set(values(samples.calibrate)) & set(values(samples.prove))
    assert samples.prove[0]["image"].shape == (1, 1, 8, 8)
    again = real_samples(array_items(tmp_path, IMAGE), IMAGE, calibrate=30, prove=50)
    assert values(again.prove) == values(samples.prove) != sorted(values(samples.prove))


def test_few_samples_serve_both(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counted(4, 1, 8, 8))
    samples = real_samples(array_items(tmp_path, IMAGE), IMAGE, calibrate=100, prove=100)
    assert (len(samples.calibrate), len(samples.prove)) == (4, 4)


def test_a_fixed_batch_is_filled(tmp_path: Path) -> None:
    fixed = signature((3, 1, 8, 8))
    np.save(tmp_path / "a.npy", counted(8, 1, 8, 8))
    samples = real_samples(array_items(tmp_path, fixed), fixed, calibrate=0, prove=8)
    assert [feed["image"].shape for feed in samples.prove] == [(3, 1, 8, 8)] * 2
    few = real_samples(array_items(tmp_path, fixed), fixed, calibrate=0, prove=2)
    assert [feed["image"].shape for feed in few.prove] == [(3, 1, 8, 8)]


def test_several_inputs_come_by_name(tmp_path: Path) -> None:
    two = signature(("N", 4), ("N", 2))
    np.savez(tmp_path / "s.npz", b=counted(6, 2), a=counted(6, 4), other=np.zeros(3))
    samples = real_samples(array_items(tmp_path, two), two, calibrate=0, prove=6)
    assert values(samples.prove, "a") == values(samples.prove, "b")
    np.savez(tmp_path / "s.npz", a=counted(6, 4))
    with pytest.raises(CalibrationProblem, match=r"s.npz has no array for input b; it has \['a'\]"):
        array_items(tmp_path, two)
    np.savez(tmp_path / "s.npz", a=counted(6, 4), b=counted(5, 2))
    with pytest.raises(CalibrationProblem, match="different numbers of samples"):
        array_items(tmp_path, two)


def test_a_dataset_with_labels_gives_its_x(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", y=np.arange(9), x=counted(9, 1, 8, 8))
    assert array_items(tmp_path, IMAGE).count == 9


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 1, 9, 9), np.float32), r"a.npy has shape \[5, 1, 9, 9\]; input `image` takes \['N', 1, 8, 8\]"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), "NaN or infinite"),
        (np.zeros((2, 1, 8, 8), np.complex64), "is complex64, the model takes float32"),
        (np.zeros((0, 1, 8, 8), np.float32), "holds no samples"),
    ],
)
def test_wrong_arrays_are_named(tmp_path: Path, array: Any, words: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(CalibrationProblem, match=words):
        real_samples(array_items(tmp_path, IMAGE), IMAGE, calibrate=0, prove=10)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CalibrationProblem, match=r"a\.npy cannot be read"):
        array_items(tmp_path, IMAGE)
    (tmp_path / "a.npy").write_bytes(b"no array")
    with pytest.raises(CalibrationProblem, match=r"a\.npy cannot be read"):
        array_items(tmp_path, IMAGE)


def test_doubles_become_what_the_model_takes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", counted(3, 1, 8, 8).astype(np.float64))
    samples = real_samples(array_items(tmp_path, IMAGE), IMAGE, calibrate=0, prove=3)
    assert samples.prove[0]["image"].dtype == np.float32


def test_images_are_prepared_as_the_config_says(tmp_path: Path) -> None:
    for name, grey in (("0/a.png", 0), ("1/b.png", 160)):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (16, 16), grey).save(tmp_path / name)
    samples = real_samples(image_items(tmp_path, IMAGE, CONFIG), IMAGE, calibrate=0, prove=5)
    assert sorted(values(samples.prove)) == [0, 10]
    with pytest.raises(CalibrationProblem, match="one entry in `preprocessing`"):
        image_items(tmp_path, IMAGE, CONFIG.model_copy(update={"preprocessing": ()}))


def test_seeded_inputs_fit_the_model() -> None:
    samples = seeded_samples(signature((2, None, 4), (2, 5)), CONFIG.model_copy(update={"preprocessing": ()}))
    assert samples.kind == "seeded"
    assert len(samples.prove) == SEEDED_SAMPLES // 2
    assert samples.prove[0]["a"].shape == (2, 16, 4)
    open_plane = signature(("N", 1, None, None))
    assert seeded_samples(open_plane, CONFIG).prove[0]["image"].shape == (1, 1, 8, 8)
    assert seeded_samples(signature((1, 3), dtype="int64"), CONFIG).prove[0]["image"].dtype == np.int64
    assert seeded_samples(signature((1, 3), dtype="bool"), CONFIG).prove[0]["image"].dtype == np.bool_
    with pytest.raises(CalibrationProblem, match="takes text, which cannot be made up"):
        seeded_samples(signature((1, 3), dtype="object"), CONFIG)
