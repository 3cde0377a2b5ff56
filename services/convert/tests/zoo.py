"""Kinds of models and wrong converters, for the proof: small random networks in numpy, whose right conversions are
really rounded (8 bits, fp16, fp32), and conversions that are wrong in one known way.

A model takes `[128, 32]` (text: 128 sequences of 3 to 11 steps) and gives one array for each sample and output.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelyard_contracts.package import HeadDecoding, OutputRole
from modelyard_contracts.shapes import Tolerance

Array = np.ndarray[Any, Any]
Outputs = dict[str, list[Array]]
SAMPLES = 128
ANCHORS = 40
CLASSES = 5
MANY = 150_000  # values: their extremes say little of them
HEAD = 4 + CLASSES
TOLERANCES = {
    "int8": Tolerance(max_rel_error=0.25, min_cosine=0.99, min_top1_agreement=0.97),
    "fp16": Tolerance(max_rel_error=0.02, min_cosine=0.9999, min_top1_agreement=0.99),
    "fp32": Tolerance(max_rel_error=0.001, min_cosine=0.99999, min_top1_agreement=0.99),
}


def _eight_bits(values: Array) -> Array:
    step = np.abs(values).max() / 127
    return np.asarray(np.round(values / step) * step)


ROUNDED: dict[str, Callable[[Array], Array]] = {
    "exact": lambda values: values,
    "int8": _eight_bits,
    "fp16": lambda values: values.astype(np.float16).astype(np.float64),
    "fp32": lambda values: values.astype(np.float32).astype(np.float64),
}


@dataclass(frozen=True)
class Network:
    """Three layers; weights and activations are rounded as `how` says."""

    weights: tuple[Array, Array, Array]
    bias: Array

    @classmethod
    def drawn(cls, random: np.random.Generator, hidden: int, wide: int, scale: float = 1.0) -> "Network":
        def layer(rows: int, columns: int, by: float) -> Array:
            return np.asarray(random.standard_normal((rows, columns)) / np.sqrt(rows) * by)

        weights = layer(32, hidden, 1.5), layer(hidden, hidden, 1.5), layer(hidden, wide, 2 * scale)
        return cls(weights, random.standard_normal(wide) * 0.3 * scale)

    def __call__(self, inputs: Array, how: str, left_out: int | None = None) -> Array:
        rounded = ROUNDED[how]
        hidden = rounded(np.maximum(rounded(inputs) @ rounded(self.weights[0]), 0))
        if left_out is None:
            hidden = rounded(np.maximum(hidden @ rounded(self.weights[1]), 0))
        return np.asarray(hidden @ rounded(self.weights[2]) + self.bias)


@dataclass(frozen=True)
class Kind:
    """`compute(how, left_out)`: all outputs of all samples. `scores`: of an output the places that
    are scores of classes. `alone`: one wrong sample of many shows; an id that is wrong may have been a toss-up."""

    compute: Callable[..., Outputs]
    declared: tuple[OutputRole, ...] = ()
    inputs_vary: bool = False
    scores: Mapping[str, slice] = field(default_factory=dict)
    alone: bool = True


def kinds(seed: int) -> dict[str, Kind]:
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((SAMPLES, 32))
    return {
        **_classifiers(random, inputs),
        **_detectors(random, inputs),
        **_maps(random, inputs),
        **_others(random, inputs),
    }


def _floats(values: Array) -> list[Array]:
    return [*values.astype(np.float32)]


def softmax(values: Array, axis: int = -1) -> Array:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def sigmoid(values: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-values)))


def _classifiers(random: np.random.Generator, inputs: Array) -> dict[str, Kind]:
    first, second, third = (Network.drawn(random, 64, 10, 2) for _ in range(3))
    binary = Network.drawn(random, 64, 1, 3)
    several, ids = Network.drawn(random, 64, 12, 2), Network.drawn(random, 64, 6, 2)
    every = {"y": slice(None)}

    def zipped(*how: Any) -> Outputs:
        logits = third(inputs, *how)
        return {"label": [*logits.argmax(1)], "probabilities": _floats(softmax(logits))}

    return {
        "classifier": Kind(lambda *how: {"y": _floats(softmax(first(inputs, *how)))}, scores=every),
        "classifier, logits": Kind(
            lambda *how: {"y": _floats(second(inputs, *how))}, (OutputRole(name="y", role="logits"),), scores=every
        ),
        "binary classifier": Kind(
            lambda *how: {"y": _floats(sigmoid(binary(inputs, *how)))},
            (OutputRole(name="y", role="scores"),),
            scores=every,
        ),
        "labels and ZipMap": Kind(zipped, scores={"probabilities": slice(None)}),
        "several labels": Kind(
            lambda *how: {"y": _floats(sigmoid(several(inputs, *how) - 3))},
            (OutputRole(name="y", role="scores"),),
            scores=every,
        ),
        "ids alone": Kind(
            lambda *how: {"y": [*(ids(inputs, *how) - ids(inputs, "exact").mean(0)).argmax(1)]}, alone=False
        ),
    }


def _detectors(random: np.random.Generator, inputs: Array) -> dict[str, Kind]:
    network = Network.drawn(random, 96, ANCHORS * HEAD)
    places = np.arange(ANCHORS)

    def head(*how: Any) -> Array:
        raw = network(inputs, *how).reshape(SAMPLES, HEAD, ANCHORS)
        boxes = [
            places % 8 * 40 + 20 + raw[:, 0] * 8,
            places // 8 * 60 + 30 + raw[:, 1] * 8,
            np.exp(raw[:, 2] * 0.3) * 40,
            np.exp(raw[:, 3] * 0.3) * 50,
        ]
        return np.concatenate([np.stack(boxes, 1), sigmoid(raw[:, 4:] * 1.5 - 2.5)], 1)

    def selected(*how: Any) -> Outputs:
        found: Outputs = {"boxes": [], "scores": [], "labels": []}
        for one in head(*how):
            best = one[4:].max(0)
            kept = [place for place in np.argsort(-best) if best[place] > 0.25][:12]
            x, y, width, height = one[:4, kept]
            corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
            found["boxes"].append(corners.astype(np.float32))
            found["scores"].append(best[kept].astype(np.float32))
            found["labels"].append(one[4:, kept].argmax(0))
        return found

    def ranked(*how: Any) -> Outputs:
        """Padded to one length, as heads without suppression end."""
        found = selected(*how)
        rows = [np.zeros((12, 6), np.float32) for _ in range(SAMPLES)]
        for index, row in enumerate(rows):
            kept = len(found["scores"][index])
            row[:kept, :4], row[:kept, 4] = found["boxes"][index], found["scores"][index]
            row[:kept, 5] = found["labels"][index]
        return {"y": rows}

    decode = HeadDecoding(axis=1, boxes=(0, 4), scores=(4, HEAD))
    declared = OutputRole(name="y", role="detections", box_format="cxcywh", decode=decode)
    only = {"y": slice(4, HEAD)}
    return {
        "detector, one head": Kind(lambda *how: {"y": _floats(head(*how))}, scores=only),
        "detector, one head that config.json explains": Kind(
            lambda *how: {"y": _floats(head(*how))}, (declared,), scores=only
        ),
        "detector, rows by their score": Kind(ranked),
        "detector with NMS": Kind(selected, scores={"scores": slice(None)}),
    }


def _maps(random: np.random.Generator, inputs: Array) -> dict[str, Kind]:
    network = Network.drawn(random, 64, 4 * 12 * 12, 2)

    def smooth(*how: Any) -> Array:
        maps = network(inputs, *how).reshape(SAMPLES, 4, 12, 12)
        for _ in range(2):
            around = [np.roll(maps, by, axis) for by in (-1, 1) for axis in (2, 3)]
            maps = (maps + np.sum(around, axis=0)) / 5
        return np.asarray(maps * 4)

    return {
        "segmenter": Kind(
            lambda *how: {"y": _floats(softmax(smooth(*how), axis=1))},
            (OutputRole(name="y", role="mask"),),
            scores={"y": slice(None)},
        ),
        "maps of several things": Kind(
            lambda *how: {"y": _floats(sigmoid(smooth(*how) - 1))},
            (OutputRole(name="y", role="mask"),),
            scores={"y": slice(None)},
        ),
        "segmenter, class ids": Kind(lambda *how: {"y": [*smooth(*how).argmax(1)]}),
    }


def _others(random: np.random.Generator, inputs: Array) -> dict[str, Kind]:
    embedding, values = Network.drawn(random, 64, 64), Network.drawn(random, 64, 3)
    speech, state, text = Network.drawn(random, 64, 1, 2), Network.drawn(random, 64, 32), Network.drawn(random, 64, 24)
    prices, four = Network.drawn(random, 64, 1), Network.drawn(random, 64, 4)
    scales = np.array([1, 100, 0.01])
    documents = [random.standard_normal((3 + index, 32)) for index in range(SAMPLES)]
    sentences = [random.standard_normal((3 + index % 9, 32)) for index in range(SAMPLES)]

    def vectors(*how: Any) -> Outputs:
        rows = embedding(inputs, *how)
        return {"y": _floats(rows / np.linalg.norm(rows, axis=1, keepdims=True))}

    def recurrent(*how: Any) -> Outputs:
        held = np.tanh(state(inputs, *how)).reshape(SAMPLES, 2, 16)
        return {"y": _floats(sigmoid(speech(inputs, *how))), "h": _floats(held)}

    roles = OutputRole(name="y", role="scores"), OutputRole(name="h", role="state")
    return {
        "embedding": Kind(vectors),
        "regression": Kind(lambda *how: {"y": _floats(values(inputs, *how) * scales + scales)}),
        "prices": Kind(lambda *how: {"y": _floats(np.exp(prices(inputs, *how) * 1.5))}),
        "four scales": Kind(lambda *how: {"y": _floats(four(inputs, *how) * np.array([1e-3, 1, 1e2, 1e5]))}),
        "documents of their own lengths": Kind(
            lambda *how: {"y": [text(one, *how).astype(np.float32) for one in documents]}, inputs_vary=True
        ),
        "recurrent with state": Kind(recurrent, roles, scores={"y": slice(None)}),
        "text of varying length": Kind(
            lambda *how: {"y": [text(one, *how).astype(np.float32) for one in sentences]}, inputs_vary=True
        ),
    }


def wrong(kind: Kind, right: Outputs, made: str) -> Iterator[tuple[str, Outputs]]:
    """Every way to be wrong that this kind of model can be, on top of a right conversion `made` so."""
    ways = {
        "zeroed": lambda name, values: [np.zeros_like(each) for each in values],
        "zeroed scores": lambda name, values: _on_scores(kind, name, values, np.zeros_like),
        "permuted classes": lambda name, values: _permuted(kind, name, values),
        "swapped channels": lambda name, values: [_swapped(name, each) for each in values],
        "halved scale": lambda name, values: [each / 2 if each.dtype.kind == "f" else each // 2 for each in values],
        "clipped range": lambda name, values: _clipped(values),
        "shifted boxes": _shifted,
        "dropped state": lambda name, values: [np.zeros_like(each) for each in values] if name == "h" else values,
        "the smaller half zero": _without_the_small,
        "the quiet channel zero": _without_the_quiet,
        "one id lost": _without_an_id,
        "ids one too high": lambda name, values: [each + _IDS for each in values] if _is_ranked(values) else values,
        "answers of the next sample": lambda name, values: [*values[1:], values[0]],
    }
    for name, way in ways.items():
        yield name, {output: way(output, values) for output, values in right.items()}
    one, other = _most_different(right)
    if kind.alone:
        yield "one wrong sample of 128", _replaced(right, one, {name: values[other] for name, values in right.items()})
        yield "one zero sample of 128", _replaced(right, one, {name: values[one] * 0 for name, values in right.items()})
    yield "a layer left out", kind.compute(made, 1)


def changes(right: Outputs, changed: Outputs) -> bool:
    """Whether this way to be wrong says anything about this kind of model."""
    return any(
        a.shape != b.shape or not np.array_equal(a, b)
        for name, values in right.items()
        for a, b in zip(values, changed[name], strict=True)
    )


def _on_scores(kind: Kind, name: str, values: list[Array], change: Callable[[Array], Array]) -> list[Array]:
    if name not in kind.scores:
        return values
    return [np.concatenate([each[: _start(kind, name)], change(each[kind.scores[name]])]) for each in values]


def _start(kind: Kind, name: str) -> int:
    return kind.scores[name].start or 0


def _permuted(kind: Kind, name: str, values: list[Array]) -> list[Array]:
    if name in ("scores", "h", "boxes"):
        return values
    if name in kind.scores and len(values[0]) == 1:
        return [1 - each for each in values]
    if name in kind.scores:
        return _on_scores(kind, name, values, lambda each: np.roll(each, 1, axis=0))
    if values[0].dtype.kind == "i":
        most = 1 + max(int(each.max(initial=0)) for each in values)
        return [(each + 1) % most for each in values]
    return [np.roll(each, 1, axis=-1) for each in values]


def _swapped(name: str, values: Array) -> Array:
    """The first two of whatever channels there are; of maps of ids the ids."""
    if values.dtype.kind == "i":
        return np.where(values == 0, 1, np.where(values == 1, 0, values))
    axis = 1 if name == "y" and values.ndim == 2 and values.shape[1] in (6, 24) else 0
    if values.ndim == 0 or values.shape[axis] < 2:
        return values
    order = np.arange(values.shape[axis])
    first = 4 if values.shape[0] == HEAD else 0
    order[[first, first + 1]] = order[[first + 1, first]]
    return values.take(order, axis=axis) if name not in ("boxes", "scores") else values


def _clipped(values: list[Array]) -> list[Array]:
    if values[0].dtype.kind != "f":
        return values
    if _is_ranked(values):  # its scores: boxes are cut at the edges of a picture
        return [np.where(np.arange(6) == 4, np.clip(each, 0.25, 0.6), each) for each in values]
    every = np.concatenate([each.ravel() for each in values])
    lowest, highest = (every.min(), every.max()) if every.size < MANY else np.quantile(every, (0.005, 0.995))
    middle, reach = (highest + lowest) / 2, (highest - lowest) / 4
    return [np.clip(each, middle - reach, middle + reach) for each in values]


_IDS = np.array([0, 0, 0, 0, 0, 1], np.float32)


def _is_ranked(values: list[Array]) -> bool:
    return values[0].ndim == 2 and values[0].shape[1] == 6


def _without_the_small(_name: str, values: list[Array]) -> list[Array]:
    """Where sizes differ by orders of magnitude."""
    if values[0].shape != (1,) or min(each.item() for each in values) <= 0:
        return values
    sizes = np.array([each.item() for each in values])
    if sizes.max() < 10 * np.median(sizes) or sizes.max() <= 1:
        return values
    return [each * (each >= np.median(sizes)) for each in values]


def _without_the_quiet(_name: str, values: list[Array]) -> list[Array]:
    if values[0].shape != (4,):
        return values
    return [each * np.array([0, 1, 1, 1], np.float32) for each in values]


def _without_an_id(_name: str, values: list[Array]) -> list[Array]:
    """The one that is there least, but often enough."""
    if values[0].dtype.kind != "i" or values[0].ndim:
        return values
    ids, counts = np.unique(np.array(values), return_counts=True)
    often = [(count, one) for one, count in zip(ids, counts, strict=True) if count >= 8]
    if len(often) < 2:
        return values
    lost, other = min(often)[1], max(often)[1]
    return [np.where(each == lost, other, each) for each in values]


def _shifted(name: str, values: list[Array]) -> list[Array]:
    if name == "boxes":
        return [each + np.float32(15) for each in values]
    if values[0].shape == (HEAD, ANCHORS):
        return [np.concatenate([each[:2] + np.float32(15), each[2:]]) for each in values]
    return values


def _most_different(right: Outputs) -> tuple[int, int]:
    """A sample that is far from nothing, and the one that is furthest from it."""

    def apart(one: int | None, other: int) -> float:
        pairs = (
            (values[other], 0 if one is None else np.resize(values[one], values[other].shape))
            for values in right.values()
        )
        return sum(float(np.abs(a - b).mean()) if a.size else 0.0 for a, b in pairs)

    one = max(range(SAMPLES), key=lambda other: apart(None, other))
    return one, max(range(SAMPLES), key=lambda other: apart(one, other))


def _replaced(right: Outputs, index: int, by: Mapping[str, Array]) -> Outputs:
    return {name: [*values[:index], by[name], *values[index + 1 :]] for name, values in right.items()}
