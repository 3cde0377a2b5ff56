"""Real digits for the tests: a classifier trained on one half of scikit-learn's digits, the other half to score it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from modelyard_testkit.models import digits_config, model

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Trained:
    """`images` uint8 [n, 8, 8] with values 0–255 and `truth` were not trained on; `predicted` is scikit-learn's own."""

    coefficients: Floats
    intercepts: Floats
    images: NDArray[np.uint8]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]


def train() -> Trained:
    digits = load_digits()
    images = (digits.images * 15.9375).astype(np.uint8)
    pixels = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    classifier = LogisticRegression(max_iter=300, C=0.05).fit(pixels[::2], digits.target[::2])
    return Trained(
        classifier.coef_.T.astype(np.float32),
        classifier.intercept_.astype(np.float32),
        images[1::2],
        digits.target[1::2],
        classifier.predict(pixels[1::2]),
    )


def write_package(root: Path, trained: Trained, *, labels: Sequence[str] | None = None, batch: Any = "N") -> Path:
    """A package whose model gives logits for 8×8 grey images."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["scores"]),
    ]
    made = model(
        nodes,
        {"w": trained.coefficients, "b": trained.intercepts},
        inputs={"image": [batch, 1, 8, 8]},
        outputs={"scores": [batch, 10]},
    )
    folder = root / "model"
    folder.mkdir(parents=True)
    (folder / "digits.onnx").write_bytes(made.SerializeToString())
    config = digits_config(
        preprocessing=[{"input": "image", "size": [8, 8], "color_mode": "L", "scale": 1 / 255}],
        outputs=[{"name": "scores", "role": "logits"}],
        labels=list(labels) if labels is not None else [str(digit) for digit in range(10)],
    )
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False))
    return root


def write_images(root: Path, trained: Trained, count: int, *, classes: Sequence[str] | None = None) -> Path:
    """`count` held-out digits as `<class>/<number>.png`."""
    names = classes or [str(digit) for digit in range(10)]
    for index in range(count):
        folder = root / names[trained.truth[index]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(trained.images[index]).save(folder / f"{index:04d}.png")
    return root
