"""Broken bytes never crash or hang inspecting: it answers, or it refuses with a reason."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard_contracts.keeping import misfits
from modelyard_contracts.shapes import Inspection
from modelyard_formats.errors import BadSource
from modelyard_formats.package.check import check_package
from modelyard_formats.table import inspect
from modelyard_testkit import models
from modelyard_testkit.processor_time import within

bounded = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _bytes_of(build, name: str) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        build(Path(folder, name))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


ONNX = _bytes_of(models.digits_like_mlp, "model.onnx")
EXTERNAL = _bytes_of(models.with_external_data, "model.onnx")
IR = _bytes_of(models.openvino_ir, "model.xml")

flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)
cuts = st.floats(0, 1)


def damaged(data: bytes, flipped: list[tuple[float, int]], cut: float) -> bytes:
    changed = bytearray(data)
    for place, value in flipped:
        changed[int(place * len(changed))] = value
    return bytes(changed[: round(cut * len(changed))])


def answers_or_refuses(format_name: str, files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        model = Path(folder, "model")
        model.mkdir()
        for name, data in files.items():
            (model / name).write_bytes(data)
        found: Inspection | BadSource
        try:
            found = inspect(format_name, Path(folder))
        except BadSource as refused:
            found = refused
    if isinstance(found, BadSource):
        assert all(problem.file and problem.rule for problem in found.problems)
        assert "\\ud" not in json.dumps([problem.model_dump() for problem in found.problems])
    else:
        described = found.model_dump(mode="json")
        json.dumps(described, allow_nan=False, ensure_ascii=False).encode()
        assert not list(misfits(described))


@bounded
@given(flips, cuts | st.just(1.0))
@within(2)
def test_damaged_onnx(flipped, cut):
    answers_or_refuses("onnx", {"model.onnx": damaged(ONNX["model.onnx"], flipped, cut)})


@bounded
@given(flips, st.just(1.0))
@within(2)
def test_damaged_structure_of_an_onnx_with_external_data(flipped, cut):
    """All structure: nearly every flip hits a tag, a length, a name or a location."""
    answers_or_refuses("onnx", {**EXTERNAL, "model.onnx": damaged(EXTERNAL["model.onnx"], flipped, cut)})


@bounded
@given(st.binary(max_size=10_000))
@within(2)
def test_any_bytes_as_onnx(data):
    answers_or_refuses("onnx", {"model.onnx": data})


@bounded
@given(flips, cuts | st.just(1.0), cuts | st.just(1.0))
@within(2)
def test_damaged_ir(flipped, cut, cut_weights):
    weights = damaged(IR["model.bin"], [], cut_weights)
    answers_or_refuses("openvino", {"model.xml": damaged(IR["model.xml"], flipped, cut), "model.bin": weights})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@bounded
@given(st.sampled_from(sorted(models.digits_config())), json_values)
@within(2)
def test_any_value_in_any_field_of_config(name, value):
    with TemporaryDirectory() as folder:
        root = models.package(Path(folder), config={**models.digits_config(), name: value})
        found = check_package(root)
        assert found.config or found.problems
        described = found.model_dump(mode="json")
        json.dumps(described, allow_nan=False, ensure_ascii=False).encode()
        assert not list(misfits(described))
