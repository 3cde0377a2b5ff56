"""Every call there is, found in the modules beside: for schemas and the tests of examples. No service needs it.

The two `offers` are not here: their subjects are made when they are asked, and they carry nothing.
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from modelyard_contracts import calls
from modelyard_contracts.calls.call import Call, Nothing


def _declared() -> Iterator[Call[Any, Any]]:
    for module in pkgutil.walk_packages(calls.__path__, f"{calls.__name__}."):
        yield from (value for value in vars(import_module(module.name)).values() if isinstance(value, Call))


ALL_CALLS = tuple(sorted(dict.fromkeys(_declared()), key=lambda call: call.subject))


def carried(call: Call[Any, Any]) -> dict[str, type[BaseModel]]:
    """`request` and `reply`, without `Nothing`: where nothing is carried there is nothing to describe or to keep."""
    parts = {"request": call.request, "reply": call.reply}
    return {part: shape for part, shape in parts.items() if shape is not Nothing}
