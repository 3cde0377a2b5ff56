"""A program of `run_program`: says what confines the child that runs it. Asked by `confining`."""

from collections.abc import Callable
from typing import Any

from modelyard_runtime import confinement


def main(_request: dict[str, Any], _log: Callable[[str], None]) -> dict[str, Any]:
    return {"held": str(confinement.held), "missing": list(confinement.held.missing)}
