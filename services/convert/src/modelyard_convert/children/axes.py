"""Which axis of each input counts the items of a run. Called by `sample`, which tries what is only supposed here.

A model file says little of it: a size, a name, or nothing. States `[layers, batch, width]`, time before batch and
inputs without any batch are found by the name that the inputs share, or declared (`inputs` in config.json).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelyard_contracts.package import InputAxes
from modelyard_contracts.shapes import Signature, TensorSpec

_BATCH = re.compile(r"n|b|bs|bsz|.*batch.*|(num_)?(samples|items|images|rows)", re.IGNORECASE)
_WITHIN = re.compile(
    r"[tlshw]|(.*[^a-z])?"
    r"(seq(uence)?|time(step)?s?|steps?|(seq|src|tgt|max)?len(gth)?|frames?|tokens?|height|width|channels?|features?)"
    r"([^a-z].*)?",
    re.IGNORECASE,
)
"""Names of axes inside one item."""


@dataclass(frozen=True, slots=True)
class Axes:
    """`of`: for every input, in order, the axis of its items; None: it has none, or its files are whole runs. `items`:
    how many a run has, None where any number does."""

    of: Mapping[str, int | None]
    items: int | None

    def told(self) -> str:
        shown = ", ".join(f"`{name}` {'none' if axis is None else axis}" for name, axis in self.of.items())
        return f"batch axis: {shown}" + (f"; {self.items} items in a run" if self.items else "")


def supposed(signature: Signature, declared: Sequence[InputAxes] = ()) -> list[Axes]:
    """What may be, the likeliest first; the last one is that no input has one. What is declared is not questioned."""
    fixed = {each.name: each.batch_axis for each in declared if each.batch_axis is not None or not each.batched}
    found: list[Axes] = []
    for guess in _guesses(signature):
        axes = _axes(signature, guess | fixed)
        if axes not in found:
            found.append(axes)
    return found


def _guesses(signature: Signature) -> Iterator[dict[str, int | None]]:
    inputs = [spec for spec in signature.inputs if spec.shape]
    open_axes = {spec.name: _open(spec) for spec in inputs}
    named = _by_name(inputs, open_axes)
    if any(axis is not None for axis in named.values()):
        yield named
    first = next((spec.shape[0] for spec in inputs if isinstance(spec.shape[0], int)), None)
    if first is not None and not any(axes[:1] == [0] for axes in open_axes.values()):
        yield {spec.name: spec.shape.index(first) if first in spec.shape else None for spec in inputs}
    yield {name: axes[1] if len(axes) > 1 else None for name, axes in open_axes.items()}
    yield {}


def _open(spec: TensorSpec) -> list[int]:
    return [axis for axis, size in enumerate(spec.shape) if not isinstance(size, int)]


def _by_name(inputs: Sequence[TensorSpec], open_axes: Mapping[str, Sequence[int]]) -> dict[str, int | None]:
    named = {
        spec.name: next((axis for axis in open_axes[spec.name] if _BATCH.fullmatch(str(spec.shape[axis] or ""))), None)
        for spec in inputs
    }
    symbols = {spec.shape[axis] for spec in inputs if (axis := named[spec.name]) is not None}
    if not symbols:
        firsts = {spec.name: spec.shape[0] for spec in inputs if open_axes[spec.name][:1] == [0]}
        outer = {name: size for name, size in firsts.items() if not _WITHIN.fullmatch(str(size or ""))}
        named |= dict.fromkeys(outer, 0)
        symbols = {size for size in outer.values() if size is not None}
    for spec in inputs:
        if named[spec.name] is None:
            named[spec.name] = next((axis for axis, size in enumerate(spec.shape) if size in symbols), None)
        if named[spec.name] is None and open_axes[spec.name][:1] == [0] and spec.shape[0] is None:
            named[spec.name] = 0
    return named


def _axes(signature: Signature, guess: Mapping[str, int | None]) -> Axes:
    of = {spec.name: guess.get(spec.name) for spec in signature.inputs}
    sizes = [spec.shape[axis] for spec in signature.inputs if (axis := of[spec.name]) is not None]
    return Axes(of, next((size for size in sizes if isinstance(size, int)), None))
