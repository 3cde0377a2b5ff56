"""What a file's name alone says: whether its content has to be seen, and whether it belongs into a package."""

from pathlib import PurePosixPath
from typing import NamedTuple

from modelyard_formats.pickle.rules import Severity


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(text.split())


SMALL = 16 * 2**20
TINY = 2**20  # fetching both ends would cost as much
# Read whatever their size: an unpickler or unpacker may be pointed at them.
_READ = _suffixes(
    ".pkl .pickle .joblib .dill .pt .pth .pt2 .ckpt .m .model .npy .npz .zip .tar .tgz .gz .bz2 .xz .lzma .7z .rar "
    ".zst .lz4 .skops .keras .h5 .hdf5 .mar .nemo .whl .jar .egg"
)
# Models of formats that nobody unpickles or unpacks; the inspector of the format reads those that are the model.
_MODELS = _suffixes(".onnx .pb .tflite .om .ms .mindir .caffemodel .safetensors .gguf")
_GRAPHS = _suffixes(".onnx .pb .tflite .caffemodel")
# Weights or a whole model, of whatever framework: an empty one is a failed copy.
_WEIGHTS = _MODELS | _suffixes(
    ".bin .weights .pt .pth .pt2 .ckpt .pkl .pickle .joblib .dill .skops .m .model .ubj .h5 .hdf5 .keras .params "
    ".onnx_data .msgpack .mar .nemo .ggml .engine .plan .trt .mlmodel .pdmodel .pdparams .pdiparams "
    ".rknn .dlc .mnn .hef"
)
_PLAIN = _MODELS | _suffixes(
    ".prototxt .params .index .xml .parquet .csv .tsv "
    ".json .ubj .txt .md .rst .yaml .yml .toml .png .jpg .jpeg .bmp .gif .webp .tif .tiff .wav .mp3 .mp4 .pdf"
)
_PROGRAMS = _suffixes(
    ".sh .bash .bat .cmd .ps1 .exe .dll .so .dylib .com .scr .msi .vbs .jar .pyc .pyo .pyd .whl .egg .deb .rpm"
)

_DATABASES = _suffixes(".dir .db .db3 .sqlite .sqlite3 .shelf .shelve .gdbm .mdb")
_PACKAGE = ".data/extern_modules"


class Named(NamedTuple):
    severity: Severity
    rule: str
    message: str


def wants_content(path: str, size: int) -> bool:
    """Whether the scan reads the file whatever its ends look like, so that the import service fetches it.

    `size` in bytes. Everything small, and whatever its size what is loaded by unpickling or unpacking. Of all else both
    ends are looked at, and they may ask for the whole (`sniff.loadable`).
    """
    suffix = _suffix(path)
    return suffix in _READ or size <= (TINY if suffix in _PLAIN and suffix != ".json" else SMALL)


def is_plain(path: str) -> bool:
    """Whether nothing about the file needs to be said although nobody reads it."""
    return _suffix(path) in _PLAIN or PurePosixPath(path).name.startswith("variables.data-")


def is_model_format(path: str) -> bool:
    """Whether the name promises one format, which is none that is unpickled or unpacked."""
    return _suffix(path) in _MODELS


def holds_graph(path: str) -> bool:
    """Whether the name promises operators."""
    return _suffix(path) in _GRAPHS


def holds_weights(path: str) -> bool:
    """Whether the name promises weights or a model, so that nobody can do anything with the file when it is empty."""
    return _suffix(path) in _WEIGHTS or path.lower().endswith(".onnx.data") or ".data-0" in PurePosixPath(path).name


def judge_name(path: str) -> Named | None:
    name, suffix = PurePosixPath(path).name.lower(), _suffix(path)
    if name == "customize_service.py":
        return Named("info", "custom-code", "the package brings its own serving code; nothing here runs it")
    if path.endswith(_PACKAGE):
        message = "an unpacked torch.package brings Python code that loading it runs; save a state_dict"
        return Named("dangerous", "torch-package", message)
    kind = _NAMED.get(suffix) or (_PROGRAM if suffix in _PROGRAMS or ".so." in name else None)
    return Named("suspicious", *kind) if kind else None


_PROGRAM = "program", "a program, library or installable package beside the model"
_NAMED = {
    **dict.fromkeys(_DATABASES, ("database", "a database may hold pickles, which are not searched for in it")),
    ".py": ("program", "Python code beside the model, which some loaders import"),
    ".ipynb": ("notebook", "a notebook is no part of a model and may hold code and results"),
}


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
