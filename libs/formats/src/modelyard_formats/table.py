"""Every format there is. Import, convert and evaluate ask here; a new format is one more folder and one more row."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Inspection
from modelyard_formats.errors import BadSource, bad_source
from modelyard_formats.format import MODEL_FOLDER, Entry, Format, PrecisionHint, Reading
from modelyard_formats.kinds.caffe.format import FORMAT as CAFFE
from modelyard_formats.kinds.custom.format import FORMAT as CUSTOM
from modelyard_formats.kinds.image.format import FORMAT as IMAGE
from modelyard_formats.kinds.lightgbm.format import FORMAT as LIGHTGBM
from modelyard_formats.kinds.mindspore.lite_format import FORMAT as MINDSPORE_LITE
from modelyard_formats.kinds.mindspore.mindir_format import FORMAT as MINDIR
from modelyard_formats.kinds.mindspore.om_format import FORMAT as MINDSPORE_OM
from modelyard_formats.kinds.mxnet.format import FORMAT as MXNET
from modelyard_formats.kinds.onnx.format import FORMAT as ONNX
from modelyard_formats.kinds.openvino.format import FORMAT as OPENVINO
from modelyard_formats.kinds.pytorch.format import FORMAT as PYTORCH
from modelyard_formats.kinds.sklearn.format import FORMAT as SKLEARN
from modelyard_formats.kinds.skops.format import FORMAT as SKOPS
from modelyard_formats.kinds.spark.format import FORMAT as SPARK
from modelyard_formats.kinds.tensorflow.format import FORMAT as TENSORFLOW
from modelyard_formats.kinds.tensorflow.frozen_format import FORMAT as TENSORFLOW_FROZEN
from modelyard_formats.kinds.tflite.format import FORMAT as TFLITE
from modelyard_formats.kinds.xgboost.format import FORMAT as XGBOOST
from modelyard_formats.running import Runner

FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        ONNX,
        OPENVINO,
        PYTORCH,
        SKLEARN,
        SKOPS,
        XGBOOST,
        LIGHTGBM,
        TENSORFLOW,
        TENSORFLOW_FROZEN,
        TFLITE,
        SPARK,
        IMAGE,
        MINDSPORE_OM,
        MINDSPORE_LITE,
        MINDIR,
        MXNET,
        CAFFE,
        CUSTOM,
    )
}


def recognise(entries: Iterable[Entry], model_type: str | None = None) -> tuple[Format, tuple[str, ...]]:
    """The format of a package and its model's files, relative to `model/`, main file first.

    `model_type` is what config.json says, if it could be read: only formats of that type are looked for, unless none
    is there. Raises `BadSource` when there is no model, more than one, or an empty file.
    """
    sizes = {entry.path.removeprefix(f"{MODEL_FOLDER}/"): entry.size for entry in entries if _in_model(entry.path)}
    rows, found = _found(tuple(sizes), model_type)
    if not found:
        raise BadSource(_nothing_found(rows, tuple(sizes)))
    if len(found) > 1:
        names = ", ".join(f"{MODEL_FOLDER}/{files[0]}" for _, files in found)
        message = f"{len(found)} models in one package: {names}"
        raise bad_source(message, file=f"{MODEL_FOLDER}/{found[1][1][0]}", rule="exactly one model")
    row, files = found[0]
    if problems := tuple(empty_files(row, ((file, sizes[file]) for file in files))):
        raise BadSource(problems)
    return row, files


def empty_files(row: Format, sizes: Iterable[tuple[str, int]]) -> Iterator[Problem]:
    """Problems of the files of a model, given with their bytes, that have none and need some; of all if all are so."""
    judged = tuple(sizes)
    nothing = not any(size for _, size in judged)
    for file, size in judged:
        if not size and (nothing or not row.may_be_empty(file)):
            name = f"{MODEL_FOLDER}/{file}"
            yield Problem(message=f"{name} is empty", file=name, rule="a model file is not empty")


Found = list[tuple[Format, tuple[str, ...]]]


def _found(names: tuple[str, ...], model_type: str | None) -> tuple[list[Format], Found]:
    """The formats that were wanted, and the models there are of them; of any other format when there is none."""
    typed = [row for row in FORMATS.values() if model_type in row.model_types]
    named = [row for row in FORMATS.values() if not row.by_type_only]
    found = [(row, files) for row in typed or named for files in row.find(names)]
    return typed or named, found or [(row, files) for row in named for files in row.find(names)]


def _in_model(path: str) -> bool:
    return path.startswith(f"{MODEL_FOLDER}/") and path != f"{MODEL_FOLDER}/config.json"


def _nothing_found(rows: list[Format], names: tuple[str, ...]) -> tuple[Problem, ...]:
    hints = tuple(problem for row in rows for problem in row.hints(names)) or _ambiguous(rows, names)
    wanted = " or ".join(row.wants for row in rows)
    missing = Problem(message=f"no model file in model/; it needs {wanted}", file=f"{MODEL_FOLDER}/", rule=wanted)
    return hints or (missing,)


def _ambiguous(rows: list[Format], names: tuple[str, ...]) -> tuple[Problem, ...]:
    """Files that are models of one type or another: asked for where config.json does not say of which."""
    if any(row.by_type_only for row in rows):
        return ()
    problems = []
    asking = [row for row in FORMATS.values() if row.by_type_only and row is not CUSTOM]
    for name in names:
        types = [kind for row in asking if row.find([name]) for kind in row.model_types]
        if types:
            message = f"{MODEL_FOLDER}/{name} may be a model of {' or '.join(types)}: name the model_type"
            rule = f"model_type in {MODEL_FOLDER}/config.json is {' or '.join(types)}"
            problems.append(Problem(message=message, file=f"{MODEL_FOLDER}/{name}", rule=rule))
    return tuple(problems)


def inspect(format_name: str, root: Path) -> Inspection:
    """What the model in `root/model/` says of itself. Never executes anything. Raises `BadSource`."""
    return read(format_name, root).inspection


def read(format_name: str, root: Path) -> Reading:
    """As `inspect`, with the list of all files the model needs."""
    row = FORMATS[format_name]
    return row.read(root / MODEL_FOLDER, _files(row, root))


def runner(format_name: str, root: Path, *, threads: int, precision_hint: PrecisionHint = "f32") -> Runner:
    """The model in `root/model/`, loaded on the CPU with `threads` threads. Raises `BadSource` when it cannot be."""
    row = FORMATS[format_name]
    files = _files(row, root)
    if row.load is None:
        message = f"no runtime for {format_name} models is built in"
        raise bad_source(message, file=f"{MODEL_FOLDER}/{files[0]}", rule=f"one of {', '.join(runnable())}")
    try:
        return row.load(root / MODEL_FOLDER / files[0], threads, precision_hint)
    except ImportError:
        raise
    except Exception as error:  # native runtimes raise types of their own
        name = f"{MODEL_FOLDER}/{files[0]}"
        message = f"{name} does not load: {str(error).replace(str(root / MODEL_FOLDER / files[0]), name)}"
        raise bad_source(message, file=name, rule=f"a model that the {format_name} runtime loads") from error


def runnable() -> tuple[str, ...]:
    """Names of the formats that `runner` can run here."""
    return tuple(row.name for row in FORMATS.values() if row.load is not None)


def _files(row: Format, root: Path) -> tuple[str, ...]:
    folder = root / MODEL_FOLDER
    found = row.find(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
    if len(found) != 1:
        message = f"{len(found)} {row.name} models in model/"
        raise bad_source(message, file=f"{MODEL_FOLDER}/", rule=f"exactly one model: {row.wants}")
    return found[0]
