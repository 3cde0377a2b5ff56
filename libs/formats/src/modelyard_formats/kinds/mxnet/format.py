"""Apache MXNet: `*-symbol.json` and its `*-0000.params`. Read as JSON and as the heads of the stored arrays."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MAX_RANK, MODEL_FOLDER, UNKNOWN_RANK, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.mxnet.params import DTYPES, Malformed, plain_names, read_params
from modelyard_formats.scan.schema import Undecodable, parse_json

SYMBOL, PARAMS = "-symbol.json", "-0000.params"
RULE = f"X{SYMBOL} and X{PARAMS}, as save_checkpoint or export write them"
MAX_SYMBOL = 16 * 2**20
_PYTHON = frozenset({"Custom", "_CustomFunction", "_Native", "_NDArray"})


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    stems = (name.removesuffix(SYMBOL) for name in at_top(names, SYMBOL))
    return tuple((stem + SYMBOL, stem + PARAMS) for stem in stems if stem + PARAMS in names)


def _hints(names: Sequence[str]) -> tuple[Problem, ...]:
    missing = [(name, name.removesuffix(SYMBOL) + PARAMS) for name in at_top(names, SYMBOL)]
    missing += [(name, re.sub(r"-\d+\.params$", "", name) + SYMBOL) for name in at_top(names, ".params")]
    return tuple(
        Problem(message=f"{MODEL_FOLDER}/{name} has no {other} beside it", file=f"{MODEL_FOLDER}/{name}", rule=RULE)
        for name, other in missing
        if other not in names
    )


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    symbol, params = (f"{MODEL_FOLDER}/{name}" for name in files)
    try:
        with (folder / files[1]).open("rb") as file:
            arrays = dict(plain_names(read_params(file, (folder / files[1]).stat().st_size)))
    except Malformed as error:
        raise bad_source(f"{params} cannot be read: {error}", file=params, rule="arrays with names") from error
    graph = _read_symbol(folder / files[0], symbol)
    try:
        nodes = list(_nodes(graph))
        own = [node for node in graph["nodes"] if node["op"] == "null"]
        operators = Counter(str(node["op"]) for node in nodes if node["op"] != "null")
        inspection = Inspection(
            format=FORMAT.name,
            signature=Signature(
                inputs=tuple(_input(node) for node in own if node["name"] not in arrays),
                outputs=tuple(_outputs(graph)),
            ),
            producer=f"MXNet {_version(graph)}".strip(),
            parameter_count=sum(array.elements for array in arrays.values()),
            operators=dict(sorted(operators.items())),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        message = f"{symbol} is no MXNet symbol: {type(error).__name__} {error!s:.200}"
        raise bad_source(message, file=symbol, rule=RULE) from error
    if arrays and not {str(node["name"]) for node in own} & arrays.keys():
        raise bad_source(f"{params} holds none of the symbol's parameters", file=params, rule=RULE)
    return Reading(within_bounds(inspection, symbol), files, tuple(_findings(nodes, symbol)))


def _read_symbol(path: Path, name: str) -> dict[str, Any]:
    size = path.stat().st_size
    if size > MAX_SYMBOL:
        raise bad_source(f"{name} has {size:,} bytes", file=name, rule=f"at most {MAX_SYMBOL:,} bytes")
    try:
        graph = parse_json(path.read_bytes())
    except Undecodable as error:
        raise bad_source(f"{name}: {error}", file=name, rule=RULE) from error
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list) or not graph.get("heads"):
        raise bad_source(f"{name} has no nodes or no heads", file=name, rule=RULE)
    return graph


def _nodes(graph: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of the graph and of the bodies of its loops and branches."""
    waiting = [graph]
    while waiting:
        for node in waiting.pop()["nodes"]:
            if not isinstance(node["name"], str) or not isinstance(node["op"], str):
                raise TypeError("a node has no name or no operator")
            yield node
            waiting.extend(node.get("subgraphs", ()))


def _attributes(node: dict[str, Any]) -> dict[str, Any]:
    """They were called otherwise before release 1.0."""
    found = node.get("attrs") or node.get("attr") or node.get("param") or {}
    if not isinstance(found, dict):
        raise TypeError("a node's attributes are no object")
    return found


def _input(node: dict[str, Any]) -> TensorSpec:
    """0 and -1 are axes of any size; nothing is said of most inputs."""
    attributes = _attributes(node)
    flag, shape = str(attributes.get("__dtype__", "0")), str(attributes.get("__shape__", ""))
    dtype = DTYPES.get(int(flag), ("undefined", 0))[0] if re.fullmatch(r"\d{1,3}", flag) else "float32"
    sizes = re.findall(r"-?\d{1,18}", shape[:1000])
    axes = tuple(int(size) if int(size) > 0 else None for size in sizes)
    known = bool(re.match(r"[(\[]", shape)) and len(axes) <= MAX_RANK
    return TensorSpec(name=node["name"], dtype=dtype, shape=axes if known else UNKNOWN_RANK)


def _outputs(graph: dict[str, Any]) -> Iterator[TensorSpec]:
    """What they hold is only known once the shapes of the inputs are."""
    for head in graph["heads"]:
        node, index = graph["nodes"][_natural(head[0])], _natural(head[1])
        several = index > 0 or str(_attributes(node).get("num_outputs", "1")) != "1"
        suffix = "" if node["op"] == "null" else f"_output{index}" if several else "_output"
        yield TensorSpec(name=node["name"] + suffix, dtype="undefined", shape=UNKNOWN_RANK)


def _natural(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("a head points to no node")
    return value


def _version(graph: dict[str, Any]) -> str:
    """10901 is 1.9.1."""
    attributes = graph.get("attrs")
    found = attributes.get("mxnet_version") if isinstance(attributes, dict) else None
    number = found[1] if isinstance(found, list) and len(found) == 2 else None
    if not isinstance(number, int) or not 0 < number < 10**6:
        return ""
    return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"


def _findings(nodes: Sequence[dict[str, Any]], file: str) -> Iterator[Finding]:
    called = Counter(str(_attributes(node).get("op_type", "")) for node in nodes if node["op"] in _PYTHON)
    for name, count in sorted(called.items())[:20]:
        message = f"operator {name[:100]!r} ({count}×) is Python code that is not in the graph"
        yield Finding(file=file, severity="suspicious", rule="mxnet-custom", message=message)


FORMAT = Format(
    name="mxnet",
    model_types=("MXNet",),
    wants=f"one *{SYMBOL} and its *{PARAMS}",
    find=_find,
    hints=_hints,
    inspect=_inspect,
    reads=lambda files: files,
)
