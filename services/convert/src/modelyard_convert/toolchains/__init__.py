"""The declared table of everything that can be converted to what, and by whom."""

from modelyard_convert.toolchains import onnx, openvino
from modelyard_convert.toolchains.target import Target, Toolchain

TOOLCHAINS: dict[str, Toolchain] = {chain.name: chain for chain in (onnx.TOOLCHAIN, openvino.TOOLCHAIN)}
TARGETS: dict[str, Target] = {row.target: row for chain in TOOLCHAINS.values() for row in chain.targets}


def toolchain_of(target: str) -> Toolchain:
    """Raises KeyError for a target that no table lists."""
    return next(chain for chain in TOOLCHAINS.values() if TARGETS[target] in chain.targets)
