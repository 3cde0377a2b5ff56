"""The demo's training job: a seeded classifier on the handwritten digits that ship with scikit-learn.

It knows nothing of modelyard but the package layout (docs/package.md): any training job could do the same.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

PARAMETERS: dict[str, Any] = {"hidden_layers": [128, 64], "max_iter": 60, "seed": 7}
LABELS = [str(digit) for digit in range(10)]
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """8 × 8 grey images as bytes, shape (samples, 8, 8), and their digits, shape (samples,)."""

    pixels: Pixels
    labels: Labels

    def pngs(self) -> Iterator[tuple[str, bytes]]:
        """`<class>/<number>.png` and its content: the folder layout that the evaluate service reads."""
        for number, (pixels, label) in enumerate(zip(self.pixels, self.labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            yield f"{label}/{number:04}.png", buffer.getvalue()

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.pixels.tobytes() + self.labels.tobytes()).hexdigest()


@dataclass(frozen=True)
class Trained:
    """`files` is the package: relative path → content. `accuracy` is of the training job's own held-out data."""

    files: dict[str, bytes]
    accuracy: float


def split() -> tuple[Split, Split, Split]:
    """Train (60 %), held out for evaluation (20 %), hidden for the competition (20 %); stratified and seeded."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    seed = PARAMETERS["seed"]
    train_x, rest_x, train_y, rest_y = train_test_split(
        pixels, labels, test_size=0.4, random_state=seed, stratify=labels
    )
    held_x, hidden_x, held_y, hidden_y = train_test_split(
        rest_x, rest_y, test_size=0.5, random_state=seed, stratify=rest_y
    )
    return Split(train_x, train_y), Split(held_x, held_y), Split(hidden_x, hidden_y)


def train(data: Split, held_out: Split) -> Trained:
    """Seconds on one core."""
    classifier = MLPClassifier(
        hidden_layer_sizes=tuple(PARAMETERS["hidden_layers"]),
        max_iter=PARAMETERS["max_iter"],
        random_state=PARAMETERS["seed"],
        early_stopping=True,
    )
    classifier.fit(_flat(data.pixels), data.labels)
    accuracy = float(classifier.score(_flat(held_out.pixels), held_out.labels))
    calibration = io.BytesIO()
    np.save(calibration, (data.pixels[:300, np.newaxis] / np.float32(255)).astype(np.float32))
    files = {
        "model/digits.onnx": to_onnx(classifier).SerializeToString(),
        "model/config.json": json.dumps(config(accuracy), indent=2).encode(),
        "calibration_data/train-300.npy": calibration.getvalue(),
    }
    return Trained(files, accuracy)


def _flat(pixels: Pixels) -> NDArray[np.float32]:
    return (pixels.reshape(len(pixels), -1) / np.float32(255)).astype(np.float32)


def config(accuracy: float) -> dict[str, Any]:
    return {
        "model_algorithm": "image_classification",
        "model_type": "ONNX",
        "metrics": {"accuracy": accuracy},
        "preprocessing": [{"size": [8, 8], "color_mode": "L", "scale": 1 / 255, "layout": "NCHW"}],
        "labels": LABELS,
        "outputs": [{"name": "scores", "role": "scores"}],
    }


def to_onnx(classifier: MLPClassifier) -> onnx.ModelProto:
    """The fitted layers as Gemm and Relu, then Softmax: what `predict_proba` computes."""
    nodes = [helper.make_node("Flatten", ["image"], ["flat"], axis=1)]
    weights = []
    value = "flat"
    last = len(classifier.coefs_) - 1
    for number, (coefficients, intercepts) in enumerate(zip(classifier.coefs_, classifier.intercepts_, strict=True)):
        weights += [
            numpy_helper.from_array(coefficients.astype(np.float32), f"w{number}"),
            numpy_helper.from_array(intercepts.astype(np.float32), f"b{number}"),
        ]
        made = "logits" if number == last else f"h{number}"
        nodes.append(helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], [made], name=f"layer{number}"))
        value = made
        if number != last:
            value = f"a{number}"
            nodes.append(helper.make_node("Relu", [made], [value], name=f"relu{number}"))
    nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=-1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="modelyard-demo")
    model.ir_version = 8  # the oldest that opset 17 allows: readable by older runtimes
    onnx.checker.check_model(model, full_check=True)
    return model


def code_digest() -> str:
    """Stands for the commit of the training code: this file's own SHA-1."""
    return hashlib.sha1(Path(__file__).read_bytes(), usedforsecurity=False).hexdigest()
