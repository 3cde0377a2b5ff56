"""Does the result still compute the same? Numbers only, called by `judge`; the rules are in the README.

Every output is compared by what it is, sample by sample, and each has to hold. A metric that also likes the wrong
answer proves nothing: so each sample is compared a second time with the reference of *another* one (the control); a
result that is hardly closer to its own reference than that is `inconclusive`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from modelyard_contracts.package import OutputRole
from modelyard_contracts.shapes import Measure, OutputParity, Tolerance
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.judging.agreement import compare_ids, compare_masks, compare_rows
from modelyard_convert.children.judging.detections import Boxes, compare_detections, corners
from modelyard_convert.children.judging.embedding import compare_embeddings
from modelyard_convert.children.judging.numbers import compare_numbers
from modelyard_convert.children.judging.pairing import Comparison, Paired, partners
from modelyard_convert.children.judging.roles import BY_VALUES, CORNERS, UNKNOWN, Role, roles
from modelyard_convert.children.judging.scores import compare_scores

Verdict = Literal["passed", "failed", "inconclusive"]
Kind = Literal["calibration", "seeded"]
CONTROL_MARGIN = 2.0  # the control's distance must be more than this many times the result's
TOP_SHARE = 0.05  # of a row's range: by so much a coarse score may miss the one that was rounded up beside it
LEAST_SAMPLES = 8  # of results that are not exact
SET_ROLES = frozenset({"rows", "indices"})


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of the source beside its outputs. `heads`: what makes each of them in the graph; `inputs_vary`:
    samples differ in size; `open_ended`: outputs whose last axis has no fixed length: its places are no classes."""

    declared: tuple[OutputRole, ...] = ()
    heads: Mapping[str, str] | None = None
    labels: int = 0
    inputs_vary: bool = False
    open_ended: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Judged:
    """`varies`: its reference is not the same for every sample. `undecided`: why it proves nothing."""

    parity: OutputParity
    faults: tuple[str, ...] = ()
    undecided: str = ""
    notes: tuple[str, ...] = ()
    varies: bool = True


@dataclass(frozen=True, slots=True)
class Evidence:
    kind: Kind
    samples: int
    outputs: tuple[Judged, ...]


def compare(
    reference: Mapping[str, Sequence[Array]],
    result: Mapping[str, Sequence[Array]],
    *,
    kind: Kind,
    tolerance: Tolerance,
    model: Model | None = None,
) -> Evidence:
    """By the source's output names one array per sample; none for an output that cannot be compared."""
    model = model or Model()
    given = {name: values for name, values in reference.items() if values}
    found = roles(given, model.declared, model.heads or {}, model.labels, _sequences(model, given, result))
    groups = _detectors(found)
    judged = []
    for name, values in given.items():
        bounds = tolerance.of(name, found[name].role)
        if name in groups:
            if name == groups[0]:
                judged.append(_judge_detections(groups, given, result, found, bounds))
            continue
        if name in model.open_ended and found[name].role == "scores" and found[name].told == "the graph: Sigmoid":
            own, got = ([each.reshape(-1, 1) for each in side] for side in (values, result[name]))
            judged.append(_judge_output(name, own, got, found[name], bounds))
            continue
        follows = _follows(name, found, given, result)
        judged.append(follows or _judge_output(name, values, result[name], found[name], bounds))
    samples = max((len(values) for values in given.values()), default=0)
    return Evidence(kind, samples, tuple(judged))


