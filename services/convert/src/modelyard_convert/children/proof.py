"""Does the result still compute the same? Numbers only, called by `judge`; the rules are in the README.

A metric that also likes the wrong answer proves nothing. So every sample is scored a second time against the reference
of *another* sample (the control); a result that is hardly closer to its own reference than that is `inconclusive`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from modelyard_contracts.shapes import OutputParity, Tolerance
from modelyard_convert.children.arrays import Array

Verdict = Literal["passed", "failed", "inconclusive"]
SEED = 20240229
CONTROL_MARGIN = 2.0  # the control's distance must be more than this many times the result's
RESOLUTION = 1e-6  # cosine distance below which float32 outputs of different samples count as the same


@dataclass(frozen=True, slots=True)
class Evidence:
    """`broken` says per output why it cannot be measured at all; `score` names the output that is a score vector."""

    kind: Literal["calibration", "seeded"]
    samples: int
    outputs: tuple[OutputParity, ...]
    broken: dict[str, str] = field(default_factory=dict)
    score: str | None = None


def compare(
    reference: Mapping[str, Sequence[Array]],
    result: Mapping[str, Sequence[Array]],
    *,
    kind: Literal["calibration", "seeded"],
    score: str | None,
) -> Evidence:
    """By the source's output names one array per sample; none for an output without numbers."""
    numbers = [name for name in reference if reference[name]]
    broken = {name: why for name in numbers if (why := _defect(reference[name], result[name]))}
    measured = (
        measure(name, reference[name], result[name], scored=name == score) for name in numbers if name not in broken
    )
    count = max((len(values) for values in reference.values()), default=0)
    return Evidence(kind, count, tuple(measured), broken, score)


def measure(name: str, reference: Sequence[Array], result: Sequence[Array], *, scored: bool) -> OutputParity:
    """`reference` and `result` hold one array per sample, all finite."""
    own = _flat(reference)
    got = _flat(result)
    other = own[_another_one(len(own))]
    errors = np.abs(got - own)
    largest = float(np.abs(own).max(initial=0.0))
    top = _agreeing(own, got) if scored else None
    return OutputParity(
        name=name,
        max_abs_error=float(errors.max(initial=0.0)),
        mean_abs_error=float(errors.mean()),
        max_rel_error=float(errors.max(initial=0.0)) / largest if largest else float(errors.max(initial=0.0)),
        cosine=_cosine(own, got),
        control_cosine=_cosine(other, got),
        top1_agree=top,
        control_top1_agree=_agreeing(other, got) if scored else None,
    )


def judge(evidence: Evidence, tolerance: Tolerance) -> tuple[Verdict, str]:
    """A failure counts on whatever input it shows; a pass needs real inputs and a control that is worse."""
    faults = [f"output {name}: {why}" for name, why in evidence.broken.items()]
    faults += [fault for output in evidence.outputs for fault in _over(output, evidence.samples, tolerance)]
    if faults:
        return "failed", "; ".join(faults)
    if not evidence.outputs:
        return "inconclusive", "the model has no output with numbers to compare"
    if evidence.samples < 2:
        return "inconclusive", "one sample leaves nothing to compare the result with; give more calibration data"
    deciding = [output for output in evidence.outputs if output.name == evidence.score] or list(evidence.outputs)
    compared = _compared(deciding[0])
    if all(_control_as_good(output, evidence.samples) for output in deciding):
        reason = "the result is hardly closer to its own reference than to another sample's"
        return "inconclusive", f"{reason} ({compared}); give real inputs as calibration data"
    if evidence.kind == "seeded":
        return "inconclusive", "within the tolerance, but on noise; give real inputs as calibration data"
    return "passed", f"within the tolerance on {evidence.samples} real samples; own against control: {compared}"


def _defect(reference: Sequence[Array], result: Sequence[Array]) -> str | None:
    if len(reference) != len(result):
        return f"the source gives {len(reference)} values, the result {len(result)}"
    for own, got in zip(reference, result, strict=True):
        if own.shape != got.shape:
            return f"the source gives shape {list(own.shape)}, the result {list(got.shape)}"
    if reference[0].dtype.kind != "f":
        return None
    for who, values in (("source", reference), ("result", result)):
        bad = sum(int(np.count_nonzero(~np.isfinite(value))) for value in values)
        if bad:
            return f"{bad} values of the {who} are NaN or infinite"
        if not any(np.any(value) for value in values):
            return f"all values of the {who} are zero"
    return None


def _flat(values: Sequence[Array]) -> Array:
    """Samples first; outputs whose size differs from sample to sample become one row."""
    rows = [np.asarray(value, dtype=np.float64).ravel() for value in values]
    same = len({row.size for row in rows}) == 1
    return np.stack(rows) if same else np.concatenate(rows)[np.newaxis]


def _another_one(count: int) -> Array:
    """For every sample the index of another one, drawn: neighbours often are of the same class."""
    order = np.random.default_rng(SEED).permutation(count)
    other = np.empty(count, dtype=np.intp)
    other[order] = np.roll(order, 1)
    return other


def _cosine(left: Array, right: Array) -> float:
    """Mean over the samples. Two zero vectors count as the same, a zero vector and another one as unrelated."""
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    dots = np.einsum("ij,ij->i", left, right)
    cosines = np.where(norms > 0, dots / np.where(norms > 0, norms, 1.0), both_zero.astype(np.float64))
    return float(np.clip(cosines.mean(), -1.0, 1.0))


def _agreeing(left: Array, right: Array) -> int:
    return int(np.count_nonzero(left.argmax(axis=1) == right.argmax(axis=1)))


def _over(output: OutputParity, samples: int, tolerance: Tolerance) -> list[str]:
    """Every rule that `output` breaks, with the numbers."""
    faults = []
    if output.max_rel_error > tolerance.max_rel_error:
        faults.append(f"relative maximum error {output.max_rel_error:.4g} is over {tolerance.max_rel_error:g}")
    if output.cosine < tolerance.min_cosine:
        faults.append(f"cosine {output.cosine:.6f} is under {tolerance.min_cosine:g}")
    if output.top1_agree is not None and output.top1_agree < tolerance.min_top1_agreement * samples:
        faults.append(f"top class agrees on {output.top1_agree} of {samples}, under {tolerance.min_top1_agreement:g}")
    return [f"output {output.name}: {fault}" for fault in faults]


def _control_as_good(output: OutputParity, samples: int) -> bool:
    """By the top class where there is one, by the cosine, or by both."""
    own, control = output.top1_agree, output.control_top1_agree
    if own is not None and control is not None and samples - control <= CONTROL_MARGIN * (samples - own):
        return True
    distance = 1.0 - output.control_cosine
    return distance <= max(RESOLUTION, CONTROL_MARGIN * (1.0 - output.cosine))


def _compared(output: OutputParity) -> str:
    text = f"cosine {output.cosine:.6f} against {output.control_cosine:.6f}"
    if output.top1_agree is not None:
        text += f", top class {output.top1_agree} against {output.control_top1_agree}"
    return text
