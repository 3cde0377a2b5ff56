"""Scores and logits: the top class, the order of the first few, and distances in probability and in log space."""

from collections.abc import Sequence

import numpy as np

from modelyard_contracts.shapes import Measure, Tolerance
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.judging.numbers import compare_numbers
from modelyard_convert.children.judging.pairing import Comparison, Paired, is_exclusive, least_kept, least_share, plain

PROBABILITY_SHARE = 0.4  # of `max_rel_error`: the mean distance of two distributions, between 0 and 1
SMALLEST_SHARE = 0.12  # of `max_rel_error`: what is added to a probability before its logarithm is taken
LEAST_NATS = 1.0  # of a class that hardly varies: less is no difference in its probability
TOSS_UPS = 0.01  # of all places: where two classes are equally likely, a rounding moves a logarithm far
SAMPLE_MOVED = 0.55  # of a sample's probability: more is no toss-up that fell the other way
SEEN = 5  # samples of a class before it is judged alone
DECISIONS_FACTOR = 10.0
FIRST = 5
ORDER_SLACK = 0.2


def compare_scores(pair: Paired, bounds: Tolerance, *, logits: bool) -> Comparison:
    """Per sample an array whose class axis is `class_axis`; several places of a sample are looked at one by one."""
    axis = class_axis(pair.own)
    if logits and all(each.shape[axis : axis + 1] in ((), (1,)) for each in pair.own):
        pair, logits = pair.mapped(*([_sigmoid(each) for each in side] for side in (pair.own, pair.got))), False
    own, got = ([_rows(each, axis) for each in arrays] for arrays in (pair.own, pair.got))
    terms = [
        [_log(rows, logits=logits, smallest=bounds.max_rel_error * SMALLEST_SHARE) for rows in each]
        for each in (own, got)
    ]
    distances = compare_numbers(
        pair.mapped(*terms),
        bounds.max_rel_error,
        axis=1,
        space="" if logits else "log ",
        least=0.0 if logits else LEAST_NATS,
        trimmed=TOSS_UPS,
    )
    shares = [[_shares(rows, logits=logits) for rows in each] for each in (own, got)]
    top = [np.concatenate([rows.argmax(axis=1) for rows in each]) for each in shares]
    lengths = [len(rows) for rows in own]
    measures = [_agreement(top, shares, pair, lengths, bounds)]
    exclusive = all(is_exclusive(rows, axis=1) for rows in shares[0])
    if exclusive:
        measures += _of_classes(top, shares[0][0].shape[1])
    else:
        measures += _decisions(np.concatenate(shares[0]), np.concatenate(shares[1]), bounds)
    if shares[0][0].shape[1] > 2:
        measures.append(_order(shares, bounds))
    apart = [0.5 * np.abs(a - b).sum(axis=1) for a, b in zip(*shares, strict=True)]
    worst = int(np.argmax([each.max(initial=0.0) for each in apart]))
    measures.append(
        Measure(
            name="probability",
            value=float(np.concatenate(apart).mean()),
            limit=bounds.max_rel_error * PROBABILITY_SHARE,
            where=f"sample {worst}: {apart[worst].max(initial=0.0):.3f}",
        )
    )
    of_samples = [float(each.mean()) if each.size else 0.0 for each in apart]
    furthest = int(np.argmax(of_samples))
    measures.append(
        Measure(name="sample probability", value=of_samples[furthest], limit=SAMPLE_MOVED, where=f"sample {furthest}")
    )
    return Comparison(
        (*measures, *distances.measures, *([_shift(own, got, bounds)] if logits else ())),
        distances.distance,
        distances.control,
        distances.worst_sample,
        (*distances.notes, *(_unseen(top[0], shares[0][0].shape[1]) if exclusive else ())),
        top1=(int(np.count_nonzero(top[0] == top[1])), round((measures[0].control or 0.0) * len(top[0]))),
    )


def _shift(own: Sequence[Array], got: Sequence[Array], bounds: Tolerance) -> Measure:
    """By how much all classes moved together, against the size of logits: softmax does not see it, sigmoids do."""
    size = np.sqrt(np.mean(np.concatenate([each.ravel() for each in own]) ** 2)) or 1.0
    moved = np.array([np.abs((b - a).mean(axis=1)).mean() for a, b in zip(own, got, strict=True)]) / size
    worst = int(moved.argmax())
    return Measure(
        name="shift", value=float(moved.mean()), limit=bounds.max_rel_error, where=f"sample {worst}: {moved[worst]:.3g}"
    )


def class_axis(own: Sequence[Array]) -> int:
    """The axis along which the values of a place add up to one, or else the first of three or more, or the last."""
    first = own[0].astype(np.float64)
    for axis in reversed(range(first.ndim)):
        if first.shape[axis] > 1 and np.all(first >= 0) and is_exclusive(first, axis):
            return int(axis)
    return 0 if first.ndim > 2 else max(0, int(first.ndim) - 1)


