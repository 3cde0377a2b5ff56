"""Caffe: `deploy.prototxt`, which describes the network, and one `*.caffemodel` with its weights."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Inspection
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.caffe.net import Layer, deployed, findings, layers, signature
from modelyard_formats.kinds.caffe.text import Fields, Malformed, parse, texts

DEPLOY, WEIGHTS = "deploy.prototxt", ".caffemodel"
RULE = f"{DEPLOY} and one *{WEIGHTS}"
MAX_TEXT = 16 * 2**20
_WEIGHTED = frozenset({"Convolution", "InnerProduct"})


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    weights = at_top(names, WEIGHTS)
    return ((DEPLOY, *weights),) if DEPLOY in names and len(weights) == 1 else ()


def _hints(names: Sequence[str]) -> tuple[Problem, ...]:
    weights, others = at_top(names, WEIGHTS), at_top(names, ".prototxt")
    if DEPLOY not in names:
        beside = f"; {MODEL_FOLDER}/{others[0]} is not called so" if others else ""
        missing = [(name, f"{MODEL_FOLDER}/{name} has no {DEPLOY} beside it{beside}") for name in weights]
    elif not weights:
        missing = [(DEPLOY, f"{MODEL_FOLDER}/{DEPLOY} has no *{WEIGHTS} beside it")]
    else:
        missing = [(weights[1], f"{len(weights)} files *{WEIGHTS} in one package: {', '.join(weights)}")]
    return tuple(Problem(message=message, file=f"{MODEL_FOLDER}/{name}", rule=RULE) for name, message in missing)


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    from modelyard_formats.kinds.caffe.weights import read_weights  # brings protobuf: not for those who only list

    name, weights = (f"{MODEL_FOLDER}/{file}" for file in files)
    net = _read_net(folder / files[0], name)
    parameters = read_weights(folder / files[1], weights)
    try:
        found = layers(net)
        present = deployed(found)
        ends = signature(net, present)
    except Malformed as error:
        raise bad_source(f"{name} describes no network: {error}", file=name, rule="a Caffe network") from error
    if not present:
        raise bad_source(f"{name} has no layers", file=name, rule="at least one layer in phase TEST")
    if not parameters.keys() & {layer.name for layer in found}:
        message = f"{weights} holds {'weights of none of the layers in ' + name if parameters else 'no weights'}"
        raise bad_source(message, file=weights, rule="layers are called the same in both files")
    inspection = Inspection(
        format=FORMAT.name,
        signature=ends,
        producer="Caffe",
        parameter_count=sum(parameters.values()),
        operators=dict(sorted(Counter(layer.kind for layer in present).items())),
        details=_details(net, present, parameters),
    )
    return Reading(within_bounds(inspection, name), files, tuple(findings(found, name)))


def _read_net(path: Path, name: str) -> Fields:
    size = path.stat().st_size
    if size > MAX_TEXT:
        raise bad_source(f"{name} has {size:,} bytes", file=name, rule=f"at most {MAX_TEXT:,} bytes")
    try:
        return parse(path.read_bytes().decode(errors="backslashreplace"))
    except Malformed as error:
        raise bad_source(f"{name} cannot be read: {error}", file=name, rule="protobuf's text format") from error


def _details(net: Fields, present: Sequence[Layer], parameters: dict[str, int]) -> dict[str, str | int]:
    """`without_weights` are layers that Caffe would fill at random: the file of weights does not name them."""
    without = [layer.name for layer in present if layer.kind in _WEIGHTED and layer.name not in parameters]
    details: dict[str, str | int] = {"network": "".join(texts(net, "name"))[:200], "layers": len(present)}
    return details | ({"without_weights": ", ".join(without)[:500]} if without else {})


FORMAT = Format(
    name="caffe",
    model_types=("Caffe",),
    wants=RULE,
    find=_find,
    hints=_hints,
    inspect=_inspect,
    reads=lambda files: files,
)
