"""Which operators a TFLite model runs, and which of them need code that TFLite does not bring. For `tflite.format`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding
from modelyard_formats.expansion import Body, expansion_problems
from modelyard_formats.kinds.tflite.schema import (
    CUSTOM,
    OPERATORS,
    RUNS_GRAPHS,
    Model,
    Operator,
    OperatorCode,
    Subgraph,
)
from modelyard_formats.wire.flatbuffer import Malformed, Table

_OWN = "custom::"
_FLEX = f"{_OWN}Flex"  # the converter's prefix for operators of TensorFlow itself
_PRINT = f"{_FLEX}PrintV2"


def endless_problems(model: Table, file: str) -> Iterator[Problem]:
    """Graphs that run each other in a circle, or too many."""
    bodies: dict[int, Body[int]] = {}
    names = _names(model)
    for number, graph in enumerate(model.tables(Model.SUBGRAPHS)):
        run = list(_in_graph(graph, names))
        bodies[number] = Body(len(run), [(called, 0) for each in run for called in _graphs_run(*each)])
    return expansion_problems(bodies, file, lambda number: f"graph {number}")


def _graphs_run(name: str, operator: Table) -> Iterator[int]:
    field, places = RUNS_GRAPHS.get(name, (0, ()))
    options = operator.table(field) if places else None
    for place in places:
        yield options.number(place, "i") if options else 0


def operators(model: Table) -> dict[str, int]:
    """Operators of all graphs, with how often each is there; `custom::Name` for those that are no builtins."""
    return dict(sorted(Counter(name for name, _ in _each(model)).items()))


def _each(model: Table) -> Iterator[tuple[str, Table]]:
    names = _names(model)
    for graph in model.tables(Model.SUBGRAPHS):
        yield from _in_graph(graph, names)


def _names(model: Table) -> Sequence[str]:
    return [_name(code) for code in model.tables(Model.OPERATOR_CODES)]


def _in_graph(graph: Table, names: Sequence[str]) -> Iterator[tuple[str, Table]]:
    for operator in graph.tables(Subgraph.OPERATORS):
        index = operator.number(Operator.CODE, "I")
        if index >= len(names):
            raise Malformed(f"an operator is of kind {index:,}, of {len(names):,} kinds")
        yield names[index], operator


def _name(code: Table) -> str:
    """The number is in one of two fields; the older one is a byte."""
    number = max(code.number(OperatorCode.OLD_BUILTIN, "b"), code.number(OperatorCode.BUILTIN, "i"))
    if number < 0:
        raise Malformed(f"an operator has the number {number}")
    if number == CUSTOM:
        return f"{_OWN}{code.text(OperatorCode.CUSTOM_NAME)}"
    return OPERATORS[number] if number < len(OPERATORS) else f"BUILTIN_{number}"


def operator_findings(model: Table, used: Mapping[str, int], file: str) -> tuple[Finding, ...]:
    found = [_finding(name, count, file) for name, count in used.items() if name.startswith(_OWN)]
    if _PRINT in used and any(name == _PRINT and _prints_to_file(operator) for name, operator in _each(model)):
        message = "operator FlexPrintV2 writes to a file of the host; export without it"
        found.append(Finding(file=file, severity="dangerous", rule="tensorflow-file-access", message=message))
    return tuple(found)


def _finding(name: str, count: int, file: str) -> Finding:
    shown = f"operator {name.removeprefix(_OWN)[:200]} ({count}×)"
    if not name.startswith(_FLEX):
        message = f"{shown} is no builtin: whoever runs the model needs code for it"
        return Finding(file=file, severity="suspicious", rule="custom-operator", message=message)
    from modelyard_formats.kinds.tensorflow.files import reach_of  # brings protobuf

    if reach := reach_of(name.removeprefix(_FLEX)):
        severity, rule, reason = reach
        return Finding(file=file, severity=severity, rule=rule, message=f"{shown} {reason}")
    message = f"{shown} is TensorFlow's: whoever runs the model needs the Select TensorFlow operators"
    return Finding(file=file, severity="suspicious", rule="custom-operator", message=message)


def _prints_to_file(operator: Table) -> bool:
    """Its options hold TensorFlow's own node, whose `output_stream` is `file://…`."""
    return b"file:" in operator.content(Operator.OPTIONS, most=2**16)
