"""Detections, matched: a reference detection is found again where a box of the same class overlaps it by half."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelyard_contracts.shapes import Measure, Tolerance
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.judging.agreement import SAMPLE_FACTOR, SET_FACTOR
from modelyard_convert.children.judging.pairing import Comparison, least_share, next_ones

THRESHOLD = 0.25
OVERLAP = 0.5
MOST = 300  # of a sample, the best
SHARE = 0.4  # of `max_rel_error`, times the threshold: so near to it a detection may come and go
SCORE_SHARE = 0.2
IOU_SHARE = 0.6
COLLAPSED = 0.05
SAME_SCORE = 1e-6
MOST_FLAT = 0.1
MOST_PAIRED = 1000


@dataclass(frozen=True, slots=True)
class Boxes:
    """Of one sample: [n, 4] as x1 y1 x2 y2, scores [n], classes [n]."""

    boxes: Array
    scores: Array
    classes: Array

    def above(self, least: float) -> "Boxes":
        """What has no area is no detection."""
        kept = np.flatnonzero((self.scores >= least) & self._with_area())
        kept = kept[np.argsort(-self.scores[kept], kind="stable")][:MOST]
        return Boxes(self.boxes[kept], self.scores[kept], self.classes[kept])

    def without_area(self, least: float) -> tuple[int, int]:
        """How many of those from this score on have none, of how many."""
        above = self.scores >= least
        return int(np.count_nonzero(above & ~self._with_area())), int(np.count_nonzero(above))

    def _with_area(self) -> Array:
        return np.asarray((self.boxes[:, 2:] > self.boxes[:, :2]).all(axis=1))


def corners(boxes: Array, form: str) -> Array:
    """[n, 4] in any `OutputRole.box_format` as x1 y1 x2 y2."""
    a, b, c, d = np.moveaxis(boxes.astype(np.float64), -1, 0)
    match form:
        case "yxyx":
            sides = b, a, d, c
        case "cxcywh":
            sides = a - c / 2, b - d / 2, a + c / 2, b + d / 2
        case "xywh":
            sides = a, b, a + c, b + d
        case _:
            sides = a, b, c, d
    return np.stack(sides, axis=-1)


def compare_detections(own: Sequence[Boxes], got: Sequence[Boxes], bounds: Tolerance) -> Comparison:
    """What is sure on one side has to be at hand on the other: scores near the threshold come and go."""
    threshold, notes = _threshold(own)
    slack = bounds.max_rel_error * SHARE * max(threshold, 1e-6) * 2
    found = [_matched(*pair, threshold, slack) for pair in zip(own, got, strict=True)]
    control = [_matched(own[other], got[index], threshold, slack) for index, other in enumerate(next_ones(len(own)))]
    again, new = (_share(found, each) for each in ("again", "known"))
    per_sample = [each.both for each in found]
    worst = int(np.argmin(per_sample))
    overlaps = np.concatenate([each.overlaps for each in found]) if found else np.zeros(0)
    scores = np.concatenate([each.scores for each in found]) if found else np.zeros(0)
    measures = [
        Measure(
            name="matched",
            value=again,
            limit=least_share(bounds, SET_FACTOR),
            at_least=True,
            control=_share(control, "again") if control else None,
            where="" if per_sample[worst] == 1.0 else f"sample {worst}",
        ),
        Measure(name="not new", value=new, limit=least_share(bounds, SET_FACTOR), at_least=True),
        Measure(
            name="sample matched",
            value=per_sample[worst],
            limit=least_share(bounds, SAMPLE_FACTOR),
            at_least=True,
            where="" if per_sample[worst] == 1.0 else f"sample {worst}",
        ),
    ]
    if overlaps.size:
        measures += [
            Measure(
                name="IoU", value=float(overlaps.mean()), limit=1.0 - IOU_SHARE * bounds.max_rel_error, at_least=True
            ),
            Measure(name="score", value=float(scores.mean()), limit=SCORE_SHARE * bounds.max_rel_error),
            Measure(name="largest score error", value=float(np.quantile(scores, 0.99)), limit=bounds.max_rel_error),
            Measure(name="scores that fell together", value=_collapsed(found, bounds), limit=COLLAPSED),
        ]
    missed = 1.0 - float(np.mean(per_sample))
    against = 1.0 - float(np.mean([each.both for each in control])) if control and overlaps.size else None
    undecided = "" if overlaps.size else "the reference detects nothing on these samples: add samples with objects"
    flat, of = (sum(each) for each in zip(*(each.without_area(threshold) for each in own), strict=True))
    if flat > MOST_FLAT * of:
        undecided = (
            f"{flat} of the reference's {of} boxes have no area: box_format or decode in config.json does not fit"
        )
    return Comparison(tuple(measures), missed, against, worst, notes, undecided=undecided)


@dataclass(frozen=True, slots=True)
class _Match:
    """`again`: sure ones of the reference that the result has; `known`: the other way round; of how many each."""

    again: tuple[int, int]
    known: tuple[int, int]
    overlaps: Array
    scores: Array
    pairs: Array

    @property
    def both(self) -> float:
        met, all_ = self.again[0] + self.known[0], self.again[1] + self.known[1]
        return met / all_ if all_ else 1.0


def _matched(own: Boxes, got: Boxes, threshold: float, slack: float) -> _Match:
    sure, maybe = own.above(threshold + slack), own.above(threshold - slack)
    got_sure, got_maybe = got.above(threshold + slack), got.above(threshold - slack)
    met, overlaps, pairs = _met(sure, got_maybe)
    known, _, _ = _met(got_sure, maybe)
    apart = np.abs(pairs[:, 0] - pairs[:, 1])
    return _Match((met, len(sure.scores)), (known, len(got_sure.scores)), overlaps, apart, pairs)


def _collapsed(found: Sequence[_Match], bounds: Tolerance) -> float:
    """Of the pairs of detections whose scores lie well apart in the reference, the share that has one and the same
    score in the result: a range that was cut off, not a rounding."""
    pairs = np.concatenate([each.pairs for each in found])[:MOST_PAIRED]
    own, got = (np.abs(side[:, None] - side[None, :]) for side in pairs.T)
    apart = own > SCORE_SHARE * bounds.max_rel_error
    return float(np.mean(got[apart] < SAME_SCORE)) if apart.any() else 0.0


def _met(these: Boxes, those: Boxes) -> tuple[int, Array, Array]:
    """How many of `these` overlap one of `those` of their class; the overlaps, and the scores of both.

    Several may meet the same one: heads without suppression have many boxes for one thing.
    """
    if not len(these.scores) or not len(those.scores):
        return 0, np.zeros(0), np.zeros((0, 2))
    overlap = _overlap(these.boxes, those.boxes)
    overlap[these.classes[:, None] != those.classes[None, :]] = 0.0
    nearest = overlap.argmax(axis=1)
    best = overlap[np.arange(len(overlap)), nearest]
    met = best >= OVERLAP
    scores = np.stack([these.scores[met], those.scores[nearest[met]]], axis=1)
    return int(met.sum()), best[met], scores.astype(np.float64)


def _overlap(left: Array, right: Array) -> Array:
    """IoU of every box with every other, [n, m]."""
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(each[:, 2:] - each[:, :2], 0, None), axis=1) for each in (left, right)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)


def _threshold(own: Sequence[Boxes]) -> tuple[float, tuple[str, ...]]:
    """The usual one, or half of what the best detections reach where nothing reaches that."""
    best = max((float(each.scores.max(initial=0.0)) for each in own), default=0.0)
    if best >= THRESHOLD * 1.2:
        return THRESHOLD, ()
    return best / 2, (f"no score reaches {THRESHOLD:g}; detections count from {best / 2:.3g}",)


def _share(found: Sequence[_Match], which: str) -> float:
    pairs = [getattr(each, which) for each in found]
    total = sum(of for _, of in pairs)
    return sum(met for met, _ in pairs) / total if total else 1.0
