"""TensorFlow Lite (LiteRT): one `*.tflite`, a FlatBuffer. Read over a memory map; weights are measured, never read."""

from collections.abc import Sequence
from pathlib import Path

from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import BadSource, bad_source
from modelyard_formats.format import MAX_TENSORS, MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.tflite.operators import endless_problems, operator_findings, operators
from modelyard_formats.kinds.tflite.schema import Model, SignatureDef, Subgraph, Tensor, TensorMap
from modelyard_formats.kinds.tflite.tensors import Weights, spec
from modelyard_formats.wire.flatbuffer import Flatbuffer, Malformed, Table, opened

IDENTIFIER = b"TFL3"
VERSION = 3
RULE = "a complete TFLite model"
_SERVING = "serving_default"


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, ".tflite"))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name, path = f"{MODEL_FOLDER}/{files[0]}", folder / files[0]
    with opened(path, name, "TFLite model", RULE) as file:
        return _reading(file, name, files)


def _reading(file: Flatbuffer, name: str, files: tuple[str, ...]) -> Reading:
    if file.identifier() != IDENTIFIER:
        raise Malformed(f"it does not begin with the identifier {IDENTIFIER.decode()}")
    model = file.root()
    version, subgraphs = model.number(Model.VERSION, "I"), model.tables(Model.SUBGRAPHS)
    if version != VERSION or not subgraphs:
        message = f"{name} follows version {version} of the schema and has {len(subgraphs)} graphs"
        raise bad_source(message, file=name, rule=f"version {VERSION} of the schema, at least one graph")
    if model.tables(Model.EXTERNAL_BUFFERS):
        raise bad_source(f"{name} keeps weights in other files", file=name, rule="all weights are inside of the file")
    weights = Weights(file, model.tables(Model.BUFFERS), subgraphs)
    used = operators(model)
    if problems := tuple(endless_problems(model, name)):
        raise BadSource(problems)
    signatures = {each.text(SignatureDef.KEY): each for each in model.tables(Model.SIGNATURES)}
    details: dict[str, str | int] = {"quantisation": weights.quantisation, "graphs": len(subgraphs)}
    inspection = Inspection(
        format=FORMAT.name,
        signature=_signature(model, signatures),
        opsets={"tflite": version},
        producer=model.text(Model.DESCRIPTION)[:200] or "TensorFlow Lite",
        parameter_count=weights.parameters,
        operators=used,
        details=details | ({"signatures": ", ".join(sorted(signatures))[:500]} if signatures else {}),
    )
    return Reading(within_bounds(inspection, name), files, operator_findings(model, used, name))


def _signature(model: Table, signatures: dict[str, Table]) -> Signature:
    """Of `serving_default`, else of the first by name; the first graph's ends, by their own names, without one."""
    key = _SERVING if _SERVING in signatures else min(signatures, default="")
    chosen = signatures.get(key)
    graph = model.tables(Model.SUBGRAPHS)[chosen.number(SignatureDef.SUBGRAPH, "I") if chosen else 0]
    if chosen is None:
        return Signature(inputs=_ends(graph, Subgraph.INPUTS), outputs=_ends(graph, Subgraph.OUTPUTS))
    inputs, outputs = _named(graph, chosen, SignatureDef.INPUTS), _named(graph, chosen, SignatureDef.OUTPUTS)
    return Signature(inputs=inputs, outputs=outputs)


def _ends(graph: Table, field: int) -> tuple[TensorSpec, ...]:
    tensors = graph.tables(Subgraph.TENSORS)
    ends = (tensors[index] for index in graph.numbers(field, "i", MAX_TENSORS))
    return tuple(spec(tensor.text(Tensor.NAME), tensor) for tensor in ends)


def _named(graph: Table, signature: Table, field: int) -> tuple[TensorSpec, ...]:
    tensors, ends = graph.tables(Subgraph.TENSORS), signature.tables(field)
    if len(ends) > MAX_TENSORS:
        raise Malformed(f"a signature has {len(ends):,} inputs or outputs, more than {MAX_TENSORS:,}")
    return tuple(spec(end.text(TensorMap.NAME), tensors[end.number(TensorMap.TENSOR, "I")]) for end in ends)


FORMAT = Format(
    name="tflite",
    model_types=("TFLite",),
    wants="one *.tflite",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
)
