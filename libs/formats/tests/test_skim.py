"""A skimmed file is inspected exactly as the whole one, however its bytes arrive."""

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard_formats.kinds.onnx.bulk import KINDS
from modelyard_formats.skim import MOST_FIELDS, Skimmer, skimmer_for
from modelyard_formats.wire.protobuf_scan import Condenser, Malformed
from modelyard_testkit import models


def skimmed(data: bytes, steps) -> tuple[bytes, int]:
    """The file that is left, zeros in its holes, and how many bytes were written."""
    skimmer = Skimmer(KINDS, "Model", len(data))
    file, written, position = io.BytesIO(bytes(len(data))), 0, 0
    while position < len(data):
        step = next(steps)
        for offset, piece in skimmer.feed(data[position : position + step]):
            file.seek(offset)
            written += file.write(piece)
        position += step
    offset, piece = skimmer.rest()
    file.seek(offset)
    written += file.write(piece)
    assert len(file.getvalue()) == len(data)
    return file.getvalue(), written


def outcome(data: bytes):
    try:
        return Condenser(data, KINDS).condense("Model")
    except Malformed as error:
        return str(error)


def steps_of(seed: int, largest: int):
    chance = random.Random(seed)
    while True:
        yield chance.randint(1, largest)


@pytest.mark.parametrize("largest", [1 << 22, 5000, 61])
def test_weights_leave_holes_and_the_inspection_does_not_notice(tmp_path, largest):
    data = models.random_model(tmp_path / "m.onnx", megabytes=4).read_bytes()
    left, written = skimmed(data, steps_of(1, largest))
    assert outcome(left) == outcome(data)
    assert written < 2000


@pytest.mark.parametrize("build", [models.conv_net, models.with_external_data, models.with_custom_operator])
def test_small_models_are_kept_whole_in_effect(tmp_path, build):
    data = build(tmp_path / "m.onnx").read_bytes()
    left, _ = skimmed(data, steps_of(2, 100))
    assert outcome(left) == outcome(data)


@given(st.integers(0, 1 << 30), st.integers(1, 40), st.integers(1, 3000))
@settings(max_examples=150, deadline=None)
def test_damage_is_seen_as_it_is(tmp_path_factory, seed, damage, largest):
    chance = random.Random(seed)
    data = bytearray(models.digits_like_mlp(tmp_path_factory.mktemp("m") / "m.onnx").read_bytes())
    for _ in range(damage):
        data[chance.randrange(len(data))] = chance.randrange(256)
    data = bytes(data[: chance.randrange(1, len(data) + 1)])
    left, _ = skimmed(data, steps_of(seed, largest))
    assert outcome(left) == outcome(data)


def test_too_many_fields_end_the_looking_not_the_keeping():
    data = b"\x08\x01" * (MOST_FIELDS + 10) + b"\x3a\x88\x27" + bytes(5000)
    left, _ = skimmed(data, steps_of(3, 100_000))
    assert left == data


def test_only_onnx_is_skimmed():
    assert skimmer_for("model/m.onnx", 9) is not None
    assert skimmer_for("model/m.xml", 9) is None
