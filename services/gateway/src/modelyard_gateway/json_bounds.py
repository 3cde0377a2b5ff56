"""JSON that Python reads and nobody behind the gateway can keep: too deep, too large a number, half a character.

`access` looks at every body before a route does; without it such a body would be an internal error somewhere behind.
How much there is of it, `edge` asks before it is parsed.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from modelyard_contracts.failures import Problem
from modelyard_contracts.keeping import misfit

DEEPEST: Final = 64
MOST_FIELDS: Final = 1_000
"""Of one object: nothing here has so many, and each that nobody knows costs as much as one that is read."""
_SHOWN: Final = 20


def misfits(value: Any) -> tuple[Problem, ...]:
    """The first 20 places that break a rule, by dotted path."""
    found: list[Problem] = []
    waiting: list[tuple[str, int, Any]] = [("", 0, value)]
    while waiting and len(found) < _SHOWN:
        path, depth, here = waiting.pop()
        if isinstance(here, dict | list):
            if depth == DEEPEST:
                found.append(_problem(path, f"nested deeper than {DEEPEST} levels", f"at most {DEEPEST} levels"))
                continue
            if isinstance(here, dict) and len(here) > MOST_FIELDS:
                message = f"an object of {len(here):,} fields, at most {MOST_FIELDS:,}"
                found.append(_problem(path, message, f"at most {MOST_FIELDS} fields"))
                continue
            waiting += ((f"{path}.{key}".lstrip("."), depth + 1, item) for key, item in _items(here))
            here = "".join(here) if isinstance(here, dict) else None
        if problem := _misfit(path, here):
            found.append(problem)
    return tuple(found)


def repeated_fields(body: bytes) -> tuple[Problem, ...]:
    """Of which a parser keeps the last, so that nobody knows which one was meant. Nothing where there is no JSON."""
    found: dict[str, None] = {}

    def each_once(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) != len(pairs):
            found.update(dict.fromkeys(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))

    try:
        json.loads(body or b"null", object_pairs_hook=each_once)
    except (ValueError, RecursionError):
        return ()
    names = sorted(found)[:_SHOWN]
    return tuple(_problem(name, "it is given more than once in one object", "each field once") for name in names)


def _items(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value)


def _misfit(path: str, value: Any) -> Problem | None:
    wrong = misfit(value)
    return _problem(path, *wrong) if wrong else None


def _problem(path: str, message: str, rule: str) -> Problem:
    return Problem(message=message, field=path[:500] or "body", rule=rule)
