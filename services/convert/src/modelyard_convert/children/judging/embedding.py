"""Embeddings: the angle to the reference, and whether the nearest reference still is the right one."""

from collections.abc import Sequence

import numpy as np

from modelyard_contracts.shapes import Measure, Tolerance
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.judging.numbers import SAMPLE_FACTOR, compare_numbers
from modelyard_convert.children.judging.pairing import Comparison, Paired, plain

SAMPLE_COSINE_FACTOR = 3.0
CHANNEL_FACTOR = 1.5  # a vector's direction is what counts, but no channel may be cut off
TIE = 1e-6


def compare_embeddings(pair: Paired, bounds: Tolerance) -> Comparison:
    """One vector for each sample, or several of the same length, [.., d]."""
    (own, own_norms), (got, got_norms) = (_vectors(each) for each in (pair.own, pair.got))
    lengths = np.cumsum([0, *(each.size // own.shape[1] for each in pair.own)])
    cosines = np.einsum("ij,ij->i", own, got)
    apart = np.sqrt(np.maximum(2.0 - 2.0 * cosines, 0.0))
    between = np.sqrt(np.maximum(2.0 - 2.0 * (got @ own.T), 0.0)) if len(own) <= 4096 else None

    def sample_of(vector: int) -> int:
        return int(np.searchsorted(lengths, vector, side="right")) - 1

    sample = sample_of(int(np.argmin(cosines)))
    measures = [
        Measure(name="cosine", value=float(cosines.mean()), limit=bounds.min_cosine, at_least=True),
        Measure(
            name="sample cosine",
            value=float(cosines.min()),
            limit=1.0 - SAMPLE_COSINE_FACTOR * (1.0 - bounds.min_cosine),
            at_least=True,
            where=f"sample {sample}",
        ),
        Measure(
            name="length",
            value=float(np.abs(got_norms - own_norms).mean() / (own_norms.mean() or 1.0)),
            limit=bounds.max_rel_error,
        ),
    ]
    numbers = compare_numbers(pair, bounds.max_rel_error * CHANNEL_FACTOR)
    measures += [measure for measure in numbers.measures if measure.name == "largest error"]
    distance, control = float(np.sqrt(np.mean(apart**2))), None
    if between is not None and len(own) > 1:
        elsewhere = between[~np.eye(len(own), dtype=bool)].reshape(len(own), -1)
        control = float(np.sqrt(np.mean(elsewhere**2)))
        kept = between.min(axis=1) >= apart - TIE
        measures.append(
            Measure(
                name="neighbours",
                value=float(kept.mean()),
                limit=bounds.min_top1_agreement,
                at_least=True,
                control=1.0 / len(own),
                where="" if kept.all() else f"sample {sample_of(int(np.argmin(kept)))}",
            )
        )
        usual = np.median(elsewhere, axis=1)
        ratio = np.where(usual > 0, apart / np.where(usual > 0, usual, 1.0), apart)
        far = int(np.argmax(ratio))
        measures.append(
            Measure(
                name="sample error",
                value=float(ratio[far]),
                limit=bounds.max_rel_error * SAMPLE_FACTOR,
                where=f"sample {sample_of(far)}",
            )
        )
    return Comparison(tuple(measures), distance, control, sample)


def _vectors(values: Sequence[Array]) -> tuple[Array, Array]:
    """[vectors, d] of length one (those of length zero stay so), and the lengths."""
    rows = np.concatenate([plain(each).reshape(-1, each.shape[-1]) for each in values])
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0), norms[:, 0]
