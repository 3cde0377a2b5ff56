"""What `config.json` says must be true of the model file beside it. Called by `package.check` after inspecting."""

from collections.abc import Iterable

from modelyard_contracts.failures import Problem
from modelyard_contracts.package import HeadDecoding, PackageConfig, Preprocessing
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.format import UNKNOWN_RANK
from modelyard_formats.running import describe
from modelyard_formats.scores import score_output


def cross_check(config: PackageConfig, signature: Signature) -> tuple[Problem, ...]:
    """Every disagreement between the config and the model's inputs and outputs.

    Dynamic axes agree with anything, and so do files that say nothing of their inputs or outputs.
    """
    outputs = _output_problems(config, signature) if signature.outputs else ()
    inputs = _inputs(config, signature) if signature.inputs else ()
    axes = _axes_problems(config, signature) if signature.inputs else ()
    return (*outputs, *_label_problems(config, signature), *inputs, *axes)


def _problem(field: str, message: str, rule: str) -> Problem:
    return Problem(message=f"{CONFIG_FILE}: {field}: {message}", file=CONFIG_FILE, field=field, rule=rule)


def _output_problems(config: PackageConfig, signature: Signature) -> Iterable[Problem]:
    known = {spec.name: spec for spec in signature.outputs}
    for index, output in enumerate(config.outputs):
        if output.name not in known:
            rule = f"the model's outputs are {', '.join(sorted(known))}"
            yield _problem(f"outputs.{index}.name", f"the model has no output {output.name!r}", rule)
        elif output.decode is not None:
            yield from _decoding_problems(f"outputs.{index}.decode", output.decode, known[output.name])
    vectors = [index for index, output in enumerate(config.outputs) if output.role in ("scores", "logits")]
    if len(vectors) > 1:
        rule = "at most one output is the score vector"
        yield _problem(f"outputs.{vectors[1]}.role", "a second score vector", rule)


def _decoding_problems(field: str, decode: HeadDecoding, spec: TensorSpec) -> Iterable[Problem]:
    if spec.shape == UNKNOWN_RANK:
        return
    shown = f"output {spec.name!r} is {describe(spec.shape)}"
    if decode.axis >= len(spec.shape):
        yield _problem(f"{field}.axis", f"{decode.axis}, but {shown}", "an axis of the output, 0 is the batch")
        return
    places = spec.shape[decode.axis]
    if not isinstance(places, int):
        return
    last = {"boxes": decode.boxes[1], "scores": decode.scores[1], "objectness": (decode.objectness or 0) + 1}
    for name, end in last.items():
        if end > places:
            yield _problem(f"{field}.{name}", f"reaches {end}, but {shown}", f"axis {decode.axis} has {places} places")


def _label_problems(config: PackageConfig, signature: Signature) -> Iterable[Problem]:
    name = score_output(config, signature)
    spec = next((spec for spec in signature.outputs if spec.name == name), None)
    if not config.labels or spec is None or not spec.shape or not isinstance(spec.shape[-1], int):
        return
    classes = spec.shape[-1]
    if classes != len(config.labels):
        message = f"{len(config.labels)} labels, but output {spec.name!r} is {describe(spec.shape)}"
        yield _problem("labels", message, f"one label for each of the {classes} classes")


def _inputs(config: PackageConfig, signature: Signature) -> Iterable[Problem]:
    inputs = {spec.name: spec for spec in signature.inputs}
    seen: set[str] = set()
    for index, item in enumerate(config.preprocessing):
        field = f"preprocessing.{index}"
        name = item.input or (next(iter(inputs)) if len(inputs) == 1 else None)
        rule = f"the model's inputs are {', '.join(sorted(inputs))}"
        if name is None:
            yield _problem(f"{field}.input", f"required, because the model has {len(inputs)} inputs", rule)
        elif name not in inputs:
            yield _problem(f"{field}.input", f"the model has no input {name!r}", rule)
        elif name in seen:
            yield _problem(f"{field}.input", f"input {name!r} is described twice", "one entry for each input")
        else:
            seen.add(name)
            yield from _tensor_problems(field, item, inputs[name])


def _axes_problems(config: PackageConfig, signature: Signature) -> Iterable[Problem]:
    inputs = {spec.name: spec for spec in signature.inputs}
    for index, item in enumerate(config.inputs):
        field = f"inputs.{index}"
        if item.name not in inputs:
            rule = f"the model's inputs are {', '.join(sorted(inputs))}"
            yield _problem(f"{field}.name", f"the model has no input {item.name!r}", rule)
            continue
        spec = inputs[item.name]
        shown = f"input {item.name!r} is {describe(spec.shape)}"
        if spec.shape == UNKNOWN_RANK:
            continue
        if item.batch_axis is not None and item.batch_axis >= len(spec.shape):
            rule = f"an axis from 0 to {len(spec.shape) - 1}" if spec.shape else "batched false: a scalar has no axes"
            yield _problem(f"{field}.batch_axis", f"{item.batch_axis}, but {shown}", rule)
        if item.shape is not None and (
            len(item.shape) != len(spec.shape) or any(map(_differs, spec.shape, item.shape))
        ):
            yield _problem(f"{field}.shape", f"{list(item.shape)}, but {shown}", "as in the input's shape")


def _tensor_problems(field: str, item: Preprocessing, spec: TensorSpec) -> Iterable[Problem]:
    if spec.dtype not in (item.dtype, "undefined"):
        yield _problem(
            f"{field}.dtype", f"{item.dtype}, but input {spec.name!r} is {spec.dtype}", f"dtype {spec.dtype}"
        )
    if spec.shape == UNKNOWN_RANK:
        return
    shown = f"input {spec.name!r} is {describe(spec.shape)}"
    if len(spec.shape) != 4:
        yield _problem(f"{field}.layout", f"{item.layout}, but {shown}", "an image input has 4 axes")
        return
    channels = 1 if item.color_mode == "L" else 3
    first = 2 if item.layout == "NCHW" else 1
    if _differs(spec.shape[1 if item.layout == "NCHW" else 3], channels):
        message = f"{item.color_mode} gives {channels} channels in {item.layout}, but {shown}"
        yield _problem(f"{field}.layout", message, "colour mode and layout fit the input's shape")
    if _differs(spec.shape[first], item.size[0]) or _differs(spec.shape[first + 1], item.size[1]):
        message = f"{list(item.size)} in {item.layout}, but {shown}"
        yield _problem(f"{field}.size", message, "[height, width] as in the input's shape")


def _differs(axis: int | str | None, size: int) -> bool:
    return isinstance(axis, int) and axis != size
