"""What an ONNX graph becomes when it is loaded and run: tensors that operators make large, loops that go on and on.

What constants alone decide is refused. What the model's inputs decide is left to the limits of whoever runs it, and
recorded where nothing else ends it. Used by `onnx.inspection`, once the functions are known to be within bounds.
"""

from dataclasses import dataclass, field
from typing import Literal

from onnx import GraphProto, ModelProto, NodeProto

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding
from modelyard_formats.expansion import MAX_ELEMENTS, SIZE_RULE
from modelyard_formats.kinds.onnx.constants import Scope, Unknown, is_standard
from modelyard_formats.kinds.onnx.functions import graphs_of
from modelyard_formats.kinds.onnx.loops import MAX_STEPS, Turns, turns_of
from modelyard_formats.kinds.onnx.making import MULTIPLIES, SIZED_BY, elements_made
from modelyard_formats.kinds.onnx.written_out import CannotFollow, Circle, written_out

MOST_FINDINGS = 20


def growth(model: ModelProto, file: str) -> "Growth":
    """`model` is without weights, and changed by this."""
    found = Growth(file)
    try:
        whole = written_out(model)
    except Circle as circle:
        found.refuse(circle.node, "is made of its own output", "nodes in no circle")
        return found
    except CannotFollow as error:
        found.record("suspicious", "onnx-unfollowed", f"what its tensors become cannot be followed: {error}")
        whole = model
    opsets = {item.domain or "": item.version for item in whole.opset_import}
    found.look_at(whole.graph, Scope(whole.graph, opsets), opsets)
    return found


@dataclass(slots=True)
class Growth:
    file: str
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def refuse(self, node: NodeProto | None, message: str, rule: str, name: str = "") -> None:
        name = _name(node) if node is not None else name
        shown = f"{node.op_type} {name!r}" if node is not None else f"input {name!r}"
        self.problems.append(Problem(message=f"{shown} {message}", file=self.file, field=name, rule=rule))

    def record(self, severity: Literal["info", "suspicious"], rule: str, message: str) -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(file=self.file, severity=severity, rule=rule, message=message))

    def look_at(self, graph: GraphProto, scope: Scope, opsets: dict[str, int]) -> int:
        """How many nodes one run of the graph runs, as far as constants decide it."""
        self._shapes(graph, scope)
        steps = 0
        for node in graph.node:
            if is_standard(node) and node.op_type in SIZED_BY:
                self._made(node, scope)
            steps += 1
            for inner in graphs_of(node.attribute):
                inside = Scope(inner, opsets, scope)
                once = self.look_at(inner, inside, opsets)
                loop = is_standard(node) and node.op_type == "Loop"
                steps += self._loop(node, inner, scope, inside, once) if loop else once
        return steps

    def _shapes(self, graph: GraphProto, scope: Scope) -> None:
        large = {name for name, elements in scope.least.items() if elements > MAX_ELEMENTS}
        for value in (*graph.input, *graph.output, *graph.value_info) if large else ():
            if value.name not in large:
                continue
            large.remove(value.name)
            node = scope.maker(value.name)
            axes = getattr(value.type, value.type.WhichOneof("value") or "tensor_type").shape.dim
            dims = [axis.dim_value if axis.HasField("dim_value") else None for axis in axes]
            message = f"makes a tensor of shape {dims}" if node is not None else f"has the shape {dims}"
            self.refuse(node, message.replace("None", "?"), SIZE_RULE, value.name)

    def _made(self, node: NodeProto, scope: Scope) -> None:
        values = [scope.value(name) if name else None for name in node.input]
        asked = [values[index] for index in SIZED_BY[node.op_type] if index < len(values)]
        made = elements_made(node, [None if isinstance(value, Unknown) else value for value in values])
        if node.op_type in MULTIPLIES and isinstance(next(iter(values), None), Unknown):
            made *= scope.least_elements(node.input[0])
        if made > MAX_ELEMENTS:
            shown = f"{made:,}" if made < 10**18 else "more than 10^18"
            self.refuse(node, f"makes a tensor of {shown} elements", SIZE_RULE)
        elif Unknown.UNFOLLOWED in [value for value in asked if isinstance(value, Unknown)]:
            shown = f"{node.op_type} {_name(node)!r}"
            self.record("suspicious", "onnx-size", f"how large {shown} makes a tensor is hidden in what it computes")

    def _loop(self, node: NodeProto, body: GraphProto, scope: Scope, inside: Scope, once: int) -> int:
        """How many nodes it runs."""
        turns = turns_of(node, body, scope, inside)
        if turns.endless and turns.most is None:
            self.refuse(node, "never ends: nothing limits how often it runs", "loops that constants end")
        elif turns.endless and turns.most is not None and turns.most * once > MAX_STEPS:
            message = f"runs its {once:,} nodes {turns.most:,} times"
            self.refuse(node, message, f"loops of at most {MAX_STEPS:,} nodes run")
        elif turns.most is not None and turns.most * once <= MAX_STEPS:
            self._kept(node, body, inside, turns.most)
            return turns.most * once
        else:
            self._undecided(node, turns)
        return once

    def _kept(self, node: NodeProto, body: GraphProto, inside: Scope, turns: int) -> None:
        """What a loop keeps of every turn: the outputs behind its condition and its states."""
        for value in body.output[len(body.input) - 1 :]:
            if turns * inside.least_elements(value.name) > MAX_ELEMENTS:
                self.refuse(node, f"keeps {value.name!r} of {turns:,} turns", SIZE_RULE)

    def _undecided(self, node: NodeProto, turns: Turns) -> None:
        loop = f"Loop {_name(node)!r}"
        if turns.counted:
            self.record("info", "onnx-loop", f"{loop} runs as often as the model's inputs say")
        else:
            self.record("suspicious", "onnx-loop", f"{loop} ends when what it computes says so; nothing else limits it")


def _name(node: NodeProto) -> str:
    return node.name or next(iter(node.output), "")
