"""Text of a request outside of its body that nobody behind the gateway could keep or look for.

`access` looks at every request before a route does; bodies are looked at by `json_bounds`, by the same rule.
"""

from typing import Final

from fastapi import Request

from modelyard_contracts.failures import Problem
from modelyard_contracts.keeping import misfit

HEADERS: Final = ("idempotency-key",)
"""Those that services get to see."""


def misfitting_texts(request: Request) -> tuple[Problem, ...]:
    """In path, query and headers, by the name of the parameter."""
    texts = [(name, str(value)) for name, value in request.path_params.items()]
    texts += [(name, text) for name, value in request.query_params.multi_items() for text in (name, value)]
    texts += [(name, request.headers.get(name, "")) for name in HEADERS]
    found = ((name, misfit(text)) for name, text in texts)
    return tuple(Problem(message=wrong[0], field=name, rule=wrong[1]) for name, wrong in found if wrong)
