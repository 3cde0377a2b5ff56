"""Parameters of a query that would be passed over in silence: those that a path does not know, and those given twice.

`access` looks at every request before its route does.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from modelyard_contracts.failures import Problem

_known: dict[str, Mapping[str, bool]] = {}  # by route, which cannot be a key itself


def misplaced_parameters(request: Request) -> tuple[Problem, ...]:
    route = request.scope.get("route")
    known = _parameters_of(route) if isinstance(route, APIRoute) else MappingProxyType({})
    given = [name for name, _ in request.query_params.multi_items()]
    return tuple(_problems(known, given))


def _problems(known: Mapping[str, bool], given: Sequence[str]) -> Iterator[Problem]:
    for name in dict.fromkeys(given):
        if name not in known:
            there = f"; this path knows {', '.join(sorted(known))}" if known else "; this path knows none"
            yield Problem(message=f"there is no such parameter{there}", field=name, rule="known parameter")
        elif given.count(name) > 1 and not known[name]:
            yield Problem(message=f"it is given {given.count(name)} times", field=name, rule="at most once")


def _parameters_of(route: APIRoute) -> Mapping[str, bool]:
    """Every parameter of a path, and whether it may be given several times."""
    known = _known.get(route.unique_id)
    if known is None:
        known = _known[route.unique_id] = MappingProxyType(dict(_fields_of(route.dependant)))
    return known


def _fields_of(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for parameter in dependant.query_params:
        kind: Any = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((field.alias or name, _is_list(field.annotation)) for name, field in kind.model_fields.items())
        else:
            yield parameter.alias, _is_list(kind)
    for inner in dependant.dependencies:
        yield from _fields_of(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, tuple)
