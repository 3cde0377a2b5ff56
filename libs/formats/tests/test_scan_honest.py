"""What honest writers make is never refused, whatever it is called and however it happens to begin."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import joblib
import numpy as np
import pytest
from sklearn import preprocessing
from sklearn.decomposition import NMF
from sklearn.linear_model import Ridge

from modelyard_contracts.shapes import ScanReport
from modelyard_formats.format import Entry
from modelyard_formats.scan.package import scan_package
from modelyard_testkit import models

from .hostile import npy, tarred, zipped

ROWS = np.random.default_rng(5).random((8, 3))
FIELDS = [("a", "<f4"), ("b", "<M8[25s]"), ("c", "<U3", (2, 2)), (("title", "d"), [("e", "?"), ("f", "<c16")])]


def findings(folder: Path, files: dict[str, bytes]) -> set[tuple[str, str, str]]:
    report = scan(folder, files)
    return {(each.file, each.severity, each.rule) for each in report.findings}


def scan(folder: Path, files: dict[str, bytes]) -> ScanReport:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return scan_package(folder, [Entry(name, len(data)) for name, data in files.items()])


def saved(*arrays: np.ndarray) -> bytes:
    made = io.BytesIO()
    for array in arrays:
        np.save(made, array)
    return made.getvalue()


def arrays() -> Iterator[np.ndarray]:
    for code in "?bBhHiIlLqQefdgFDGSUVmM":
        yield np.zeros((2, 3), {"S": "S5", "U": ">U7", "V": "V9", "m": "m8[ms]", "M": "M8[D]"}.get(code, code))
    yield np.zeros(2, FIELDS)
    yield np.zeros(2, np.dtype(FIELDS, align=True))
    yield np.zeros(2, [(f"a long name of a field {number}", "f4") for number in range(3_000)])
    yield np.asfortranarray(np.ones((3, 4)))
    yield np.float32(1.5).reshape(())
    yield np.zeros((0, 4))


def test_arrays_of_numbers_and_text(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a long header needs a newer version of the format
        made = {f"{number}.npy": saved(array) for number, array in enumerate(arrays())}
        made["name.npy"] = saved(np.zeros(1, [("é", "f4"), ("名", "i8")]))
    made["several.npy"] = saved(*(np.ones(3) for _ in range(5)))
    made["python2.npy"] = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (3L, 1L), }", bytes(24))
    for save in (np.savez, np.savez_compressed):
        packed = io.BytesIO()
        save(packed, *(np.ones(4), np.zeros(2, FIELDS)), named=np.array(["text"]))
        made[f"{save.__name__}.npz"] = packed.getvalue()
    assert findings(tmp_path, made) == set()


def test_archives_of_several_arrays(tmp_path: Path) -> None:
    """Whatever the numbers begin with: behind the line of the header some bytes end a pickle, with arrays behind it."""
    random = np.random.default_rng(1)
    files = {}
    for first in range(256):
        out = io.BytesIO()
        sound = random.normal(0, 0.1, (1, 512)).astype(np.float32)
        sound.view(np.uint8)[0, 0] = first
        np.savez(out, input=sound, state=random.standard_normal((2, 1, 128)).astype(np.float32), sr=np.int64(16_000))
        files[f"{first}.npz"] = out.getvalue()
    assert findings(tmp_path, files) == set()


def test_what_is_compressed_as_a_whole(tmp_path: Path) -> None:
    value = {"weights": np.random.default_rng(0).standard_normal(50_000), "text": "x" * 10_000, "list": list(range(9))}
    made = {}
    for method in ("zlib", "gzip", "bz2", "lzma", "xz"):
        for level in range(10):
            packed = io.BytesIO()
            joblib.dump(value if level in (0, 1, 9) else value["list"], packed, compress=(method, level))
            made[f"{method}{level}.joblib"] = packed.getvalue()
    text = b"id,name\n" * 5_000
    for name, pack in (("zlib", zlib.compress), ("gzip", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        made[f"{name}.dat"] = pack(text)
        made[f"{name}-twice.dat"] = pack(text) + pack(b"") if name != "zlib" else pack(text)
    made["padded.gz"] = gzip.compress(text) + bytes(1000)
    made["old.lzma"] = lzma.compress(text, lzma.FORMAT_ALONE)
    assert findings(tmp_path, made) == set()


def streamed() -> bytes:
    """Sizes stand behind the content: the writer cannot go back."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile hands over bytes
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]  # no seek is the point
        archive.writestr("a", "text" * 100)
        with archive.open("b", "w", force_zip64=True) as member:
            member.write(b"more" * 1000)
    return pipe.data


def torch_like() -> bytes:
    """Stored, each tensor aligned to 64 bytes by an extra field."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in {"data.pkl": b"\x80\x02}q\x00.", "byteorder": b"little", "data/0": bytes(4096)}.items():
            info = zipfile.ZipInfo(f"archive/{name}")
            info.extra = struct.pack("<2H", 0x4246, 20) + b"Z" * 20
            archive.writestr(info, data)
    return made.getvalue()


def test_zip_archives(tmp_path: Path) -> None:
    files = {"a/b.txt": b"text" * 999, "a/": b"", "é.txt": b"x", "empty": b""}
    made = {f"{method}.zip": zipped(files, method) for method in (0, 8, 12, 14)}
    made |= {"streamed.zip": streamed(), "model.pt": torch_like(), "none.zip": zipped({})}
    commented = io.BytesIO()
    with zipfile.ZipFile(commented, "w") as archive:
        archive.writestr("a", "x")
        archive.comment = b"no more than a comment" * 100
    made["commented.zip"] = commented.getvalue()
    made["nested.zip"] = zipped({"a.zip": made["0.zip"], "b.npz": zipped({"x.npy": saved(np.ones(3))})})
    assert findings(tmp_path, made) == set()


@pytest.mark.parametrize("kind", [preprocessing.PolynomialFeatures, preprocessing.PowerTransformer, NMF])
def test_an_archive_whose_bytes_happen_to_go_on_like_a_pickle(kind: type, tmp_path: Path) -> None:
    """PyTorch keeps its pickle unpacked: what follows the first line of the archive may be operations."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps([kind().fit(ROWS), Ridge().fit(ROWS, ROWS)], 2))
    assert findings(tmp_path, {"m.pt": made.getvalue()}) == set()