def judge(evidence: Evidence, *, repeats: bool = True) -> tuple[Verdict, str, tuple[str, ...]]:
    """Verdict, reason and notes. A failure counts on whatever input it shows. `repeats`: the source gives the same
    values for the same input."""
    outputs = evidence.outputs
    notes = tuple(dict.fromkeys(f"output {each.parity.name}: {note}" for each in outputs for note in each.notes))
    if not repeats:
        return (
            "inconclusive",
            "the source gives other values each time for one and the same input (it draws them)",
            notes,
        )
    faults = [f"output {each.parity.name}: {fault}" for each in outputs for fault in each.faults]
    if faults:
        return "failed", "; ".join(faults), (*notes, *map(_undeclared, filter(_guessed, outputs)))
    if doubt := _doubt(evidence):
        return "inconclusive", doubt, notes
    if all(each.parity.exact for each in outputs):
        return "passed", f"bit for bit the same on {evidence.samples} samples", notes
    return "passed", f"within the tolerance on {evidence.samples} real samples: {_told(outputs)}", notes


def _guessed(judged: Judged) -> bool:
    told = judged.parity.role_from
    return bool(judged.faults and judged.parity.measures) and (told == UNKNOWN or told.startswith(BY_VALUES))


def _undeclared(judged: Judged) -> str:
    parity = judged.parity
    if parity.role_from == UNKNOWN:
        judged_as, others = (
            "nothing says what it is, so it was judged as plain numbers",
            "a detector's, a map or scores",
        )
    else:
        judged_as, others = f"it was judged as {parity.role} by its values alone", "something else, such as numbers"
    return f"output {parity.name}: {judged_as}; if it is {others}, say so in `outputs` of config.json (docs/proof.md)"


def _doubt(evidence: Evidence) -> str:
    """Why the samples prove nothing, and what to add."""
    outputs = evidence.outputs
    if not outputs:
        return "the model has no output that can be compared"
    if not any(each.varies for each in outputs):
        return "the source gives the same for every sample: add samples that differ"
    if all(each.parity.exact for each in outputs):
        return ""
    if evidence.kind == "seeded":
        return "within the tolerance, but on noise; give real inputs as calibration data"
    undecided = [f"output {each.parity.name}: {each.undecided}" for each in outputs if each.undecided]
    if not undecided and evidence.samples < LEAST_SAMPLES:
        return f"within the tolerance, but on {evidence.samples} samples; give at least {LEAST_SAMPLES}"
    return "; ".join(undecided)


def _told(outputs: Sequence[Judged]) -> str:
    return "; ".join(f"{each.parity.name} as {each.parity.role}" for each in outputs)


def _judge_output(name: str, own: Sequence[Array], got: Sequence[Array], role: Role, bounds: Tolerance) -> Judged:
    defect = _defect(own, got, fixed=role.role not in SET_ROLES)
    if defect:
        return Judged(_parity(name, role, own, got, None), (defect,))
    varies = len({each.shape for each in own}) > 1 or any(not _same(each, own[0]) for each in own[1:])
    if all(_same(a, b) for a, b in zip(own, got, strict=True)):
        notes = () if varies else ("it is the same for every sample",)
        return Judged(_parity(name, role, own, got, None, exact=True), notes=notes, varies=varies)
    found = _compared(Paired(own, got, partners(own)), role, bounds)
    silent = got[0].dtype.kind == "f" and not any(map(np.any, got))
    return _judged(_parity(name, role, own, got, found), found, varies=varies, silent=silent)


def _follows(
    name: str,
    found: Mapping[str, Role],
    reference: Mapping[str, Sequence[Array]],
    result: Mapping[str, Sequence[Array]],
) -> Judged | None:
    """Ids beside the scores that they are the top class of, one id for each place: the scores say how far a change
    matters, so the ids need only follow the result's own scores. None for others."""
    scores = [each for each, role in found.items() if role.role in ("scores", "logits")]
    own, got = reference[name], result[name]
    if found[name].role != "classes" or len(scores) != 1 or any(each.size != 1 for each in (*own, *got)):
        return None
    theirs, ours = reference[scores[0]], result[scores[0]]
    if not len(own) == len(got) == len(theirs) == len(ours):
        return None
    pairs = {(each.item(), int(row.argmax())) for each, row in zip(own, theirs, strict=True)}
    places = dict(pairs)
    if not len(pairs) == len(places) == len(set(places.values())):
        return None
    wrong = []
    for index, (each, row) in enumerate(zip(got, ours, strict=True)):
        top = int(row.argmax())
        if each.item() not in places and top not in places.values():  # a class that no reference was of
            places[each.item()] = top
        place = places.get(each.item())
        if place is None or row.ravel()[place] < row.max() - np.ptp(row) * TOP_SHARE:
            wrong.append(index)
    exact = all(_same(a, b) for a, b in zip(own, got, strict=True))
    role = Role("classes", f"the values: the top class of {scores[0]}")
    parity = _parity(name, role, own, got, None, exact=exact)
    faults = (f"sample {wrong[0]}: it is not the top class of {scores[0]}",) if wrong else ()
    return Judged(parity, faults, varies=len(pairs) > 1)


