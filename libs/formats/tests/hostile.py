"""Containers around code, as somebody would write them who knows the loaders. Used by `test_scan_hostile`.

Each is a file's name, its bytes, and what its loader does. `RUNS` makes a file called `executed` where it is loaded.
Python's own readers stand for loaders that are not installed here: PyTorch unpickles members of a zip archive.
"""

import bz2
import gzip
import io
import lzma
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np

COMMAND = "touch executed"


class Runs:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (COMMAND,)


RUNS = pickle.dumps(Runs(), protocol=4)
OLD = b"cos\nsystem\n(V" + COMMAND.encode() + b"\ntR."  # protocol 0 has no mark of its own
PADDED = OLD[:-1] + b"0" + b"N0" * 40_000 + b"N."  # goes on long after the call


class Hostile(NamedTuple):
    file: str
    data: bytes
    load: Callable[[Path], Any] | None


def npy(header: str | bytes, body: bytes, version: int = 1) -> bytes:
    raw = header.encode("utf-8" if version == 3 else "latin-1") if isinstance(header, str) else header
    width = "<H" if version == 1 else "<I"
    raw += b" " * (-(9 + struct.calcsize(width) + len(raw)) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, len(raw)) + raw + body


def typed(descr: str, body: bytes = RUNS, **options: int) -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}", body, **options)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def tarred(
    files: dict[str, bytes], mode: str = "w", kind: bytes = tarfile.REGTYPE, form: int = tarfile.PAX_FORMAT
) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=form) as archive:  # type: ignore[call-overload]  # any mode
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def oldest_tar(name: str, data: bytes) -> bytes:
    """As in 1979: nothing says `ustar`."""
    block = bytearray(tarred({name: data}, form=tarfile.USTAR_FORMAT))
    block[257:512] = bytes(255)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def numpy_load(path: Path) -> Any:
    return np.load(path, allow_pickle=True)


def numpy_load_all(path: Path) -> Any:
    with path.open("rb") as file:
        while file.peek(1):
            np.load(file, allow_pickle=True)


def numpy_load_members(path: Path) -> Any:
    with np.load(path, allow_pickle=True) as arrays:
        return [arrays[name] for name in arrays.files]


def opened_by(module: Any) -> Callable[[Path], Any]:
    def load(path: Path) -> Any:
        with module.open(path) as file:
            return pickle.load(file)

    return load


