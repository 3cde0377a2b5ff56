"""A package on this machine: a folder with its config.json, or one model file with what belongs to it.

What can be known without the gateway is said before anything is sent.
"""

import hashlib
import json
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from modelyard.errors import NotFoundHere
from modelyard.transfer.folders import Contents, behind, files_below

MODEL_TYPES: Final = {
    ".onnx": "ONNX",
    ".xml": "OpenVINO",
    ".tflite": "TFLite",
    ".pt2": "PyTorch",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".pb": "TensorFlow",
    ".m": "Scikit_Learn",
    ".pkl": "Scikit_Learn",
    ".pickle": "Scikit_Learn",
    ".joblib": "Scikit_Learn",
    ".skops": "Scikit_Learn",
    ".ubj": "XGBoost",
    ".model": "XGBoost",
    ".json": "XGBoost",
    ".txt": "LightGBM",
    ".om": "MindSpore",
    ".ms": "MindSpore",
    ".mindir": "MindSpore",
}
"""Of a file alone. What of several kinds may be called so is taken as the commonest."""
TYPES: Final = frozenset(
    {*MODEL_TYPES.values(), "TensorFlow", "MXNet", "Caffe", "Spark_MLlib", "Image", "Template", "Custom"}
)
_WEIGHTS: Final = {*MODEL_TYPES, ".bin", ".caffemodel", ".params", ".pb", ".safetensors"} - {".json", ".txt"}
ALGORITHM: Final = "predict_analysis"
MOST_FILES: Final = 1_200  # of one upload, whatever an operator has set; most gateways take USUAL_FILES, and say so
USUAL_FILES: Final = 1_000
MOST_CONFIG: Final = 2**20  # bytes
_CONFIGS: Final = ("config.json", "model/config.json")
_LOCATION: Final = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x01-\x7f])")
"""How ONNX's protobuf writes that a tensor's data lie in another file, up to the length of its name."""


@contextmanager
def package(
    place: Path, *, hidden: bool = False, model_type: str | None = None, algorithm: str | None = None
) -> Iterator[Contents]:
    """What of `place` is sent. Raises NotFoundHere for what cannot be a package."""
    if place.is_file():
        with TemporaryDirectory() as made:
            yield _one_file(place, Path(made), model_type, algorithm or ALGORITHM)
        return
    if not place.exists():
        raise NotFoundHere(f"{place} does not exist")
    if place.is_dir() and (model_type or algorithm):
        raise NotFoundHere(f"{place} is a folder: its config.json says the type and the algorithm")
    contents = files_below(place, hidden=hidden)
    _check(contents)
    yield contents


def _check(contents: Contents) -> None:
    folder, count = contents.place, len(contents.files)
    config = next((contents.files[name] for name in _CONFIGS if name in contents.files), None)
    if config is None:
        hint = "; of the Hugging Face cache name one of snapshots/" if (folder / "snapshots").is_dir() else ""
        raise NotFoundHere(f"{folder} is no model package: it has neither config.json nor model/config.json{hint}")
    if count > MOST_FILES:
        advice = "pack many files into one archive, many samples into one .npz"
        raise NotFoundHere(f"{folder} holds {count:,} files, at most {USUAL_FILES:,} go in one upload; {advice}")
    size = config.stat().st_size
    if size > MOST_CONFIG:
        raise NotFoundHere(f"{config} has {size:,} bytes, at most {MOST_CONFIG:,} are read")
    try:
        said = json.loads(config.read_bytes())
    except ValueError as error:
        raise NotFoundHere(f"{config} is not valid JSON: {error}") from error
    if not isinstance(said, dict):
        raise NotFoundHere(f"{config} holds no JSON object")
    if isinstance(kind := said.get("model_type"), str):
        _known(kind, f"{config}: model_type")
    weights = [name for name in contents.files if PurePosixPath(name).suffix.lower() in _WEIGHTS]
    for name in weights:
        _not_empty(contents.files[name])
    missing = next((each for each in contents.left_out if PurePosixPath(each.path).suffix.lower() in _WEIGHTS), None)
    if missing and not weights:
        raise NotFoundHere(f"{folder} holds no weights that can be sent: {missing.path}: {missing.reason}")


def _known(kind: str, what: str) -> None:
    if kind not in TYPES:
        close = get_close_matches(kind.casefold(), names := {each.casefold(): each for each in TYPES}, n=1)
        advice = f"did you mean {names[close[0]]!r}?" if close else f"there are {', '.join(sorted(TYPES))}"
        raise NotFoundHere(f"{what} {kind!r} is none; {advice}")


def _not_empty(weights: Path) -> None:
    if not weights.stat().st_size:
        raise NotFoundHere(f"{weights} is empty: it holds no model")


def _one_file(place: Path, made: Path, model_type: str | None, algorithm: str) -> Contents:
    kind = model_type or MODEL_TYPES.get(place.suffix.lower())
    if kind is None:
        known = ", ".join(MODEL_TYPES)
        raise NotFoundHere(
            f"{place} may be anything; alone go {known}, others with their model_type (--type), or as a folder with a "
            "config.json"
        )
    _known(kind, "--type")
    _not_empty(place)
    name = "model.om" if place.suffix == ".om" else place.name
    config = {"model_algorithm": algorithm, "model_type": kind}
    files = {name: place.resolve(), **_beside(place), "config.json": _written(made / "config.json", config)}
    told = ", ".join(f"{field} {value}" for field, value in config.items())
    also = [each for each in files if each not in (name, "config.json")]
    notes = [f"config.json is made for {place.name}: {told} (--type, --algorithm)"]
    notes += [f"with it: {', '.join(also)}"] if also else []
    return Contents(place, dict(sorted(files.items())), notes=tuple(notes))


def _written(path: Path, config: dict[str, Any]) -> Path:
    """Its time of change stands for its content: the same again is the same upload, another is another."""
    text = json.dumps(config).encode()
    path.write_bytes(text)
    moment = int.from_bytes(hashlib.sha256(text).digest()[:6], "big")
    os.utime(path, ns=(moment, moment))
    return path


def _beside(place: Path) -> dict[str, Path]:
    """What the model needs of its folder. Raises NotFoundHere when it is not there."""
    names: list[str] = []
    if place.suffix == ".xml":
        names = [f"{place.stem}.bin"]
    elif place.suffix == ".onnx":
        names = _external(place)
    return {name: _there(place, name) for name in names}


def _external(place: Path) -> list[str]:
    """The files that an ONNX model names as external data, found by how they are written: nothing is parsed."""
    if not place.stat().st_size:
        return []
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found: dict[str, None] = {}
        for match in _LOCATION.finditer(data):
            length = sum((byte & 0x7F) << (7 * at) for at, byte in enumerate(match[1]))
            name = data[match.end() : match.end() + length].decode("utf-8", "replace")
            found[PurePosixPath(name).as_posix()] = None
    return list(found)


def _there(place: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    found = behind(place.parent.joinpath(*parts), place.parent) if name.isprintable() else "no file name"
    if isinstance(found, Path) and ".." not in parts:
        return found
    raise NotFoundHere(f"{place} keeps its weights in {name!r}, which cannot be sent with it: {found}")
