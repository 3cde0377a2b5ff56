"""Does this interpreter really have a toolchain? Imported in a child, because a broken native library may crash it.

Started by path, as `refit`, in the interpreter that the toolchain's row names: the standard library only.
"""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any


def main(request: dict[str, Any], _log: Callable[[str], None]) -> dict[str, Any]:
    """`{"modules": […]}` in, `{module: version}` out, or `{"missing": module}` when one is not installed. Raises what
    an import raises otherwise."""
    for name in request["modules"]:
        if importlib.util.find_spec(name) is None:
            return {"missing": name}
    return {name: getattr(importlib.import_module(name), "__version__", "unknown") for name in request["modules"]}
