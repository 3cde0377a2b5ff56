"""How large a graph becomes, and its tensors. Used by the kinds whose files hold functions that call each other, which
runtimes write out before they run: forty that each call the next twice are 5 KB, and 2^40 nodes.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from modelyard_contracts.failures import Problem

KeyT = TypeVar("KeyT", bound=Hashable)

MAX_NODES = 500_000
"""Several times what the largest networks have."""
MAX_DEPTH = 100
"""Calls and sub-graphs inside of each other: runtimes recurse over them."""
MAX_ELEMENTS = 2**31
"""Of a tensor that is not stored but made: 8 GiB of float32, as much as whoever runs a model may use in all."""
SIZE_RULE = f"tensors of at most {MAX_ELEMENTS:,} elements"


@dataclass(frozen=True, slots=True)
class Body(Generic[KeyT]):
    """A function, or the graph that all begins with. `nodes`: its own, those of its sub-graphs among them, calls not.
    `calls`: each call's function, and how many sub-graphs deep it stands; `depth`: of the deepest node."""

    nodes: int
    calls: Sequence[tuple[KeyT, int]] = ()
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Expanded:
    """`nodes` is exact however large it is; a call counts one for `depth`."""

    nodes: int
    depth: int


class Recursive(Exception):
    """`names`: functions that call each other in a circle, in this order."""

    def __init__(self, names: Sequence[Hashable]) -> None:
        super().__init__(names)
        self.names = tuple(names)


def expansion_problems(
    bodies: Mapping[KeyT, Body[KeyT]], file: str, named: Callable[[Hashable], str]
) -> Iterator[Problem]:
    """Why the functions cannot be written out, or not within bounds; `named` is what people call one of them."""
    try:
        sizes = expanded(bodies)
    except Recursive as error:
        names = [named(name) for name in (*error.names[:5], error.names[0])]
        rule = "no function calls itself, directly or through others"
        yield Problem(message=f"{names[0]} calls itself: {' → '.join(names)}", file=file, field=names[0], rule=rule)
        return
    for key, size in sizes.items():
        if size.nodes > MAX_NODES:
            message = f"{named(key)} has {shown(size.nodes)} once its functions are written out"
            yield Problem(message=message, file=file, field=named(key), rule=f"at most {MAX_NODES:,} nodes")
        elif size.depth > MAX_DEPTH:
            message = f"{named(key)} nests calls and sub-graphs {size.depth:,} deep"
            yield Problem(message=message, file=file, field=named(key), rule=f"at most {MAX_DEPTH} deep")


def most_elements(dims: Iterable[int]) -> int:
    """An axis of 0 counts as 1: what is computed with the others must not overflow. So does one that is not known."""
    return math.prod([dim if dim > 1 else 1 for dim in dims])


def expanded(bodies: Mapping[KeyT, Body[KeyT]]) -> dict[KeyT, Expanded]:
    """Every function, written out. Calls of what is not among `bodies` count as one node. Raises Recursive."""
    done: dict[KeyT, Expanded] = {}
    for key in bodies:
        path: dict[KeyT, list[KeyT]] = {}  # in the order of the calls; whom each has yet to wait for
        _enter(key, bodies, done, path)
        while path:
            here, waiting = next(reversed(path.items()))
            if not waiting:
                done[here] = _written_out(bodies[here], done)
                del path[here]
            elif (callee := waiting.pop()) in path:
                circle = list(path)
                raise Recursive(circle[circle.index(callee) :])
            else:
                _enter(callee, bodies, done, path)
    return done


def _enter(
    key: KeyT, bodies: Mapping[KeyT, Body[KeyT]], done: Mapping[KeyT, Expanded], path: dict[KeyT, list[KeyT]]
) -> None:
    if key in bodies and key not in done:
        path[key] = list(dict.fromkeys(callee for callee, _ in bodies[key].calls))


def _written_out(body: Body[KeyT], done: Mapping[KeyT, Expanded]) -> Expanded:
    nodes, depth = body.nodes, body.depth
    for callee, at in body.calls:
        inner = done.get(callee, Expanded(1, 0))
        nodes, depth = nodes + inner.nodes, max(depth, at + 1 + inner.depth)
    return Expanded(nodes, depth)


def shown(nodes: int) -> str:
    """A count for people, who need not see all digits of 2^10000."""
    return f"{nodes:,} nodes" if nodes < 10**15 else "more than 10^15 nodes"