def _judged(parity: OutputParity, found: Comparison, *, varies: bool, silent: bool = False) -> Judged:
    faults = tuple(_over(measure) for measure in found.measures if not measure.holds)
    if faults and silent:
        faults = ("all values of the result are zero", *faults)
    undecided = found.undecided or (_uncontrolled(found) if varies else "")
    return Judged(parity, faults, undecided, found.notes, varies)


def _uncontrolled(found: Comparison) -> str:
    """Why the control says nothing for the result."""
    if found.control is None:
        return "no other sample has an output of this shape to compare with: add samples of the same size"
    if found.control > CONTROL_MARGIN * found.distance:
        return ""
    return (
        f"the result is hardly closer to its own reference ({found.distance:.3g}) than to another sample's "
        f"({found.control:.3g}): give real inputs that differ as calibration data"
    )


def _compared(pair: Paired, role: Role, bounds: Tolerance) -> Comparison:
    name = "classes" if pair.own[0].dtype.kind in "USO" else role.role
    if name in ("scores", "logits") and len({each.ndim for each in pair.own}) == 1:
        return compare_scores(pair, bounds, logits=name == "logits")
    if name == "embedding" and pair.own[0].ndim:
        return compare_embeddings(pair, bounds)
    if name in _COMPARISONS:
        return _COMPARISONS[name](pair, bounds)
    return compare_numbers(pair, bounds.max_rel_error, most_lost=1.0 - bounds.min_top1_agreement)


_COMPARISONS = {"classes": compare_ids, "mask": compare_masks, "rows": compare_rows, "indices": compare_rows}


def _sequences(
    model: Model, reference: Mapping[str, Sequence[Array]], result: Mapping[str, Sequence[Array]]
) -> frozenset[str]:
    """Outputs whose length follows from the sample's, not from what the model finds in it."""
    if not model.inputs_vary:
        return frozenset()
    return frozenset(
        name
        for name, values in reference.items()
        if [each.shape for each in values] == [each.shape for each in result[name]]
    )


def _detectors(found: Mapping[str, Role]) -> tuple[str, ...]:
    """The outputs that are detections together, boxes first; or the one that holds all."""
    by_role = {role.role: name for name, role in found.items() if role.role in ("boxes", "scores", "classes")}
    if "boxes" in by_role and "scores" in by_role:
        return tuple(by_role[each] for each in ("boxes", "scores", "classes") if each in by_role)
    return tuple(name for name, role in found.items() if role.role == "detections")[:1]


