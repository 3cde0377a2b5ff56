"""A real toolchain's program, and what it had loaded when it was done."""

import sys

from modelyard_convert.children.protocol import Changes, Work
from modelyard_convert.toolchains.openvino import program


def to_fp32(work: Work) -> Changes:
    changes = program.to_fp32(work)
    (work.scratch / "modules.txt").write_text("\n".join(sorted(sys.modules)))
    return changes
