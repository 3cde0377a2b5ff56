"""What each output is: what config.json says, or what makes it in the graph, or what its values show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelyard_contracts.package import HeadDecoding, OutputRole
from modelyard_convert.children.arrays import Array

MADE_BY = {
    "Softmax": "scores",
    "Sigmoid": "scores",
    "ArgMax": "classes",
    "NonMaxSuppression": "indices",
    "TopK.1": "indices",
    "LpNormalization": "embedding",
    "LinearClassifier": "classes",
    "SVMClassifier": "classes",
    "TreeEnsembleClassifier": "classes",
    "LinearClassifier.1": "scores",
    "SVMClassifier.1": "scores",
    "TreeEnsembleClassifier.1": "scores",
    "ZipMap": "scores",
    **{f"{name}.{place}": "state" for name in ("LSTM", "GRU", "RNN") for place in (1, 2)},
}
LEAST_EMBEDDING = 16  # values in a vector of length one, before that is taken for more than chance
MAP_RANK = 2  # of a sample: height and width
CORNERS = 4
MOST_SCORE_RANK = 2
RANKED = (CORNERS + 2,)
UNKNOWN = "nothing says what it is"
BY_VALUES = "the values: "
MOST_IDS = 100  # different whole numbers in the maps of a few samples: more are grey levels or counts
FEW_SAMPLES = 32


@dataclass(frozen=True, slots=True)
class Role:
    """`told`: where it comes from. `declared`: the entry of config.json."""

    role: str
    told: str
    declared: OutputRole | None = None


def roles(
    outputs: Mapping[str, Sequence[Array]],
    declared: Sequence[OutputRole],
    heads: Mapping[str, str],
    labels: int,
    sequences: frozenset[str] = frozenset(),
) -> dict[str, Role]:
    """By output, of the reference's values. `labels`: how many class names config.json has. `sequences`: outputs as
    long as their inputs, so that the place of a row has a meaning."""
    said = {entry.name: Role(entry.role, "config.json", entry) for entry in declared}
    found = {
        name: said.get(name)
        or _ranked(name, values)
        or _shown(values, heads.get(name, ""), labels, sequence=name in sequences)
        for name, values in outputs.items()
        if values
    }
    return _detections(found, outputs) if not said else found


def _shown(values: Sequence[Array], head: str, labels: int, *, sequence: bool) -> Role:
    operator = head.rpartition("::")[2]
    role = MADE_BY.get(operator)
    first = values[0]
    if role == "scores" and first.ndim > MOST_SCORE_RANK:
        role = "mask"
    if role == "classes" and first.ndim >= MAP_RANK:
        role = "mask"
    if role == "scores" and not _probabilities(values):
        role = None  # moved on to something else
    if role:
        return Role(role, f"the graph: {head}")
    return _by_values(values, labels, sequence=sequence)


def _by_values(values: Sequence[Array], labels: int, *, sequence: bool) -> Role:
    first = values[0]
    vary = _rows_vary(values) and first.ndim <= MAP_RANK and not sequence
    if first.dtype.kind in "iubUSO":
        if vary:
            return Role("indices", f"{BY_VALUES}whole numbers, rows vary")
        if first.dtype.kind in "iu" and first.ndim >= MAP_RANK and _are_graded(values):
            return Role("numbers", f"{BY_VALUES}more whole numbers than a map has classes")
        return Role("mask" if first.ndim >= MAP_RANK else "classes", f"{BY_VALUES}whole numbers")
    if vary:
        return Role("rows", f"{BY_VALUES}rows vary from sample to sample")
    return _vector(values, labels) or Role("numbers", UNKNOWN)


def _are_graded(values: Sequence[Array]) -> bool:
    return len(np.unique(np.concatenate([each.ravel() for each in values[:FEW_SAMPLES]]))) > MOST_IDS


def _ranked(name: str, values: Sequence[Array]) -> Role | None:
    """[k, 6], as detectors end that rank what they find: boxes, a score that falls from row to row, and a class id."""
    if {each.shape for each in values} != {(*values[0].shape[:1], *RANKED)} or len(values[0]) < 2:
        return None
    rows = np.stack([each.astype(np.float64) for each in values])
    whole = (rows == np.round(rows)).all(axis=(0, 1))
    for score, ids in ((CORNERS, CORNERS + 1), (CORNERS + 1, CORNERS)):
        falling = (np.diff(rows[..., score], axis=1) <= 0).all()
        if not falling or whole[score] or not whole[ids] or not _probabilities([each[:, score] for each in values]):
            continue
        there = rows[rows[..., score] > 0]
        if not (there[:, 2:4] >= there[:, :2]).all():
            continue
        decode = HeadDecoding(axis=2, boxes=(0, CORNERS), scores=(score, score + 1), class_id=ids)
        entry = OutputRole(name=name, role="detections", decode=decode)
        return Role("detections", f"{BY_VALUES}boxes with falling scores and class ids", entry)
    return None


def _vector(values: Sequence[Array], labels: int) -> Role | None:
    first = values[0]
    if first.ndim != 1 or first.size < 2:
        return None
    if _sum_to_one(values):
        return Role("scores", f"{BY_VALUES}they add up to one")
    if first.size >= LEAST_EMBEDDING and _of_length_one(values):
        return Role("embedding", f"{BY_VALUES}vectors of length one")
    if first.size == labels:
        return Role("logits", f"config.json: as many values as labels ({labels})")
    return None


def _detections(found: dict[str, Role], outputs: Mapping[str, Sequence[Array]]) -> dict[str, Role]:
    """Boxes [n, 4] and scores [n], with classes [n] or a number of rows that varies."""
    boxes = [
        name for name in found if all(each.ndim == MAP_RANK and each.shape[1] == CORNERS for each in outputs[name])
    ]
    if len(boxes) != 1:
        return found
    lengths = [len(each) for each in outputs[boxes[0]]]
    beside = [
        name
        for name, values in outputs.items()
        if name in found and all(each.ndim == 1 for each in values) and [len(each) for each in values] == lengths
    ]
    whole = [name for name in beside if all(np.array_equal(each, np.round(each)) for each in outputs[name])]
    scores = [
        name
        for name in beside
        if name not in whole and outputs[name][0].dtype.kind == "f" and _probabilities(outputs[name])
    ]
    classes = [name for name in whole if outputs[name][0].dtype.kind in "iuf"]
    if len(scores) != 1 or len(classes) > 1 or not (classes or len(set(lengths)) > 1):
        return found
    told = f"{BY_VALUES}boxes beside scores"
    return found | {
        boxes[0]: Role("boxes", told),
        scores[0]: Role("scores", told),
        **{name: Role("classes", told) for name in classes},
    }


def _rows_vary(values: Sequence[Array]) -> bool:
    return len({each.shape for each in values}) > 1 and len({each.shape[1:] for each in values}) == 1


def _probabilities(values: Sequence[Array]) -> bool:
    return all(np.nanmin(each) >= 0 and np.nanmax(each) <= 1 + 1e-3 for each in values if each.size)


def _sum_to_one(values: Sequence[Array]) -> bool:
    return _probabilities(values) and all(abs(float(each.sum(dtype=np.float64)) - 1.0) < 0.01 for each in values)


def _of_length_one(values: Sequence[Array]) -> bool:
    return all(abs(float(np.linalg.norm(each.astype(np.float64))) - 1.0) < 0.01 for each in values)