def _judge_detections(
    group: tuple[str, ...],
    reference: Mapping[str, Sequence[Array]],
    result: Mapping[str, Sequence[Array]],
    found: Mapping[str, Role],
    bounds: Tolerance,
) -> Judged:
    """Named after all its outputs; exact where each of them is."""
    role = found[group[0]]
    own, got = ([*zip(*(side[name] for name in group), strict=False)] for side in (reference, result))
    name = ", ".join(group)
    defect = next((why for each in group if (why := _defect(reference[each], result[each], fixed=False))), None)
    first = reference[group[0]], result[group[0]]
    shown = Role("detections", role.told, role.declared)
    if defect:
        return Judged(_parity(name, shown, *first, None), (defect,))
    varies = any(not all(map(_same, each, own[0])) for each in own[1:])
    if all(all(map(_same, a, b)) for a, b in zip(own, got, strict=True)):
        return Judged(_parity(name, shown, *first, None, exact=True), varies=varies)
    if len(group) > 1 and (index := next((at for at, each in enumerate(got) if not _fit(each)), None)) is not None:
        counts = ", ".join(f"{each} {list(values.shape)}" for each, values in zip(group, got[index], strict=True))
        return Judged(_parity(name, shown, *first, None), (f"sample {index}: they do not fit together: {counts}",))
    theirs, ours = ([_boxes(each, role) for each in side] for side in (own, got))
    if any(len(each.boxes) != len(each.scores) for each in (*theirs, *ours)):
        return Judged(_parity(name, shown, *first, None), ("boxes and scores are of different lengths",))
    compared = compare_detections(theirs, ours, bounds)
    judged = _judged(_parity(name, shown, *first, compared), compared, varies=varies)
    return replace(judged, notes=(*judged.notes, *_unread(role, own[0][0])))


def _fit(arrays: Sequence[Array]) -> bool:
    """As many boxes as scores, of one class or of each, and as many class ids."""
    boxes, scores, *classes = arrays
    count = boxes.size // CORNERS
    some = bool(count)
    return (
        scores.size % max(count, 1) == 0 and bool(scores.size) == some and all(each.size == count for each in classes)
    )


def _unread(role: Role, head: Array) -> tuple[str, ...]:
    """Places of a head that config.json says nothing of: nobody compares them."""
    decode = role.declared.decode if role.declared else None
    if decode is None or decode.axis > head.ndim:
        return ()
    read = {*range(*decode.boxes), *range(*decode.scores), decode.objectness, decode.class_id}
    left = [place for place in range(head.shape[decode.axis - 1]) if place not in read]
    if not left:
        return ()
    shown = ", ".join(map(str, left[:5])) + (" and more" if len(left) > 5 else "")
    return (
        f"places {shown} are not compared: decode in config.json does not say what they are (class_id, objectness)",
    )


def _boxes(arrays: Sequence[Array], role: Role) -> Boxes:
    entry = role.declared
    form = entry.box_format if entry else "xyxy"
    if entry and entry.decode:
        head = np.moveaxis(arrays[0].astype(np.float64), entry.decode.axis - 1, -1)
        head = head.reshape(-1, head.shape[-1])
        boxes = head[:, slice(*entry.decode.boxes)]
        scores = head[:, slice(*entry.decode.scores)]
        if entry.decode.objectness is not None:
            scores = scores * head[:, entry.decode.objectness, None]
    else:
        boxes = arrays[0].reshape(-1, 4)
        scores = arrays[1].astype(np.float64).reshape(len(boxes), -1) if len(boxes) else np.zeros((0, 1))
    boxes, scores = np.nan_to_num(boxes), np.nan_to_num(scores)
    named = entry.decode.class_id if entry and entry.decode else None
    if named is not None:
        classes = np.round(head[:, named])
    else:
        classes = arrays[2].ravel() if len(arrays) > 2 else scores.argmax(axis=1)
    return Boxes(corners(boxes, form), scores.max(axis=1, initial=0.0), classes)


def _same(left: Array, right: Array) -> bool:
    return left.shape == right.shape and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")


def _defect(own: Sequence[Array], got: Sequence[Array], *, fixed: bool) -> str | None:
    """Why it cannot be measured at all. What the source itself does not compute has to be the same in the result."""
    if len(own) != len(got):
        return f"the source gives {len(own)} values, the result {len(got)}"
    for index, (a, b) in enumerate(zip(own, got, strict=True)):
        shapes = (a.shape, b.shape) if fixed else (a.shape[1:], b.shape[1:])
        if a.ndim != b.ndim or shapes[0] != shapes[1]:
            return f"sample {index}: the source gives shape {list(a.shape)}, the result {list(b.shape)}"
        if a.dtype.kind != "f" or b.dtype.kind != "f":
            continue
        if a.shape == b.shape and not _same_pattern(a, b):
            return f"sample {index}: {_not_finite(a, b)}"
        if a.shape != b.shape and np.isfinite(a).all() and not np.isfinite(b).all():
            return f"sample {index}: values of the result are NaN or infinite"
    return None


