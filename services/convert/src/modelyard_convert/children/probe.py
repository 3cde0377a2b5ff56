"""Does this interpreter really have a toolchain? Imported in a child, because a broken native library may crash it.

Started by path, as `refit`, in the interpreter that the toolchain's row names: the standard library only.
"""

import importlib
from collections.abc import Callable
from typing import Any


def main(request: dict[str, Any], _log: Callable[[str], None]) -> dict[str, Any]:
    """`{"modules": […]}` in, `{module: version}` out. Raises ImportError, or whatever an import raises."""
    return {name: getattr(importlib.import_module(name), "__version__", "unknown") for name in request["modules"]}
