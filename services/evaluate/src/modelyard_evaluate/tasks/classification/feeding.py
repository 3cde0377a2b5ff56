"""Feeds a model with a dataset, batch by batch, and collects its scores. Runs in the evaluation subprocess only."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard_contracts.package import PackageConfig, Preprocessing
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_evaluate.errors import NotEvaluable
from modelyard_formats.errors import BadImage
from modelyard_formats.images.preprocess import image_to_tensor, load_image
from modelyard_formats.running import Runner, describe, fits
from modelyard_formats.scores import class_scores, score_output

Array = np.ndarray[Any, Any]
FREE_BATCH = 32  # where the model leaves the batch axis open
_UNKNOWN_RANK = ("...",)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """`path` on this machine, `name` in the dataset."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Feed:
    """`batch(start, stop)` gives those samples as one array, samples first."""

    names: Sequence[str]
    batch: Callable[[int, int], Array]


def image_feed(files: Sequence[ImageFile], config: PackageConfig, pool: ThreadPoolExecutor) -> Feed:
    """Raises NotEvaluable; `batch` raises BadImage, naming the file."""
    if len(config.preprocessing) != 1:
        message = f"config.json has {len(config.preprocessing)} entries in `preprocessing`; images need exactly one"
        raise NotEvaluable(message, field="preprocessing", rule="one entry")
    how = config.preprocessing[0]

    def batch(start: int, stop: int) -> Array:
        return np.concatenate(list(pool.map(lambda file: _tensor(file, how), files[start:stop])))

    return Feed([file.name for file in files], batch)


def array_feed(x: Array, spec: TensorSpec) -> Feed:
    """Samples are fed as they are, but for the width of their numbers. Raises NotEvaluable."""
    dtype = np.dtype(spec.dtype)
    if not np.can_cast(x.dtype, dtype, casting="same_kind"):
        message = f"array 'x' is {x.dtype}, the model's input {spec.name!r} takes {spec.dtype}"
        raise NotEvaluable(message, field="x", rule=f"a number that {spec.dtype} can hold")
    if spec.shape != _UNKNOWN_RANK and not fits((None, *spec.shape[1:]), x.shape):
        message = f"array 'x' has shape {list(x.shape)}, the model's input {spec.name!r} takes {describe(spec.shape)}"
        raise NotEvaluable(message, field="x", rule="samples first, then the input's own axes")
    return Feed([f"x[{index}]" for index in range(len(x))], lambda start, stop: x[start:stop].astype(dtype))


def only_input(signature: Signature) -> TensorSpec:
    """Raises NotEvaluable for a model with several inputs."""
    if len(signature.inputs) != 1:
        names = ", ".join(repr(spec.name) for spec in signature.inputs)
        raise NotEvaluable(f"the model has {len(signature.inputs)} inputs ({names}); a classifier has one")
    return signature.inputs[0]


def all_scores(runner: Runner, config: PackageConfig, feed: Feed, progress: Callable[[int], None]) -> Array:
    """Shape (samples, classes), in the feed's order. Raises NotEvaluable, naming the sample where there is one."""
    name = score_output(config, runner.signature)
    if name is None:
        message = "it is not clear which output is the score vector: name it in `outputs` of config.json"
        raise NotEvaluable(message, field="outputs", rule="one output with role scores or logits")
    parts = []
    for start, stop, batch in _batches(feed, only_input(runner.signature)):
        outputs = runner.run({runner.signature.inputs[0].name: batch})
        if name not in outputs:
            raise NotEvaluable(f"the model has no output {name!r}", field="outputs", rule="an output of the model")
        scores = class_scores(config, name, outputs[name])
        if len(scores) != len(batch):
            message = f"output {name!r} has {len(scores)} rows for {len(batch)} samples"
            raise NotEvaluable(message, field="outputs", rule="one row of scores per sample")
        parts.append(_finite(scores[: stop - start], feed.names[start:stop]))
        progress(stop)
    return np.concatenate(parts)


def _batches(feed: Feed, spec: TensorSpec) -> Iterator[tuple[int, int, Array]]:
    """A model with a fixed batch size gets its last batch filled up with repetitions."""
    size, fixed = _batch_size(spec)
    for start in range(0, len(feed.names), size):
        stop = min(start + size, len(feed.names))
        batch = feed.batch(start, stop)
        if fixed and len(batch) < size:
            batch = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
        yield start, stop, batch


def _batch_size(spec: TensorSpec) -> tuple[int, bool]:
    if spec.shape == _UNKNOWN_RANK or not spec.shape:
        return 1, True
    first = spec.shape[0]
    return (first, True) if isinstance(first, int) else (FREE_BATCH, False)


def _finite(scores: Array, names: Sequence[str]) -> Array:
    bad = np.nonzero(~np.isfinite(scores).all(axis=1))[0]
    if len(bad):
        raise NotEvaluable(f"the model answers NaN or infinity for {names[bad[0]]!r}", rule="finite scores")
    return scores


def _tensor(file: ImageFile, how: Preprocessing) -> Array:
    try:
        tensor: Array = image_to_tensor(load_image(file.path, file.name), how)
    except BadImage as error:
        if file.name in error.message:
            raise
        raise BadImage(file.name, f"{file.name}: {error.message}", error.problems[0].rule or "") from error
    return tensor
