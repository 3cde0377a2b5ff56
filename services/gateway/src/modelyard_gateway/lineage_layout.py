"""Where each thing of a lineage graph stands: columns from left to right by kind, few crossings, short ways.

Pure and deterministic; `lineage_picture` draws what comes out. Lengths are pixels, `y` is the middle of a box.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from modelyard_contracts.calls.version import Lineage, LineageEdge, LineageNode

WIDTH: Final = 232
HEIGHT: Final = 60
GAP: Final = 132  # between columns; a relation's name fits into it
_ROW_GAP, _PASS_HEIGHT = 16, 12
_SWEEPS = 6
_GENERATIONS = 8

_RANK: Final = {
    "dataset": 0, "code": 0, "training-job": 1, "template": 1, "image": 1, "version": 2, "artifact": 3,
    "evaluation": 5, "listing": 6, "entry": 6,
}  # fmt: skip
_DERIVED: Final = 4  # artifacts made from artifacts, and datasets that only measure


@dataclass(eq=False)
class Place:
    """A box, or where a long line passes through a column (`node` None)."""

    column: int
    node: LineageNode | None = None
    y: float = 0.0
    before: "list[Place]" = field(default_factory=list)
    after: "list[Place]" = field(default_factory=list)

    @property
    def height(self) -> int:
        return HEIGHT if self.node else _PASS_HEIGHT

    @property
    def x(self) -> int:
        return self.column * (WIDTH + GAP)


@dataclass(frozen=True)
class Route:
    """One edge: the box it leaves, where it passes, the box it reaches."""

    edge: LineageEdge
    stops: tuple[Place, ...]


@dataclass(frozen=True)
class Layout:
    columns: tuple[tuple[Place, ...], ...]
    routes: tuple[Route, ...]

    @property
    def boxes(self) -> tuple[Place, ...]:
        return tuple(place for column in self.columns for place in column if place.node)


def arranged(graph: Lineage) -> Layout:
    """Left out: edges whose ends are not in the graph, from a thing to itself, and what a longer way says already."""
    nodes = {node.id: node for node in graph.nodes}
    edges = _told_once([e for e in graph.edges if e.source in nodes and e.target in nodes and e.source != e.target])
    columns_of = _columns(nodes, edges)
    boxes = {name: Place(columns_of[name], node) for name, node in nodes.items()}
    columns: list[list[Place]] = [[] for _ in range(max(columns_of.values(), default=-1) + 1)]
    for box in boxes.values():
        columns[box.column].append(box)
    routes = _routes(boxes, edges, columns)
    _order(columns)
    _align(columns)
    return Layout(tuple(map(tuple, columns)), tuple(routes))


def _told_once(edges: list[LineageEdge]) -> list[LineageEdge]:
    """A version holds its source and what was converted from that: the line to the source says both."""
    held: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        if edge.relation == "holds":
            held[edge.source].add(edge.target)
    made_from: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        if edge.relation == "converted to":
            made_from[edge.target].add(edge.source)
    return [e for e in edges if not (e.relation == "holds" and made_from[e.target] & (held[e.source] - {e.target}))]


def _columns(nodes: dict[str, LineageNode], edges: Sequence[LineageEdge]) -> dict[str, int]:
    rank = {name: _RANK.get(node.kind, _DERIVED) for name, node in nodes.items()}
    reaches: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        reaches[edge.source].add(nodes[edge.target].kind)
        if nodes[edge.source].kind == nodes[edge.target].kind == "artifact":
            rank[edge.target] = _DERIVED
    for name, node in nodes.items():
        if node.kind == "dataset" and reaches[name] == {"evaluation"}:
            rank[name] = _DERIVED
    generation = _generations(nodes, edges)
    stands = {name: (generation[name], value) for name, value in rank.items()}
    used = sorted(set(stands.values()))
    return {name: used.index(value) for name, value in stands.items()}


def _generations(nodes: dict[str, LineageNode], edges: Sequence[LineageEdge]) -> dict[str, int]:
    """How often something was taken in as a version again on the way here. What only leads on stands beside that.

    At most `_GENERATIONS`: who goes in circles is not followed further.
    """
    found = dict.fromkeys(nodes, 0)
    for _ in range(_GENERATIONS * 4):
        before = dict(found)
        for edge in edges:
            again = nodes[edge.target].kind == "version" and nodes[edge.source].kind in ("artifact", "version")
            found[edge.target] = min(max(found[edge.target], found[edge.source] + again), _GENERATIONS)
        if found == before:
            break
    for kinds in (("training-job", "template", "image"), ("dataset", "code")):
        onward: dict[str, list[int]] = defaultdict(list)
        for edge in edges:
            onward[edge.source].append(found[edge.target])
        found |= {name: min(onward[name]) for name, node in nodes.items() if node.kind in kinds and onward[name]}
    return found


def _routes(boxes: dict[str, Place], edges: Iterable[LineageEdge], columns: list[list[Place]]) -> list[Route]:
    """Long lines that leave the same box share their way, so that a fan of them is one line for as long as possible."""
    passes: dict[tuple[str, int], Place] = {}
    routes = []
    for edge in edges:
        stops = [boxes[edge.source]]
        for column in range(stops[0].column + 1, boxes[edge.target].column):
            if (edge.source, column) not in passes:
                passes[edge.source, column] = Place(column)
                columns[column].append(passes[edge.source, column])
            stops.append(passes[edge.source, column])
        stops.append(boxes[edge.target])
        for left, right in pairwise(stops):
            if left.column < right.column and right not in left.after:
                left.after.append(right)
                right.before.append(left)
        routes.append(Route(edge, tuple(stops)))
    return routes


def _order(columns: list[list[Place]]) -> None:
    """Sort each column by the mean place of its neighbours, to and fro: the barycentre heuristic against crossings."""
    at = {place: float(index) for column in columns for index, place in enumerate(column)}

    def sort(column: list[Place], neighbours: str) -> None:
        wish = {place: _mean([at[other] for other in getattr(place, neighbours)], at[place]) for place in column}
        column.sort(key=wish.__getitem__)
        at.update({place: float(index) for index, place in enumerate(column)})

    for _ in range(_SWEEPS):
        for column in columns[1:]:
            sort(column, "before")
        for column in columns[-2::-1]:
            sort(column, "after")


def _align(columns: list[list[Place]]) -> None:
    """Give every place its `y`: as near to its neighbours as its column allows; the highest box begins at 0."""
    for column in columns:
        _settle(column, [0.0] * len(column))
    for _ in range(_SWEEPS):
        for column in columns[1:]:
            _settle(column, [_mean([other.y for other in place.before], place.y) for place in column])
        for column in columns[-2::-1]:
            _settle(column, [_mean([other.y for other in place.after], place.y) for place in column])
    top = min((place.y - place.height / 2 for column in columns for place in column), default=0.0)
    for place in (place for column in columns for place in column):
        place.y = round(place.y - top, 1)


def _settle(column: list[Place], wishes: list[float]) -> None:
    """The nearest places to the wishes (least squares) that keep order and distance: isotonic regression by pooling."""
    offsets = [0.0]
    for above, below in pairwise(column):
        offsets.append(offsets[-1] + (above.height + below.height) / 2 + _ROW_GAP)
    pools: list[tuple[float, int]] = []  # mean, members
    for wish, offset in zip(wishes, offsets, strict=False):
        mean, members = wish - offset, 1
        while pools and pools[-1][0] >= mean:
            other, count = pools.pop()
            mean, members = (mean * members + other * count) / (members + count), members + count
        pools.append((mean, members))
    settled = [mean for mean, members in pools for _ in range(members)]
    for place, mean, offset in zip(column, settled, offsets, strict=False):
        place.y = mean + offset


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
