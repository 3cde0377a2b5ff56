"""One output of source and result, sample by sample, and what a comparison of them says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard_contracts.shapes import Measure, Tolerance
from modelyard_convert.children.arrays import Array

SEED = 20240229
LEAST_KEPT = 0.5  # of the places of one class or id


@dataclass(frozen=True, slots=True)
class Paired:
    """`own` and `got`: reference and result, one array for each sample, finite where the reference is.

    `others`: for each sample another one whose reference has the same shape, or is longer; None where there is none.
    """

    own: Sequence[Array]
    got: Sequence[Array]
    others: Sequence[int | None]

    def __len__(self) -> int:
        return len(self.own)

    def controls(self) -> list[Array | None]:
        """Of the samples' own shapes: a longer one is cut."""
        return [
            None if other is None else self.own[other][tuple(map(slice, own.shape))]
            for own, other in zip(self.own, self.others, strict=True)
        ]

    def mapped(self, own: Sequence[Array], got: Sequence[Array]) -> "Paired":
        """The same samples in other terms."""
        return Paired(own, got, self.others)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`measures`: what decides. `distance` and `control`: how far the result is from its own reference and from that of
    another sample, on one scale (None: it cannot be told). `notes`: what the samples could not show; `undecided`: it
    decides nothing for that."""

    measures: tuple[Measure, ...]
    distance: float
    control: float | None
    worst_sample: int | None = None
    notes: tuple[str, ...] = ()
    top1: tuple[int, int] | None = None
    undecided: str = ""


def plain(values: Array) -> Array:
    """Numbers in float64; what is not finite, the same in both, counts as nothing."""
    numbers: Array = np.array(values, dtype=np.float64)
    numbers[~np.isfinite(numbers)] = 0.0
    return numbers


def least_share(bounds: Tolerance, factor: float) -> float:
    """What has to agree where so many times the usual may be missing."""
    return 1.0 - factor * (1.0 - bounds.min_top1_agreement)


def is_exclusive(values: Array, axis: int) -> bool:
    """Whether along the axis they are shares of one, as those of classes of which one holds."""
    return bool(np.allclose(values.astype(np.float64, copy=False).sum(axis=axis), 1.0, atol=0.01))


def least_kept(what: str, ids: Array, kept: Array, counts: Array, seen: int) -> list[Measure]:
    """Of the ids (of a `what`) that the reference gives `seen` times or more, the one that is found again least."""
    often = np.flatnonzero(counts >= seen)
    if not often.size:
        return []
    worst = often[np.argmin(kept[often] / counts[often])]
    where = f"{what} {ids[worst]}: {kept[worst]} of {counts[worst]}"
    share = float(kept[worst] / counts[worst])
    return [Measure(name=f"one {what}", value=share, limit=LEAST_KEPT, at_least=True, where=where)]


def next_ones(count: int) -> list[int]:
    """For each sample the next one, the control of what has no shape of its own; none for a single sample."""
    return [*range(1, count), 0] if count > 1 else []


def partners(own: Sequence[Array]) -> list[int | None]:
    """For every sample another one of its shape, drawn: neighbours often are of the same class. Where there is none,
    the next longer one."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index in np.random.default_rng(SEED).permutation(len(own)):
        by_shape.setdefault(own[index].shape, []).append(int(index))
    others: list[int | None] = [None] * len(own)
    for same in by_shape.values():
        if len(same) > 1:
            for this, other in zip(same, (*same[1:], same[0]), strict=True):
                others[this] = other
    return [_longer(own, index) if other is None else other for index, other in enumerate(others)]


def _longer(own: Sequence[Array], index: int) -> int | None:
    this = own[index].shape
    fitting = [
        place
        for place, each in enumerate(own)
        if place != index and each.ndim == len(this) and all(a >= b for a, b in zip(each.shape, this, strict=True))
    ]
    return min(fitting, key=lambda place: own[place].size, default=None)