def zip_member(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.file_size:
                pickle.load(archive.open(info))


def tar_member(path: Path, **options: Any) -> Any:
    with tarfile.open(path, **options) as archive:
        for member in archive:
            if file := archive.extractfile(member):
                pickle.load(file)


def tar_with_zeros(path: Path) -> Any:
    tar_member(path, ignore_zeros=True)


def unpack_and_load(kind: str) -> Callable[[Path], Any]:
    def load(path: Path) -> Any:
        with tarfile.open(path) if kind == "tar" else zipfile.ZipFile(path) as archive:
            archive.extractall(path.parent / "unpacked")
        shutil.copyfile(
            next(each for each in (path.parent / "unpacked").rglob("*") if each.is_file()), path.parent / "one"
        )
        return joblib.load(path.parent / "one")

    return load


def pickle_load(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)


def twice(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file), np.load(file, allow_pickle=True)


def alone(data: bytes, dictionary: int) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": dictionary}])


def raw_zlib(data: bytes, bits: int, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, wbits=bits)
    return packer.compress(data) + packer.flush()


def z_file(data: bytes) -> bytes:
    """joblib before 0.10."""
    return b"ZF" + f"{len(data):#x}".ljust(19).encode() + zlib.compress(data)


def two_directories() -> bytes:
    """Python reads the directory before the end record, PyTorch's reader the one to which the record points."""
    bad, good = zipped({"data.pkl": RUNS}), zipped({"data.pkl": pickle.dumps(1)})
    first, second = bad.index(b"PK\x01\x02"), good.index(b"PK\x01\x02")
    directory = bytearray(good[second:-22])
    directory[42:46] = struct.pack("<L", first - second)
    return bad[:-22] + good[:second] + bytes(directory) + good[-22:-6] + struct.pack("<LH", first, 0)


def zlib_in_pieces(path: Path) -> Any:
    return pickle.loads(zlib.decompressobj().decompress(path.read_bytes()[:-4]))


def keras(config: str, encoding: str = "utf-8", name: str = "config.json") -> bytes:
    return zipped({name: config.encode(encoding)})


def hdf5(text: bytes) -> bytes:
    return b"\x89HDF\r\n\x1a\n" + bytes(2**20 - 40) + text + bytes(100)


LAMBDA = (
    '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": '
    '{"function": ["4wEA", null, null]}}]}}'
)
SHAPES = "'fortran_order': False, 'shape': (1,)"
NUMPY = {
    "'object'": typed("'object'"),
    "'f4,O'": typed("'f4,O'"),
    "'2O'": typed("'2O'"),
    "'(2,)O'": typed("'(2,)O'"),
    "'O'": typed("'O'"),
    "'=O'": typed("'=O8'"),
    "'|O8'": typed("'|O8'"),
    "'object_'": typed("'object_'"),
    "a field": typed("[('a', 'O')]"),
    "a field of fields": typed("[('a', [('b', '<f4'), ('c', 'object')])]"),
    "a field with a title": typed("[(('t', 'a'), 'f4,O')]"),
    "a field of several": typed("[('a', 'O', (2,))]"),
    "a sub-array": typed("('O', (1,))"),
    "a set of fields": typed("{'aO'}"),
    "a dictionary of fields": typed("{'aO': 1}"),
    "escapes": typed("'\\x4f'"),
    "joined texts": typed("'ob' 'ject'"),
    "a key twice": npy(f"{{'descr': '<f4', {SHAPES}, 'descr': 'O'}}", RUNS),
    "keys in other quotes": npy('{"descr": "O", "fortran_order": False, "shape": (1,)}', RUNS),
    "a comment in between": npy(f"{{'descr': # '<f4'\n 'O', {SHAPES}}}", RUNS),
    "numbers of Python 2": npy("{'descr': 'object', 'fortran_order': False, 'shape': (1L,)}", RUNS),
    "version 2": typed("'object'", version=2),
    "version 3": typed("[('\u00e9', 'object')]", version=3),
    "a long header": npy(f"{{'descr': 'O', {SHAPES}}}" + " " * 300_000, RUNS, version=2),
    "a harmless header": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", RUNS),
}
HOSTILE = {
    **{
        f"npy, {name}": Hostile("a.npy", data, numpy_load)
        for name, data in NUMPY.items()
        if name != "a harmless header"
    },
    "npy, behind numbers": Hostile("a.npy", NUMPY["a harmless header"], numpy_load_all),
    "npy, a second array": Hostile(
        "a.npy", npy(f"{{'descr': '<f4', {SHAPES}}}", b"1234") + typed("'O'"), numpy_load_all
    ),
    "npy, behind harmless objects": Hostile(
        "a.npy", typed("'|O'", pickle.dumps(np.array([None]))) + typed("'2O'"), numpy_load_all
    ),
    "npy, under another name": Hostile("labels.txt", typed("'object'"), numpy_load),
    "npy, no array at all": Hostile("a.npy", OLD, numpy_load),
    "npy, behind a pickle": Hostile("state.bin", pickle.dumps([1]) + typed("'f4,O'"), twice),
    "npz": Hostile("a.npz", zipped({"x.npy": typed("'f4,O'")}), numpy_load_members),
    "npz, a member like a folder": Hostile("a.npz", zipped({"x/": typed("'f4,O'")}), numpy_load_members),
    "npz, packed with LZMA": Hostile("a.bin", zipped({"x.npy": typed("'2O'")}, zipfile.ZIP_LZMA), numpy_load_members),
    "npz, packed with bzip2": Hostile("a.bin", zipped({"x.npy": typed("'2O'")}, zipfile.ZIP_BZIP2), numpy_load_members),
    "LZMA, an odd dictionary": Hostile("w.bin", alone(RUNS, 0x18000), joblib.load),
    "LZMA, a small dictionary": Hostile("w.m", alone(RUNS, 4096), joblib.load),
    "LZMA, a dictionary rounded up": Hostile("w", alone(OLD, 0x10100), joblib.load),
    "LZMA, cut off": Hostile("w.bin", alone(PADDED, 2**16)[:-5], opened_by(lzma)),
    "zlib, cut before its checksum": Hostile("w.bin", zlib.compress(OLD + b" " * 64)[:-4], joblib.load),
    "zlib, cut in the middle": Hostile("w.bin", zlib.compress(PADDED, 0)[:9_000], joblib.load),
    "zlib, broken further on": Hostile("w.bin", zlib.compress(PADDED, 0)[:9_000] + b"\xff" * 9_000, joblib.load),
    "zlib, a wrong checksum": Hostile(
        "w.bin",
        zlib.compress(OLD)[:-4] + b"abcd",
        zlib_in_pieces,
    ),
    "zlib, a small window": Hostile(
        "w.bin", raw_zlib(RUNS, 9), lambda path: pickle.loads(zlib.decompress(path.read_bytes()))
    ),
    "zlib, not compressed": Hostile("notes.md", zlib.compress(RUNS, 0), joblib.load),
    "gzip": Hostile("w.bin", gzip.compress(RUNS), joblib.load),
    "gzip, the first part empty": Hostile("w.bin", gzip.compress(b"") + gzip.compress(OLD), opened_by(gzip)),
    "gzip, zeros between the parts": Hostile(
        "w.bin", gzip.compress(b"N0") + b"\0" * 700 + gzip.compress(OLD), opened_by(gzip)
    ),
    "gzip, cut off": Hostile("w.bin", gzip.compress(OLD)[:-6], joblib.load),
    "bzip2, the first part empty": Hostile("w.bin", bz2.compress(b"") + bz2.compress(OLD), joblib.load),
    "bzip2, bytes behind it": Hostile("w.bin", bz2.compress(OLD) + b"more", joblib.load),
    "xz, two parts": Hostile("w.bin", lzma.compress(b"N0") + alone(OLD, 4096), joblib.load),
    "xz in gzip": Hostile(
        "w.bin",
        gzip.compress(lzma.compress(RUNS)),
        lambda path: pickle.loads(lzma.decompress(gzip.decompress(path.read_bytes()))),
    ),
    "an old joblib file": Hostile("w.bin", z_file(RUNS), joblib.load),
    "tar, the oldest": Hostile("w.bin", oldest_tar("data", RUNS), tar_member),
    "tar, a kind that nobody knows": Hostile("w.tar", tarred({"data": RUNS}, kind=b"Z"), unpack_and_load("tar")),
    "tar, behind its end": Hostile("w.bin", tarred({"a": pickle.dumps(1)}) + tarred({"b": RUNS}), tar_with_zeros),
    "tar, behind zeros": Hostile("w.bin", bytes(1024) + tarred({"b": RUNS}), tar_with_zeros),
    "tar, behind zeros and a broken block": Hostile(
        "w.bin", bytes(600) + b"broken" + bytes(418) + tarred({"b": RUNS}), tar_with_zeros
    ),
    "tar, the oldest in xz": Hostile("w.m", lzma.compress(oldest_tar("data", RUNS)), tar_member),
    "tar, a zip in it": Hostile("w.tgz", tarred({"a.zip": zipped({"m": RUNS})}, "w:gz"), None),
    "zip in an image": Hostile("logo.png", b"\x89PNG\r\n\x1a\n" + zipped({"m": RUNS}), zip_member),
    "zip, named as ONNX": Hostile("model.onnx", zipped({"m": RUNS}), zip_member),
    "zip, a member like a folder": Hostile("w.bin", zipped({"m/": RUNS}), zip_member),
    "zip, packed with LZMA": Hostile("w.bin", zipped({"m": RUNS}, zipfile.ZIP_LZMA), zip_member),
    "zip, packed with bzip2": Hostile("w.bin", zipped({"m": RUNS}, zipfile.ZIP_BZIP2), zip_member),
    "pickle, named as safetensors": Hostile("model.safetensors", RUNS, pickle_load),
    "pickle, named as text": Hostile("labels.txt", OLD, pickle_load),
    "pickle, named as JSON": Hostile("vocab.json", b"(V" + COMMAND.encode() + b"\nios\nsystem\n.", pickle_load),
    # Not installed here: what PyTorch, Keras and PyTables do with these is known from their sources.
    "zip, two directories": Hostile("w.bin", two_directories(), None),
    "tar, of PyTorch before 2017": Hostile("w.pt", tarred({"storages": b"x", "tensors": b"x", "pickle": b"N."}), None),
    "Keras, nothing but the layers": Hostile("m.keras", keras(LAMBDA), None),
    "Keras, in UTF-16": Hostile("m.keras", keras(LAMBDA, "utf-16"), None),
    "Keras, with a byte order mark": Hostile("m.keras", keras(LAMBDA, "utf-8-sig"), None),
    "Keras, escapes": Hostile("m.keras", keras(LAMBDA.replace("Lambda", "\\u004cambda")), None),
    "Keras, a key twice": Hostile(
        "m.keras", keras(LAMBDA.replace('"Lambda"', '"Dense", "class_name": "Lambda"')), None
    ),
    "Keras, behind other bytes": Hostile("m.keras", b"#" * 99 + keras(LAMBDA), None),
    "Keras, in another archive": Hostile("m.zip", zipped({"m.keras": b"#" * 99 + keras(LAMBDA)}), None),
    "Keras, layers by themselves": Hostile("layers.json", LAMBDA.encode(), None),
    "Keras, a pickled PyTorch module": Hostile("m.keras", keras(LAMBDA.replace("Lambda", "TorchModuleWrapper")), None),
    # Seen to execute in PyTorch 2.13, each by its own loader.
    "torch.export, a size that is code": Hostile(
        "m.pt2", zipped({"e/models/model.json": b"{\"expr_str\": \"__import__('os').system('true')\"}"}), None
    ),
    "torch.export, code without a text": Hostile("m.pt2", zipped({"m.json": b'{"expr_str": "exec(chr(49))"}'}), None),
    "torch.export, an operator that is none": Hostile(
        "m.pt2", zipped({"e/models/model.json": b'{"nodes": [{"target": "torch.os.system"}]}'}), None
    ),
    "HDF5, a pickled PyTorch module": Hostile(
        "m.h5", hdf5(LAMBDA.replace("Lambda", "TorchModuleWrapper").encode()), None
    ),
    "torch.package, its own Python": Hostile(
        "m.pt", zipped({"m/evil.py": b"import os", "m/.data/extern_modules": b"", "m/model/model.pkl": b"N."}), None
    ),
    "TorchScript, a file": Hostile(
        "m.pt",
        zipped({"m/code/__torch__/a.py": b"    torch.save(torch.ones([3]), (st)[0])", "m/data.pkl": b"N."}),
        None,
    ),
    "HDF5, escapes": Hostile("m.h5", hdf5(LAMBDA.replace("Lambda", "L\\u0061mbda").encode()), None),
    "HDF5, escapes in the key": Hostile("m.h5", hdf5(LAMBDA.replace("class_name", "cl\\u0061ss_name").encode()), None),
    "HDF5, many blanks": Hostile("m.h5", hdf5(LAMBDA.replace(": ", ":" + " " * 5_000).encode()), None),
    "HDF5, a module": Hostile("m.h5", hdf5(b'{"module": "os", "class_name": "function", "config": "system"}'), None),
    "HDF5, by another name": Hostile("m.bin", hdf5(LAMBDA.encode()), None),
    "HDF5, behind other bytes": Hostile("m.h5", bytes(2048) + hdf5(LAMBDA.encode()), None),
    "HDF5, an attribute that is a pickle": Hostile("m.h5", hdf5(RUNS), None),
    "HDF5, an attribute that is an old pickle": Hostile("m.h5", hdf5(OLD), None),
}
