"""Real files damaged a little: bytes changed, cut, doubled, and pickles put where they do not belong."""

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence

from modelyard_testkit.pickles.writing import Writer

_NAMES = ("m.pkl", "m.joblib", "weights.bin", "data", "m.m", "m.pt", "a.npy", "a.npz")


def files(seed: int, count: int, real: Sequence[bytes]) -> list[tuple[str, bytes]]:
    """Name and content of each; the same for the same seed. `real`: files of joblib, NumPy, PyTorch, pickle."""
    return [_one(random.Random(f"{seed} {number}"), real) for number in range(count)]


def _one(dice: random.Random, real: Sequence[bytes]) -> tuple[str, bytes]:
    writer = Writer(dice)
    kind = dice.random()
    if kind < 0.5 or not real:
        data = writer.file()
    elif kind < 0.8:
        data = _damaged(dice, dice.choice(real))
    else:
        data = _mixed(dice, writer, dice.choice(real))
    name = dice.choice(_NAMES[:4] if dice.random() < 0.7 else _NAMES)
    return name, _packed(dice, data) if dice.random() < 0.1 else data


def _damaged(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = dice.randrange(min(len(changed), 1_000) if dice.random() < 0.7 else len(changed))
        changed[at] = dice.choice((dice.randrange(256), changed[at] ^ 1 << dice.randrange(8)))
    if dice.random() < 0.2:
        a, b = sorted(dice.randrange(len(changed)) for _ in range(2))
        changed[a:a] = changed[a : min(b, a + 200)]
    return bytes(changed)


def _mixed(dice: random.Random, writer: Writer, data: bytes) -> bytes:
    """An attack where an operation of the file begins, where one ends, behind it, or in its array bytes."""
    attack = writer.attack() + dice.choice((b"0", b"0.", b"."))
    marks = [at for at, byte in enumerate(data[:20_000]) if byte in b"b.\x94\x8c\x95u"]
    at = dice.choice(marks) + dice.randrange(2) if marks else 0
    way = dice.random()
    if way < 0.3:
        return data + writer.pickle(hostile=True)
    if way < 0.6:
        return data[:at] + attack + data[at:]
    if way < 0.8:
        return data[:at] + attack + data[at + len(attack) :]
    longer = data[:at] + attack + data[at:]
    frame = longer.find(b"\x95")
    if 0 <= frame < at:
        size = int.from_bytes(longer[frame + 1 : frame + 9], "little") + dice.choice((0, len(attack)))
        longer = longer[: frame + 1] + struct.pack("<Q", min(size, 2**63)) + longer[frame + 9 :]
    return longer


def _packed(dice: random.Random, data: bytes) -> bytes:
    way = dice.randrange(6)
    if way == 0:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(zipfile.ZipInfo("archive/data.pkl"), data)
        return out.getvalue()
    if way == 1:
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data
    packers = (zlib.compress, gzip.compress, bz2.compress, lzma.compress)
    return packers[way - 2](data)