def _rows(values: Array, axis: int) -> Array:
    """[places, classes]"""
    numbers = np.moveaxis(plain(np.atleast_1d(values)), axis if values.ndim else 0, -1)
    return numbers.reshape(-1, numbers.shape[-1])


def _shares(rows: Array, *, logits: bool) -> Array:
    """Probabilities; a single one gets its complement beside it."""
    single = rows.shape[1] == 1
    if not logits:
        return np.concatenate([1.0 - rows, rows], axis=1) if single else rows
    pairs = np.concatenate([np.zeros_like(rows), rows], axis=1) if single else rows
    powers: Array = np.exp(pairs - pairs.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _log(rows: Array, *, logits: bool, smallest: float) -> Array:
    if logits:
        return rows - (rows.mean(axis=1, keepdims=True) if rows.shape[1] > 1 else 0.0)
    if rows.shape[1] == 1:
        return np.log((np.clip(rows, 0, 1) + smallest) / (1.0 - np.clip(rows, 0, 1) + smallest))
    return np.log(np.maximum(rows, 0.0) + smallest)


def _agreement(
    top: Sequence[Array], shares: Sequence[Sequence[Array]], pair: Paired, lengths: Sequence[int], bounds: Tolerance
) -> Measure:
    """A tie that is broken the other way agrees: the class that the result names is as good as the first one."""
    ends = np.cumsum([0, *lengths])
    other = [
        top[0][ends[each] : ends[each] + lengths[index]] == top[1][ends[index] : ends[index + 1]]
        for index, each in enumerate(pair.others)
        if each is not None
    ]
    own = np.concatenate(shares[0])
    lost = own.max(axis=1) - np.take_along_axis(own, top[1][:, None], axis=1)[:, 0]
    same = lost <= bounds.max_rel_error * PROBABILITY_SHARE
    sample = next((index for index in range(len(lengths)) if not same[ends[index] : ends[index + 1]].all()), None)
    return Measure(
        name="top class",
        value=float(same.mean()),
        limit=bounds.min_top1_agreement,
        at_least=True,
        control=float(np.concatenate(other).mean()) if other else None,
        where="" if sample is None else f"sample {sample}",
    )


def _of_classes(top: Sequence[Array], classes: int) -> list[Measure]:
    counts = np.bincount(top[0], minlength=classes)
    agreeing = np.bincount(top[0][top[0] == top[1]], minlength=classes)
    return least_kept("class", np.arange(classes), agreeing, counts, SEEN)


def _decisions(own: Array, got: Array, bounds: Tolerance) -> list[Measure]:
    """Where every class may be there or not (sigmoid): what is on one side of one half has to stay there, unless it was
    hardly on it."""
    sure = np.abs(own - 0.5) > bounds.max_rel_error * PROBABILITY_SHARE
    theirs, ours = own > 0.5, np.where(sure, got, own) > 0.5
    either = np.count_nonzero(theirs | ours)
    if either < SEEN:
        return []
    both = theirs & ours
    measures = [
        Measure(
            name="decisions",
            value=float(np.count_nonzero(both) / either),
            limit=least_share(bounds, DECISIONS_FACTOR),
            at_least=True,
        )
    ]
    kept, counts = (np.count_nonzero(each, axis=0) for each in (both, theirs))
    return measures + least_kept("class", np.arange(own.shape[1]), kept, counts, SEEN)


def _sigmoid(values: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values.astype(np.float64), -700, 700))))


def _order(shares: Sequence[Sequence[Array]], bounds: Tolerance) -> Measure:
    """The first few classes of each: how many are the same. A class nobody gives anything to has no place."""
    own, got = np.concatenate(shares[0]), np.concatenate(shares[1])
    first = min(FIRST, own.shape[1] // 2)
    leading = np.argpartition(-own, first - 1, axis=1)[:, :first]
    given = np.take_along_axis(own, leading, axis=1)
    others = np.argpartition(-got, first - 1, axis=1)[:, :first]
    least = np.take_along_axis(got, others, axis=1).min(axis=1, keepdims=True)
    slack = bounds.max_rel_error * SMALLEST_SHARE
    kept = (np.take_along_axis(got, leading, axis=1) >= least - slack) | (given <= slack)
    return Measure(
        name=f"first {first}",
        value=float(kept.mean()),
        limit=bounds.min_top1_agreement - ORDER_SLACK,
        at_least=True,
    )


def _unseen(top: Array, classes: int) -> tuple[str, ...]:
    seen = np.unique(top)
    if len(seen) == 1 and classes > 1:
        return (f"every sample is of class {int(seen[0])}: add samples of the others",)
    if len(seen) < classes <= 1000 and len(seen) < classes / 2:
        return (f"the samples show {len(seen)} of {classes} classes: add samples of the others",)
    return ()
