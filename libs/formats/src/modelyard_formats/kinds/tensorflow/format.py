"""TensorFlow SavedModel: `saved_model.pb` with `variables/`. Read as protobuf; TensorFlow is not needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, Inspection, Signature
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MODEL_FOLDER, Format, Reading, within_bounds

if TYPE_CHECKING:
    from modelyard_formats.kinds.tensorflow.variables import Variables

GRAPH = "saved_model.pb"
INDEX = "variables/variables.index"
KERAS = "keras_metadata.pb"
DATA = "variables/variables.data-"
RULE = "saved_model.pb with variables/variables.index and variables/variables.data-*-of-*"
MAX_KERAS = 64 * 2**20
_SERVING = b"serving_default"
_INIT = b"__saved_model_init_op"


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if GRAPH not in names or INDEX not in names:
        return ()
    data = sorted(name for name in names if name.startswith(DATA))
    return ((GRAPH, INDEX, *((KERAS,) if KERAS in names else ()), *data),) if data else ()


def _hints(names: Sequence[str]) -> tuple[Problem, ...]:
    if GRAPH not in names:
        return ()
    missing = INDEX if INDEX not in names else f"{DATA}*"
    message = f"{MODEL_FOLDER}/{GRAPH} has no {MODEL_FOLDER}/{missing}"
    return (Problem(message=message, file=f"{MODEL_FOLDER}/{missing}", rule=RULE),)


def _reads(files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in files if not name.startswith(DATA))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    from modelyard_formats.kinds.tensorflow.files import operator_findings, operators, read_message, refuse_endless
    from modelyard_formats.kinds.tensorflow.variables import read_index
    from modelyard_formats.wire.protobuf_file import text

    name = f"{MODEL_FOLDER}/{GRAPH}"
    saved = read_message(folder / GRAPH, name, "SavedModel")
    if not saved.meta_graphs:
        raise bad_source(f"{name} holds no graph", file=name, rule="at least one graph with its signatures")
    variables = read_index(folder / INDEX, f"{MODEL_FOLDER}/{INDEX}")
    _check_shards(variables, folder, files)
    graphs = [meta.graph for meta in saved.meta_graphs]
    refuse_endless(graphs, name)
    chosen = _serving(saved.meta_graphs)
    tags = sorted({text(tag) for tag in chosen.info.tags})
    signatures = sorted(text(entry.key) for entry in chosen.signatures if entry.key != _INIT)
    inspection = Inspection(
        format=FORMAT.name,
        signature=_signature(chosen),
        opsets={"tensorflow": graphs[0].versions.producer} if graphs[0].versions.producer > 0 else {},
        producer=f"TensorFlow {text(chosen.info.version)}".strip()[:200],
        parameter_count=variables.parameters,
        operators=operators(graphs),
        details={"tags": ", ".join(tags)[:500], "signatures": ", ".join(signatures)[:500]},
    )
    findings = (*operator_findings(graphs, name), *_keras_findings(folder, files, saved))
    return Reading(within_bounds(inspection, name), files, findings)


def _check_shards(variables: "Variables", folder: Path, files: tuple[str, ...]) -> None:
    """That they are there, and as large as the index says."""
    for number in range(variables.shards):
        name = f"{DATA}{number:05}-of-{variables.shards:05}"
        file = f"{MODEL_FOLDER}/{name}"
        if name not in files:
            raise bad_source(
                f"{file} is missing; the index says that there are {variables.shards}", file=file, rule=RULE
            )
        size, needed = (folder / name).stat().st_size, variables.ends.get(number, 0)
        if size < needed:
            message = f"{file} is cut off: it has {size:,} bytes, the index needs {needed:,}"
            raise bad_source(message, file=file, rule="shards as large as the index says")


def _serving(metas: Sequence[Any]) -> Any:
    """The graph that is tagged for serving, the first one without such a tag."""
    return next((meta for meta in metas if b"serve" in meta.info.tags), metas[0])


def _signature(meta: Any) -> Signature:
    """Of `serving_default`, else of the first by name; empty when the graph has none."""
    from modelyard_formats.kinds.tensorflow.files import spec
    from modelyard_formats.wire.protobuf_file import text

    entries = sorted((entry for entry in meta.signatures if entry.key != _INIT), key=lambda entry: entry.key)
    chosen = next((entry for entry in entries if entry.key == _SERVING), entries[0] if entries else None)
    if chosen is None:
        return Signature(inputs=(), outputs=())

    def specs(part: Sequence[Any]) -> Any:
        ordered = sorted(part, key=lambda entry: entry.key)
        return tuple(spec(text(entry.key), entry.value.dtype, entry.value.shape) for entry in ordered)

    return Signature(inputs=specs(chosen.value.inputs), outputs=specs(chosen.value.outputs))


def _keras_findings(folder: Path, files: tuple[str, ...], saved: Any) -> tuple[Finding, ...]:
    """Layers that carry code: in keras_metadata.pb, and before TensorFlow 2.4 in the graph's own objects."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

    from modelyard_formats.kinds.tensorflow.files import MESSAGES
    from modelyard_formats.scan.schema import Undecodable, parse_json, scan_keras
    from modelyard_formats.scan.search import Search

    search = Search()
    search.file = f"{MODEL_FOLDER}/{GRAPH}"
    described = [node.user.metadata for meta in saved.meta_graphs for node in meta.objects.nodes if node.user.metadata]
    if KERAS in files:
        search.file = f"{MODEL_FOLDER}/{KERAS}"
        path, rule = folder / KERAS, f"a complete SavedMetadata of at most {MAX_KERAS:,} bytes"
        if path.stat().st_size > MAX_KERAS:
            raise bad_source(f"{search.file} is too large to be read", file=search.file, rule=rule)
        try:
            described += [node.metadata for node in MESSAGES["KerasMetadata"].FromString(path.read_bytes()).nodes]
        except DecodeError as error:
            raise bad_source(f"{search.file} cannot be read: {error}", file=search.file, rule=rule) from error
    for metadata in described:
        try:
            scan_keras(parse_json(metadata), search, ())
        except Undecodable:
            continue  # other objects describe themselves in other ways
    return search.findings()


FORMAT = Format(
    name="tensorflow-saved-model",
    model_types=("TensorFlow",),
    wants=f"a SavedModel ({RULE})",
    find=_find,
    hints=_hints,
    inspect=_inspect,
    reads=_reads,
    may_be_empty=lambda file: file.startswith(DATA),  # the index says which shards hold something
)