def test_bytes_around_an_archive_are_only_recorded(tmp_path: Path) -> None:
    tflite = b"\x1c\0\0\0TFL3" + bytes(9_000) + zipped({"labels.txt": b"cat\ndog\n"})
    assert findings(tmp_path, {"model.tflite": tflite}) == {("model.tflite", "suspicious", "two-formats")}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives(tmp_path: Path, mode: str) -> None:
    files = {
        "a/b.txt": b"text" * 999,
        "e" * 150 + "/é": b"x",
        "empty": b"",
        "m.npz": zipped({"x.npy": saved(np.ones(3))}),
    }
    made = {f"{form}.bin": tarred(files, mode, form=form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)}
    made["0.bin"] = tarred({"a": b"x"}, mode, form=tarfile.USTAR_FORMAT)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode, pax_headers={"comment": "of git"}) as tar:  # type: ignore[call-overload]
        tar.addfile(tarfile.TarInfo("folder"), None)
        info = tarfile.TarInfo("folder/a")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    made["git.bin"] = archive.getvalue()
    found = findings(tmp_path, made)
    assert {each[1:] for each in found} <= {("suspicious", "two-formats")}


def safetensors(length: int) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode().ljust(length)
    return struct.pack("<Q", length) + header + bytes(8)


def test_safetensors_whose_length_looks_like_a_pickle(tmp_path: Path) -> None:
    made = {f"{length}.safetensors": safetensors(length) for length in range(80, 2048)}
    made |= {f"{length}.bin": safetensors(length) for length in (0x280, 0x380, 0x480, 0x580, 104, 120, 160)}
    assert findings(tmp_path, made) == set()


TEXTS = {
    "labels.txt": "cat\ntoken\nqueue\n", "classes.txt": "chair\nqueue\ntable\nbed\n", "a.csv": "c1,c2\n1,2\n2.5,3\n",
    "b.csv": "code\n0\n1\n2.\n", "formula.txt": "x^2 + y^2 = r^2 and a long explanation of what it means\n" * 9,
    "merges.txt": "#version: 0.2\nc a\nt h\n", "notes.md": "(S) is a state\n", "vocab.json": '{"Lambda": 1}',
    "net.prototxt": 'name: "x"\ninput: "data"\n', "c.yaml": "config:\n  a: 1\n", "index.txt": "i\nj\n(k)\n",
    "functions.txt": "cos\nsin\ntan\n", "modules.csv": "ccode\nname\nvalue\n", "c.md": "cstatistics\nmean\n\n",
    "graph.json": '{"nodes": [{"op": "null", "name": "module"}]}', "crlf.csv": "category,score\r\nqueue,1\r\n",
}  # fmt: skip


def test_texts(tmp_path: Path) -> None:
    assert findings(tmp_path, {name: text.encode() for name, text in TEXTS.items()}) == set()


def test_weights_that_begin_like_anything(tmp_path: Path) -> None:
    made = {}
    for seed in range(1_500):
        data = random.Random(seed).randbytes(3_000)
        made[f"{seed}.bin"] = bytes([seed % 256]) + data
        if seed % 3 == 0:
            made[f"{seed}.dat"] = (
                random.Random(seed).choice((b"\x78\x9c", b"\x1f\x8b", b"\x5d\0", b"BZh", b"ZF", b"\x80\x04")) + data
            )
    found = findings(tmp_path, made)
    assert {each for each in found if each[1] == "dangerous"} == set()


def test_real_models_of_other_formats(tmp_path: Path) -> None:
    onnx = models.random_model(tmp_path / "m.onnx", megabytes=3)
    report = scan_package(tmp_path, [Entry("m.onnx", onnx.stat().st_size)], frozenset({"m.onnx"}))
    assert (report.findings, report.read, report.sniffed) == ((), 0, 1)


@pytest.mark.parametrize(
    "size",
    ["Symbol('s77', positive=True, integer=True)", "Add(Mul(Integer(2), s0), Integer(-1))", "2*s0 + 1", "Max(1, u0)",
     "floor(s0/2)", "int_oo", "-oo", "Eq(Mod(s0, 8), 0)", "1.5e-3", "TruncToInt(FloorDiv(s77, 2))"],
)  # fmt: skip
def test_the_sizes_of_an_exported_program_are_no_code(size: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
        archive.writestr("e/models/model.json", json.dumps({"as_expr": {"expr_str": size}}))
        archive.writestr("e/archive_format", "pt2")
    report = scan_package(tmp_path, [Entry("m.pt2", (tmp_path / "m.pt2").stat().st_size)])
    assert [each for each in report.findings if each.severity == "dangerous"] == []


def test_moments_with_a_zone(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 29, tzinfo=ZoneInfo("Europe/Berlin"))
    for protocol in range(6):
        data = pickle.dumps([moment, ZoneInfo("America/Argentina/Ushuaia")], protocol=protocol)
        (tmp_path / f"{protocol}.pkl").write_bytes(data)
    entries = [Entry(file.name, file.stat().st_size) for file in tmp_path.iterdir()]
    assert scan_package(tmp_path, entries).findings == ()
