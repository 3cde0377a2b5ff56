"""What is equal or not: class ids, rows in any order and number, maps of classes. Never a distance."""

from collections.abc import Sequence

import numpy as np

from modelyard_contracts.shapes import Measure, Tolerance
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.judging.numbers import compare_numbers
from modelyard_convert.children.judging.pairing import (
    Comparison,
    Paired,
    is_exclusive,
    least_kept,
    least_share,
    next_ones,
    plain,
)
from modelyard_convert.children.judging.scores import class_axis

TIES_FACTOR = 2.0  # ids do not tell which of them were a toss-up
SET_FACTOR = 3.0  # what is found or not may miss so many times the share that a class may
OVERLAP_FACTOR = 10.0
SAMPLE_FACTOR = 18.0
SEVERAL = 4  # ids of one sample, before it is judged alone: fewer may all have been a toss-up
ROUNDED = 1e-3  # a sigmoid may come out as 1.0000001
SEEN_IDS = 8
SMALL = 32  # places of a sample, which may all be a toss-up
TOSS_UP = 0.4  # of `max_rel_error`: so near to one half a place may fall either way
SEEN_SHARE = 0.001  # of all places, before a class is judged alone


def compare_ids(pair: Paired, bounds: Tolerance) -> Comparison:
    """Equal places."""
    shares = [float(np.mean(a == b)) if a.size else 1.0 for a, b in zip(pair.own, pair.got, strict=True)]
    control = [
        float(np.mean(b == other))
        for b, other in zip(pair.got, pair.controls(), strict=True)
        if other is not None and b.size
    ]
    top = np.concatenate([each.ravel() for each in pair.own]), np.concatenate([each.ravel() for each in pair.got])
    measures = [
        Measure(
            name="agreement",
            value=float(np.mean(top[0] == top[1])) if top[0].size else 1.0,
            limit=least_share(bounds, TIES_FACTOR),
            at_least=True,
            control=float(np.mean(control)) if control else None,
            where=_worst(shares),
        )
    ]
    measures += _of_ids(*top)
    several = [(share, index) for index, share in enumerate(shares) if pair.own[index].size >= SEVERAL]
    if several:
        share, worst = min(several)
        where = "" if share == 1.0 else f"sample {worst}"
        limit = least_share(bounds, SAMPLE_FACTOR)
        measures.append(Measure(name="sample agreement", value=share, limit=limit, at_least=True, where=where))
    notes = ("every sample has the same id: add samples of others",) if len(np.unique(top[0])) == 1 else ()
    return _told(measures, shares, control, notes)


def _of_ids(own: Array, got: Array) -> list[Measure]:
    ids, places, counts = np.unique(own, return_inverse=True, return_counts=True)
    again = np.bincount(places.ravel()[own == got], minlength=len(ids))
    return least_kept("id", ids, again, counts, SEEN_IDS)


def compare_rows(pair: Paired, bounds: Tolerance) -> Comparison:
    """Rows [n, …] whose order and number are not given (selections, detections that nobody declared): shares of those
    that have a counterpart within the tolerance. Whole numbers have to be equal."""
    everything = np.concatenate([_table(each) for each in pair.own])
    whole = (everything == np.round(everything)).all(axis=0)
    limit = np.where(whole, 0.0, np.maximum(everything.std(axis=0), 1e-9) * bounds.max_rel_error)
    shares = [_shared(_table(a), _table(b), limit) for a, b in zip(pair.own, pair.got, strict=True)]
    control = [
        _shared(_table(pair.own[other]), _table(pair.got[index]), limit)
        for index, other in enumerate(next_ones(len(pair)))
    ]
    several = [index for index in range(len(pair)) if max(len(pair.own[index]), len(pair.got[index])) >= SEVERAL]
    worst = min(several, key=lambda index: shares[index], default=None)
    measures = [
        Measure(
            name="matched",
            value=float(np.mean(shares)),
            limit=least_share(bounds, SET_FACTOR),
            at_least=True,
            control=float(np.mean(control)) if control else None,
            where=_worst(shares),
        ),
    ]
    if worst is not None:
        where = "" if shares[worst] == 1.0 else f"sample {worst}"
        limit_of_one = least_share(bounds, SAMPLE_FACTOR)
        measures.append(
            Measure(name="sample matched", value=shares[worst], limit=limit_of_one, at_least=True, where=where)
        )
    return _told(measures, shares, control, ())


def compare_masks(pair: Paired, bounds: Tolerance) -> Comparison:
    """Maps of classes, or maps of scores, of which the largest is taken: agreement of places, and IoU of each class."""
    floats = pair.own[0].dtype.kind == "f" and not _whole(pair.own)
    raw = compare_numbers(pair, bounds.max_rel_error, axis=_map_axis(pair.own)) if floats else None
    own, got = _maps(pair, TOSS_UP * bounds.max_rel_error, floats=floats)
    labels = np.concatenate([each.ravel() for each in own]), np.concatenate([each.ravel() for each in got])
    shares = [_mean_iou(a, b) for a, b in zip(own, got, strict=True)]
    control = [
        float(np.mean(b == other))
        for b, other in zip(got, pair.mapped(own, got).controls(), strict=True)
        if other is not None and b.size
    ]
    worst = _worst(shares)
    measures = [
        Measure(
            name="agreement",
            value=float(np.mean(labels[0] == labels[1])),
            limit=bounds.min_top1_agreement,
            at_least=True,
            control=float(np.mean(control)) if control else None,
        ),
        *_class_iou(labels, least_share(bounds, OVERLAP_FACTOR)),
        Measure(
            name="sample IoU", value=min(shares), limit=least_share(bounds, SAMPLE_FACTOR), at_least=True, where=worst
        ),
    ]
    told = _told(measures, [float(np.mean(a == b)) for a, b in zip(own, got, strict=True)], control, _rare(labels[0]))
    if raw is None:
        return told
    notes = (*told.notes, *raw.notes)
    return Comparison((*told.measures, *raw.measures), raw.distance, raw.control, raw.worst_sample, notes)


