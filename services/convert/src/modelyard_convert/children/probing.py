"""Runs that tell whether a supposed batch axis is one: its items do not influence one another. Called by `sample`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Signature
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.axes import Axes
from modelyard_convert.children.calibration import joined
from modelyard_convert.children.reading import Feed
from modelyard_formats.running import Runner

SAME: Final = 0.1
"""Of the largest number of an output. Rounding, and scales that are found for the whole batch, stay below it; what one
step of a sequence hands to the next does not."""


@dataclass(frozen=True, slots=True)
class Probe:
    """`verdict`: the items are apart, mixed, or it cannot be told (the model takes no second item, or none of its
    outputs has an axis for them); or the model does not take this run. `outputs`: the axis of the items in every
    output, as far as it showed."""

    verdict: Literal["apart", "mixed", "unknown", "refused"]
    outputs: tuple[int | None, ...]


def probe(loaded: Runner, axes: Axes, feed: Feed) -> Probe:
    """`feed` is one run. Where it may have any number of items another is run with it, else its items change places."""
    nothing: tuple[int | None, ...] = (None,) * len(loaded.signature.outputs)
    try:
        one = loaded.run(feed)
    except Failure:
        return Probe("refused", nothing)
    if all(axis is None for axis in axes.of.values()) or axes.items == 1:
        return Probe("unknown", nothing)
    try:
        if axes.items is None:
            other = _another(feed, axes)
            two, together = loaded.run(other), loaded.run(joined([feed, other], axes))
            return _told(loaded.signature, [_joined_along(one, two, together, name) for name in one])
        turned = loaded.run(_turned(feed, axes))
        return _told(loaded.signature, [_turned_along(one, turned, name, axes.items) for name in one])
    except Failure:
        return Probe("unknown", nothing)


_Found = tuple[str, int | None, bool | None]
"""An output, its axis of items, and whether what was found there is right; None where it cannot be told."""


def _told(signature: Signature, found: list[_Found]) -> Probe:
    axes = {name: axis for name, axis, right in found if right}
    rights = [right for _, _, right in found if right is not None]
    verdict: Literal["apart", "mixed", "unknown"] = "unknown" if not rights else "apart" if all(rights) else "mixed"
    return Probe(verdict, tuple(axes.get(spec.name) for spec in signature.outputs))


def _another(feed: Feed, axes: Axes) -> Feed:
    """The same values in another order; what no item has of its own stays."""
    return {name: array if axes.of[name] is None else _reversed(array) for name, array in feed.items()}


def _reversed(array: Array) -> Array:
    return np.ascontiguousarray(array.reshape(-1)[::-1].reshape(array.shape))


def _turned(feed: Feed, axes: Axes) -> Feed:
    return {
        name: array if (axis := axes.of[name]) is None else np.ascontiguousarray(np.flip(array, axis))
        for name, array in feed.items()
    }


def _joined_along(one: Mapping[str, Array], two: Mapping[str, Array], both: Mapping[str, Array], name: str) -> _Found:
    first, second, together = one[name], two[name], both[name]
    right: bool | None = None
    for axis in range(first.ndim):
        if first.shape[:axis] + first.shape[axis + 1 :] != second.shape[:axis] + second.shape[axis + 1 :]:
            continue
        expected = np.concatenate([first, second], axis)
        if expected.shape == together.shape:
            right = _same(expected, together)
            if right:
                return name, axis, True
    return name, None, right


def _turned_along(one: Mapping[str, Array], turned: Mapping[str, Array], name: str, items: int) -> _Found:
    right: bool | None = None
    if one[name].shape == turned[name].shape:
        for axis in (axis for axis, size in enumerate(one[name].shape) if size == items):
            right = _same(np.flip(one[name], axis), turned[name])
            if right:
                return name, axis, True
    return name, None, right


def _same(expected: Array, found: Array) -> bool | None:
    """None for what is no number and differs: a class may change by a rounding."""
    if expected.dtype.kind != "f":
        return True if np.array_equal(expected, found) else None
    finite = np.isfinite(expected) & np.isfinite(found)
    if not np.array_equal(np.isfinite(expected), np.isfinite(found)):
        return False
    far = np.abs(expected[finite].astype(np.float64) - found[finite])
    return bool(far.max(initial=0.0) <= SAME * np.abs(expected[finite]).max(initial=0.0))
