"""What a file's name alone says: whether its content has to be seen, and whether it belongs into a package."""

from pathlib import PurePosixPath
from typing import NamedTuple

from modelyard_formats.pickle.rules import Severity


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(text.split())


SMALL = 16 * 2**20
# Read whatever their size: an unpickler or unpacker may be pointed at them.
_READ = _suffixes(
    ".pkl .pickle .joblib .dill .pt .pth .pt2 .ckpt .m .model .npy .npz .zip .tar .tgz .gz .bz2 .xz .lzma .7z .rar "
    ".zst .lz4 .skops .keras .h5 .hdf5 .mar .whl .jar"
)
# Formats that nobody unpickles or unpacks; the inspector of the format reads those that are the model.
_PLAIN = _suffixes(
    ".onnx .pb .tflite .om .ms .mindir .caffemodel .prototxt .params .safetensors .index .xml .parquet .csv .tsv "
    ".json .ubj .txt .md .rst .yaml .yml .toml .png .jpg .jpeg .bmp .gif .webp .tif .tiff .wav .mp3 .mp4 .pdf"
)
_PROGRAMS = _suffixes(
    ".sh .bash .bat .cmd .ps1 .exe .dll .so .dylib .com .scr .msi .vbs .jar .pyc .pyo .pyd .whl .egg .deb .rpm"
)


class Named(NamedTuple):
    severity: Severity
    rule: str
    message: str


def wants_content(path: str, size: int) -> bool:
    """Whether the scan reads the file, so that the import service fetches it. `size` in bytes.

    Everything small that is not plainly text, picture or a format of its own, and whatever its size what is loaded by
    unpickling or unpacking. Weights of unknown kind above 16 MiB are not: the scan says so of them.
    """
    suffix = _suffix(path)
    return suffix in _READ or (size <= SMALL and suffix not in _PLAIN)


def is_plain(path: str) -> bool:
    """Whether nothing about the file needs to be said although nobody reads it."""
    return _suffix(path) in _PLAIN or PurePosixPath(path).name.startswith("variables.data-")


def judge_name(path: str) -> Named | None:
    name, suffix = PurePosixPath(path).name.lower(), _suffix(path)
    if name == "customize_service.py":
        return Named("info", "custom-code", "the package brings its own serving code; nothing here runs it")
    if suffix == ".ipynb":
        return Named("suspicious", "notebook", "a notebook is no part of a model and may hold code and results")
    if suffix in _PROGRAMS or ".so." in name:
        return Named("suspicious", "program", "a program, library or installable package beside the model")
    return None


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
