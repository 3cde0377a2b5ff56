"""A network as `deploy.prototxt` describes it: layers, inputs, outputs, and what is dangerous. For `caffe.format`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelyard_contracts.shapes import Finding, Signature, TensorSpec
from modelyard_formats.format import UNKNOWN_RANK
from modelyard_formats.kinds.caffe.text import Fields, Malformed, inner, numbers, texts

# V1LayerParameter.LayerType → the name that layers of this kind have since
_OLD_KINDS = {
    "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "EXP": "Exp", "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power",
    "RELU": "ReLU", "SIGMOID": "Sigmoid", "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence", "SLICE": "Slice", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split", "TANH": "TanH", "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip
MOST_FINDINGS = 20
_PYTHON = "Python"
_WRITES = "HDF5Output"
_READS = frozenset({"AnnotatedData", "Data", "HDF5Data", "ImageData", "InfogainLoss", "VideoData", "WindowData"})
_INPUT = "Input"


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    fields: Fields


def layers(net: Fields) -> tuple[Layer, ...]:
    """All of them, whatever the phase. Raises `Malformed` for one without a type."""
    return tuple(_layer(fields) for name in ("layers", "layer") for fields in inner(net, name))


def _layer(fields: Fields) -> Layer:
    oldest = next(iter(inner(fields, "layer")), {})  # the first generation kept name and type one message deeper
    name = next(iter((*texts(fields, "name"), *texts(oldest, "name"))), "")
    kinds = (*texts(fields, "type"), *texts(oldest, "type"))
    if not kinds:
        raise Malformed(f"layer {name[:200]!r} has no type")
    kind = _PYTHON if _PYTHON in kinds else kinds[0]
    return Layer(name, _OLD_KINDS.get(kind, kind), texts(fields, "bottom"), texts(fields, "top"), fields)


def deployed(found: Sequence[Layer]) -> tuple[Layer, ...]:
    """Those that are there when the network is not being trained."""
    return tuple(layer for layer in found if _is_deployed(layer.fields))


def _is_deployed(layer: Fields) -> bool:
    include, exclude = inner(layer, "include"), inner(layer, "exclude")
    return any(map(_is_met, include)) if include else not any(map(_is_met, exclude))


def _is_met(rule: Fields) -> bool:
    """By the state of a deployed network: phase TEST, level 0, no stages."""
    phases, low, high = texts(rule, "phase"), numbers(rule, "min_level"), numbers(rule, "max_level")
    return (
        all(phase in ("TEST", "1") for phase in phases)
        and not texts(rule, "stage")
        and all(level <= 0 for level in low)
        and all(level >= 0 for level in high)
    )


def signature(net: Fields, found: Sequence[Layer]) -> Signature:
    """Inputs as they are declared; outputs are what nobody takes. Raises `Malformed` for what nobody makes."""
    inputs = tuple(_inputs(net, found))
    made = {spec.name for spec in inputs if spec.name in texts(net, "input")}
    unused = dict.fromkeys(made)
    for layer in found:
        for bottom in layer.bottoms:
            if bottom not in made:
                raise Malformed(
                    f"layer {layer.name[:200]!r} reads blob {bottom[:200]!r}, which no layer before it makes"
                )
            unused.pop(bottom, None)
        made.update(layer.tops)
        unused.update(dict.fromkeys(layer.tops))
    outputs = (TensorSpec(name=name, dtype="float32", shape=UNKNOWN_RANK) for name in sorted(unused))
    return Signature(inputs=inputs, outputs=tuple(outputs))


def _inputs(net: Fields, found: Sequence[Layer]) -> Iterator[TensorSpec]:
    """Declared in one of three ways: with shapes, with four numbers each, or as layers."""
    shapes, sizes = inner(net, "input_shape"), numbers(net, "input_dim")
    for index, name in enumerate(texts(net, "input")):
        yield _spec(name, numbers(shapes[index], "dim") if index < len(shapes) else sizes[4 * index : 4 * index + 4])
    for layer in found:
        if layer.kind == _INPUT:
            shapes = tuple(shape for each in inner(layer.fields, "input_param") for shape in inner(each, "shape"))
            for index, name in enumerate(layer.tops):
                one = shapes[min(index, len(shapes) - 1)] if shapes else {}
                yield _spec(name, numbers(one, "dim"))


def _spec(name: str, axes: tuple[int, ...]) -> TensorSpec:
    known = tuple(axis if axis > 0 else None for axis in axes)
    return TensorSpec(name=name, dtype="float32", shape=known or UNKNOWN_RANK)


def findings(found: Sequence[Layer], file: str) -> Iterator[Finding]:
    """Layers that run code of their own or touch the host's files, in any phase."""
    for layer in [layer for layer in found if layer.kind == _PYTHON][:MOST_FINDINGS]:
        module = next((each for item in inner(layer.fields, "python_param") for each in texts(item, "module")), "")
        message = f"layer {layer.name[:100]!r} imports and runs Python module {module[:100]!r}; export without it"
        yield Finding(file=file, severity="dangerous", rule="caffe-python", message=message)
    counts = Counter(layer.kind for layer in found)
    if counts[_WRITES]:
        message = f"a {_WRITES} layer writes to a file of the host; export without it"
        yield Finding(file=file, severity="dangerous", rule="caffe-file-access", message=message)
    for kind in sorted(_READS & counts.keys()):
        message = f"{kind} layers ({counts[kind]}×) read files of the host when they run"
        yield Finding(file=file, severity="suspicious", rule="caffe-file-access", message=message)
