"""Does this machine really have a toolchain? Imported in a subprocess, because a broken native library may crash it."""

import importlib
from collections.abc import Callable
from typing import Any

from modelyard_convert.toolchains import TOOLCHAINS
from modelyard_runtime.subprocess_child import serve


def probe(request: dict[str, Any], _log: Callable[[str], None]) -> dict[str, Any]:
    """`{"toolchain": name}` in, `{module: version}` out. Raises ImportError, or whatever an import raises."""
    modules = TOOLCHAINS[request["toolchain"]].modules
    return {name: getattr(importlib.import_module(name), "__version__", "unknown") for name in modules}


if __name__ == "__main__":
    serve(probe)