def _told(
    measures: Sequence[Measure], shares: Sequence[float], control: Sequence[float], notes: tuple[str, ...]
) -> Comparison:
    missed = 1.0 - float(np.mean(shares))
    against = 1.0 - float(np.mean(control)) if control else None
    return Comparison(tuple(measures), missed, against, int(np.argmin(shares)), notes)


def _worst(shares: Sequence[float]) -> str:
    return "" if min(shares) == 1.0 else f"sample {int(np.argmin(shares))}"


def _table(rows: Array) -> Array:
    """[n, width]"""
    numbers = plain(np.atleast_1d(rows))
    return numbers.reshape(len(numbers), int(np.prod(numbers.shape[1:], dtype=int)))


def _shared(own: Array, got: Array, limit: Array) -> float:
    """Dice: twice the rows that found each other, by the rows of both. `limit` by column."""
    if not len(own) and not len(got):
        return 1.0
    if not len(own) or not len(got):
        return 0.0
    free = np.ones(len(got), dtype=bool)
    met = 0
    for row in own:
        apart = np.abs(got - row)
        near = np.flatnonzero(free & (apart <= limit).all(axis=1))
        if near.size:
            free[near[np.argmin((apart[near] / np.maximum(limit, 1e-12)).max(axis=1))]] = False
            met += 1
    return 2.0 * met / (len(own) + len(got))


def _whole(arrays: Sequence[Array]) -> bool:
    return all(np.array_equal(each, np.round(each)) for each in arrays) and len(np.unique(arrays[0])) <= 256


def _map_axis(own: Sequence[Array]) -> int:
    return class_axis(own) if own[0].ndim > 2 else 0


def _maps(pair: Paired, toss_up: float, *, floats: bool) -> tuple[list[Array], list[Array]]:
    """Maps of ids: of the largest along the class axis, or, where every class may be there or not (sigmoid), of those
    that are, each place for itself."""
    if not floats:
        return list(pair.own), list(pair.got)
    axis = _map_axis(pair.own)
    several = pair.own[0].ndim > 2 and pair.own[0].shape[axis] > 1
    probabilities = all(each.min() >= -ROUNDED and each.max() <= 1 + ROUNDED for each in pair.own if each.size)
    if several and not (probabilities and not is_exclusive(pair.own[0], axis)):
        return [each.argmax(axis=axis) for each in pair.own], [each.argmax(axis=axis) for each in pair.got]
    middle = 0.5 if probabilities else 0.0
    own, got = [], []
    for theirs, ours in zip(pair.own, pair.got, strict=True):
        ids = np.ones_like(theirs, dtype=np.int64)
        if several:
            ids = ids * np.arange(1, theirs.shape[axis] + 1).reshape(
                [-1 if place == axis else 1 for place in range(theirs.ndim)]
            )
        there = theirs > middle
        undecided = np.abs(theirs - middle) <= toss_up if several else np.zeros(theirs.shape, dtype=bool)
        own.append(ids * there)
        got.append(ids * np.where(undecided, there, ours > middle))
    return own, got


def _mean_iou(own: Array, got: Array) -> float:
    """Over the classes of one sample that are not few places; what fills most of it shows nothing beside others."""
    ids, counts = np.unique(np.concatenate([own.ravel(), got.ravel()]), return_counts=True)
    there = ids[(counts >= 2 * SMALL) | (counts == counts.max(initial=0))]
    if len(there) > 1:
        there = there[there != ids[np.argmax(counts)]]
    return float(np.mean([_iou(own == each, got == each) for each in there])) if own.size else 1.0


def _rare(labels: Array) -> tuple[str, ...]:
    ids, counts = np.unique(labels, return_counts=True)
    rare = ids[counts < SEEN_SHARE * len(labels)]
    if not rare.size:
        return ()
    shown = ", ".join(str(int(each)) for each in rare[:5]) + (" and more" if rare.size > 5 else "")
    return (
        f"classes {shown} are under {SEEN_SHARE:.1%} of all places, too little to judge them: add samples with them",
    )


def _iou(own: Array, got: Array) -> float:
    either = np.count_nonzero(own | got)
    return np.count_nonzero(own & got) / either if either else 1.0


def _class_iou(labels: tuple[Array, Array], limit: float) -> list[Measure]:
    classes, counts = np.unique(labels[0], return_counts=True)
    often = classes[counts >= SEEN_SHARE * len(labels[0])]
    found = {each: _iou(labels[0] == each, labels[1] == each) for each in often}
    worst = min(found, key=lambda each: found[each])
    where = "" if found[worst] == 1.0 else f"class {int(worst)}"
    return [Measure(name="IoU", value=found[worst], limit=limit, at_least=True, where=where)]