def _not_finite(own: Array, got: Array) -> str:
    """Where both are not finite, but not the same, the result's is told."""
    apart = _pattern(own) != _pattern(got)
    count = int(np.count_nonzero(apart))
    here = got[apart]
    if np.isfinite(here).all():
        return f"{count} values are NaN or infinite in the source and not in the result"
    what = "infinite" if np.isinf(here).any() else "NaN"
    largest = float(np.abs(own[np.isfinite(own)]).max(initial=0.0))
    return f"{count} values of the result are {what} and those of the source are not; its largest is {largest:.4g}"


def _pattern(values: Array) -> Array:
    """0 finite, 1 NaN, 2 and 3 infinite."""
    return np.where(np.isnan(values), 1, np.where(np.isposinf(values), 2, np.where(np.isneginf(values), 3, 0)))


def _same_pattern(left: Array, right: Array) -> bool:
    if np.isfinite(left).all() and np.isfinite(right).all():
        return True
    return bool(np.array_equal(_pattern(left), _pattern(right)))


def _parity(
    name: str, role: Role, own: Sequence[Array], got: Sequence[Array], found: Comparison | None, *, exact: bool = False
) -> OutputParity:
    errors = [_errors(a, b) for a, b in zip(own, got, strict=False)] if found or exact else []
    largest = next((m.value for m in found.measures if m.name.endswith("largest error")), 0.0) if found else 0.0
    return OutputParity(
        name=name,
        role=role.role,
        role_from=role.told,
        exact=exact,
        worst_sample=found.worst_sample if found else None,
        measures=found.measures if found else (),
        max_abs_error=max((each[0] for each in errors), default=0.0),
        mean_abs_error=float(np.mean([each[1] for each in errors])) if errors else 0.0,
        max_rel_error=largest,
        cosine=_mean_cosine(own, got) if errors else 0.0,
        control_cosine=_mean_cosine(*_control(own, got)) if errors else 0.0,
        top1_agree=found.top1[0] if found and found.top1 else None,
        control_top1_agree=found.top1[1] if found and found.top1 else None,
    )


def _errors(own: Array, got: Array) -> tuple[float, float]:
    if own.shape != got.shape or own.dtype.kind not in "fiub" or not own.size:
        return 0.0, 0.0
    finite = np.isfinite(own) & np.isfinite(got)
    apart = np.abs(own.astype(np.float64) - got.astype(np.float64))[finite]
    return float(apart.max(initial=0.0)), float(apart.mean()) if apart.size else 0.0


def _control(own: Sequence[Array], got: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    pairs = [(own[other], got[index]) for index, other in enumerate(partners(own)) if other is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _mean_cosine(own: Sequence[Array], got: Sequence[Array]) -> float:
    """Mean over the samples. Two zero vectors count as the same, a zero vector and another one as unrelated."""
    cosines = []
    for a, b in zip(own, got, strict=True):
        if a.shape != b.shape or a.dtype.kind not in "fiub":
            continue
        left, right = (np.nan_to_num(each.astype(np.float64).ravel()) for each in (a, b))
        norms = float(np.linalg.norm(left) * np.linalg.norm(right))
        cosines.append(float(left @ right) / norms if norms else float(not left.any() and not right.any()))
    return float(np.clip(np.mean(cosines), -1.0, 1.0)) if cosines else 0.0


def _over(measure: Measure) -> str:
    direction = "under" if measure.at_least else "over"
    where = f" ({measure.where})" if measure.where else ""
    return f"{measure.name} {measure.value:.4g} is {direction} {measure.limit:.4g}{where}"
