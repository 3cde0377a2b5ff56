"""Plain numbers, by channel: an error counts against the spread of its own channel, not against its loudest neighbour.

The channel axis is the one along which scales differ most (boxes 0-320 beside scores 0-1), so that no layout need be
known. Also used for scores, in log space.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from modelyard_contracts.shapes import Measure
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.judging.pairing import Comparison, Paired, plain

MOST_CHANNELS = 4096
BLOCK = 1 << 20  # values that are looked at together
PEAK_SHARE = 0.05  # a channel that hardly varies is measured against this much of its largest value
QUIETEST = 1e-4  # and none against less than this much of the loudest one: 0.06 beside boxes up to 640
FEW = 64  # values of a sample that is nothing else: each is a quantity of its own, however small it is
TRIMMED = 0.001  # so that none is left out of fewer than 1000
BIAS_SHARE = 0.5  # an error with one sign may be this much of one that has both
LARGEST_FACTOR, LARGEST, LARGEST_LOG = 10.0, 0.35, 0.25  # the worst of very many values, up to a share of the reach
CHANNELS_SHARE = 0.1  # the worst of ten times as many channels may be so much worse
FAR = 3.0  # spreads from the mean: of what lies further, a sample may be wrong by as much more
SAMPLE_FACTOR = 2.0  # one sample may be so many times worse than all together, of one value twice that
CONSTANT = 1e-6
TURNED = 0.5  # of a sample's values


@dataclass(frozen=True, slots=True)
class Scales:
    """Per channel: `spread` is the standard deviation of the reference, `reach` the furthest from its mean, both with
    the floors above."""

    spread: Array
    reach: Array
    constant: Array
    peak: float


def compare_numbers(
    pair: Paired,
    limit: float,
    *,
    axis: int | None = None,
    space: str = "",
    least: float = 0.0,
    trimmed: float = TRIMMED,
    most_lost: float | None = None,
) -> Comparison:
    """`limit`: most that a channel's errors may be, as a share. `most_lost`: the share of samples that may have come to
    nothing. `space`: `log ` in the names of the measures. `least`:
    spread and reach that every channel is taken to have. `trimmed`: of a channel's values, the largest errors that are
    left out."""
    axis = channel_axis(pair.own) if axis is None else axis
    scales = _scales(pair.own, axis, least)
    found = _Errors.of(pair, axis, scales, trimmed)
    measures = []
    for name, values, most in (
        ("error", found.rms, limit * (1.0 + CHANNELS_SHARE * np.log10(len(found.rms)))),
        ("bias", found.bias, limit * BIAS_SHARE),
        ("largest error", found.largest, max(limit, min(limit * LARGEST_FACTOR, LARGEST_LOG if space else LARGEST))),
    ):
        worst = int(np.argmax(values))
        control = float(found.control[worst]) if name == "error" and found.controlled else None
        where = f"channel {worst}" if len(values) > 1 else ""
        measures.append(
            Measure(name=f"{space}{name}", value=float(values[worst]), limit=most, control=control, where=where)
        )
    measures += _lost(pair, scales, most_lost) if most_lost is not None else []
    sample = int(np.argmax(found.samples))
    measures.append(
        Measure(
            name=f"{space}sample error",
            value=float(found.samples[sample]),
            limit=limit * SAMPLE_FACTOR * (1.0 + 1.0 / np.sqrt(max(1, min(each.size for each in pair.own)))),
            where=f"sample {sample}",
        )
    )
    total, control_total = _overall(found.rms), _overall(found.control)
    varies = found.controlled and not scales.constant.all()
    notes = ("it is the same for every sample",) if scales.constant.all() else ()
    return Comparison(tuple(measures), total, control_total if varies else None, sample, notes)


def _lost(pair: Paired, scales: Scales, most: float) -> list[Measure]:
    """Where sizes differ by orders of magnitude, a small sample may be wholly wrong and yet near: it has become zero,
    or changed its sign though no reference ever does."""
    some = [index for index, own in enumerate(pair.own) if np.any(np.abs(plain(own)) > CONSTANT * scales.peak)]
    if not some:
        return []
    zero = [index for index in some if not np.any(plain(pair.got[index]))]
    signs = {sign for own in pair.own for sign in np.unique(np.sign(plain(own)))} - {0.0}
    turned = [
        index
        for index in some
        if len(signs) == 1
        and np.mean(plain(pair.got[index]) * next(iter(signs)) < -plain(np.abs(pair.own[index])) / 2) > TURNED
    ]
    return [
        Measure(name=name, value=len(found) / len(some), limit=most, where=f"sample {found[0]}" if found else "")
        for name, found in (("became zero", zero), ("changed sign", turned))
    ]


def channel_axis(own: Sequence[Array]) -> int | None:
    """Of the axes that are as long in every sample, the one whose scales differ most; None where there is none."""
    ranks = {each.ndim for each in own}
    if len(ranks) != 1:
        return None
    axes = [
        axis for axis in range(own[0].ndim) if len({each.shape[axis] for each in own}) == 1 and own[0].shape[axis] > 1
    ]
    axes = [axis for axis in axes if own[0].shape[axis] <= MOST_CHANNELS]
    looked_at = [each for each in own[:: max(1, len(own) // 16)] if each.size]
    if not looked_at:
        return None
    return max(axes, key=lambda axis: _difference(looked_at, axis), default=None)


def _difference(own: Sequence[Array], axis: int) -> float:
    """Spread of the logarithms of the scales along `axis`."""
    others = tuple(each for each in range(own[0].ndim) if each != axis)
    with np.errstate(all="ignore"):
        squares = np.mean([np.nanmean(plain(each) ** 2, axis=others) for each in own], axis=0)
    return float(np.std(np.log(np.sqrt(squares) + 1e-12)))


def _blocks(arrays: Sequence[Array], axis: int | None) -> Iterator[Array]:
    """Some channels at a time, [channels, values of all samples behind one another]."""
    if axis is None:
        yield np.concatenate([plain(each).ravel() for each in arrays])[None]
        return
    channels = arrays[0].shape[axis]
    step = max(1, BLOCK * channels // max(1, sum(each.size for each in arrays)))
    by_channel = [np.moveaxis(each, axis, 0).reshape(channels, each.size // channels) for each in arrays]
    for start in range(0, channels, step):
        yield np.concatenate([plain(each[start : start + step]) for each in by_channel], axis=1)


def _scales(own: Sequence[Array], axis: int | None, least: float) -> Scales:
    spread, reach, peak = [], [], []
    for values in _blocks(own, axis):
        middle = values.mean(axis=1, keepdims=True) if values.size else np.zeros((len(values), 1))
        away = np.abs(values - middle)
        spread.append(np.sqrt(np.mean(away**2, axis=1)) if values.size else np.zeros(len(values)))
        reach.append(away.max(axis=1, initial=0.0))
        peak.append(np.abs(values).max(axis=1, initial=0.0))
    spreads, reaches, peaks = (np.concatenate(each) for each in (spread, reach, peak))
    constant = reaches <= CONSTANT * np.maximum(peaks, np.finfo(np.float64).tiny)
    apart = axis is not None and all(each.ndim == 1 and each.size <= FEW for each in own)
    quietest = np.where(constant | (not apart), peaks.max(initial=0.0) * QUIETEST, np.finfo(np.float64).tiny)
    floor = np.maximum(np.maximum(peaks * PEAK_SHARE, quietest), least)
    floor[floor == 0] = 1.0
    return Scales(np.maximum(spreads, floor), np.maximum(reaches, floor), constant, float(peaks.max(initial=0.0)))


@dataclass(frozen=True, slots=True)
class _Errors:
    """By channel, but `samples` by sample; `controlled`: there is another sample of the same shape."""

    rms: Array
    bias: Array
    largest: Array
    control: Array
    samples: Array
    controlled: bool

    @classmethod
    def of(cls, pair: Paired, axis: int | None, scales: Scales, trimmed: float) -> "_Errors":
        controls = pair.controls()
        stand_ins = [own if other is None else other for own, other in zip(pair.own, controls, strict=True)]
        channels = len(scales.spread)
        lengths = np.array([each.size // (channels if axis is not None else 1) for each in pair.own])
        owner = np.repeat(np.arange(len(lengths)), lengths)
        has_other = np.repeat([other is not None for other in controls], lengths)
        rms, bias, largest, control = (np.zeros(channels) for _ in range(4))
        samples = np.zeros(len(lengths))
        blocks = zip(_blocks(pair.own, axis), _blocks(pair.got, axis), _blocks(stand_ins, axis), strict=True)
        start = 0
        for own, got, other in blocks:
            of = slice(start, start := start + len(own))
            if not own.size:
                continue
            errors, spread = got - own, scales.spread[of, None]
            squares = (errors / spread) ** 2
            rms[of] = np.sqrt(squares.mean(axis=1))
            bias[of] = np.abs(errors.mean(axis=1)) / scales.spread[of]
            largest[of] = _largest(np.abs(errors), trimmed) / scales.reach[of]
            if has_other.any():
                apart = ((got - other)[:, has_other] / spread) ** 2
                control[of] = np.sqrt(apart.mean(axis=1))
            away = np.abs(own - own.mean(axis=1, keepdims=True)) / spread
            samples += np.bincount(owner, (squares / np.maximum(1.0, away / FAR) ** 2).sum(axis=0), len(lengths))
        samples = np.sqrt(samples / np.maximum(lengths * channels, 1))
        return cls(rms, bias, largest, control, samples, bool(has_other.any()))


def _largest(errors: Array, trimmed: float) -> Array:
    """Of every channel, [channels, values]."""
    place = errors.shape[1] - int(errors.shape[1] * trimmed) - 1
    largest: Array = np.partition(errors, place, axis=1)[:, place]
    return largest


def _overall(per_channel: Array) -> float:
    return float(np.sqrt(np.mean(per_channel**2)))
