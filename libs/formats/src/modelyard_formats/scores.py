"""Which output of a classifier is its score vector, and scores that can be compared across models.

Called by `package.cross_check`, by convert (agreement of the top class) and by evaluate (metrics).
"""

from typing import TYPE_CHECKING

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Signature
from modelyard_formats.running import Array

if TYPE_CHECKING:  # as in `running`: checking a package comes by here and holds no tensor
    import numpy as np
    from numpy.typing import NDArray

_FLOATS = ("float16", "float32", "float64", "bfloat16")


def score_output(config: PackageConfig, signature: Signature) -> str | None:
    """Name of the score vector: what the config says, or else the only floating-point output of shape [batch, classes].

    None when there is no such output, or more than one and the config does not choose.
    """
    for output in config.outputs:
        if output.role in ("scores", "logits"):
            return output.name
    vectors = [spec.name for spec in signature.outputs if len(spec.shape) == 2 and spec.dtype in _FLOATS]
    return vectors[0] if len(vectors) == 1 else None


def class_scores(config: PackageConfig, name: str, output: Array) -> "NDArray[np.float64]":
    """Shape [batch, classes]: the output as it is, or its softmax when the config calls it logits."""
    import numpy as np

    scores = output.astype(np.float64).reshape(len(output), -1)
    if any(item.name == name and item.role == "logits" for item in config.outputs):
        return softmax(scores)
    return scores


def softmax(logits: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Over the last axis; each row sums to 1."""
    import numpy as np

    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
