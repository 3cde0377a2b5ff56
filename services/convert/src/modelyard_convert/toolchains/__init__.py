"""The declared table of everything that can be converted to what, and by whom."""

from modelyard_convert.toolchains.onnx.table import TOOLCHAIN as ONNX
from modelyard_convert.toolchains.openvino.table import TOOLCHAIN as OPENVINO
from modelyard_convert.toolchains.target import Target, Toolchain

TOOLCHAINS: dict[str, Toolchain] = {chain.name: chain for chain in (ONNX, OPENVINO)}
TARGETS: dict[str, Target] = {row.target: row for chain in TOOLCHAINS.values() for row in chain.targets}


def toolchain_of(target: str) -> Toolchain:
    """Raises KeyError for a target that no table lists."""
    return next(chain for chain in TOOLCHAINS.values() if TARGETS[target] in chain.targets)
