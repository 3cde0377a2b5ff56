"""What config.json may refer to: of the JSON Schemas in `apis` other parts of themselves, of `dependencies` packages by
name, of urls paths. Whoever draws a form, checks a request or installs by it would otherwise fetch what it names, or
never end. Called by `package.config_file`; only for what comes in, not for what came in before there were such rules.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from modelyard_contracts.failures import Problem
from modelyard_contracts.keeping import Path, dotted
from modelyard_contracts.package import PackageConfig
from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.expansion import Body, Recursive, expanded, shown

MAX_JUDGED: Final = 10_000
"""Schemas that judge one and the same value."""
DRAFTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)
_LOCAL: Final = "a reference to another part of the same schema, `#/$defs/name`"
_ELSEWHERE: Final = ("$id", "id", "$dynamicRef", "$recursiveRef", "$vocabulary")
_VALUES: Final = frozenset({"const", "default", "enum", "examples"})
"""What these hold is data."""
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""These hold schemas by names of their own."""
_IN_PLACE: Final = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
"""Schemas in these judge the same value: in a circle through these alone nothing ever ends."""

_PACKAGE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._, -]*\])?")
"""A name and extras (https://packaging.python.org/en/latest/specifications/name-normalization/)."""
_VERSION: Final = re.compile(r"[A-Za-z0-9.*+!_-]+")

Schemas = Mapping[Path, dict[str, Any]]


def reference_problems(schema: dict[str, Any], field: str) -> Iterator[Problem]:
    """`field` is where the schema lies in config.json."""
    schemas = dict(_schemas(schema))
    for path, message, rule in (*_keyword_problems(schemas), *_circle_problems(schemas)):
        where = f"{field}.{dotted(path)}".removesuffix(".")
        yield _problem(where, message, rule)


def place_problems(config: PackageConfig) -> Iterator[Problem]:
    """Dependencies and urls that name a place of their own."""
    for number, group in enumerate(config.dependencies):
        for index, package in enumerate(group.packages):
            field, rule = f"dependencies.{number}.packages.{index}", "a package by its name, no address and no option"
            if not _PACKAGE.fullmatch(package.package_name):
                yield _problem(f"{field}.package_name", f"{package.package_name!r} is no name of a package", rule)
            if package.package_version is not None and not _VERSION.fullmatch(package.package_version):
                yield _problem(f"{field}.package_version", f"{package.package_version!r} is no version", "a version")
    urls = [(f"apis.{index}.url", api.url) for index, api in enumerate(config.apis)]
    urls += [("health.url", config.health.url)] if config.health else []
    for field, url in urls:
        if url.startswith("//") or "\\" in url:
            yield _problem(field, f"{url!r} names another host", "a path, which begins with one /")


def _problem(field: str, message: str, rule: str) -> Problem:
    return Problem(message=f"{CONFIG_FILE}: {field}: {message}", file=CONFIG_FILE, field=field, rule=rule)


def _schemas(schema: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """It and every schema inside."""
    waiting: list[tuple[Path, Any]] = [((), schema)]
    while waiting:
        path, here = waiting.pop()
        if isinstance(here, list):
            waiting.extend(((*path, index), each) for index, each in enumerate(here))
        elif isinstance(here, dict):
            yield path, here
            for keyword, inner in here.items():
                if keyword in _NAMED and isinstance(inner, dict):
                    waiting.extend(((*path, keyword, name), each) for name, each in inner.items())
                elif keyword not in _VALUES:
                    waiting.append(((*path, keyword), inner))


def _keyword_problems(schemas: Schemas) -> Iterator[tuple[Path, str, str]]:
    for path, here in schemas.items():
        for keyword in _ELSEWHERE:
            if isinstance(here.get(keyword), str | dict):
                yield (*path, keyword), "it changes where references lead", f"no {keyword}"
        draft = here.get("$schema", DRAFTS[0])
        if not isinstance(draft, str) or draft.removesuffix("#") not in DRAFTS:
            yield (*path, "$schema"), f"{str(draft)[:100]!r} is no known draft", f"one of {', '.join(DRAFTS)}"
        if "$ref" in here and _target(here["$ref"], schemas) is None:
            yield (*path, "$ref"), f"{str(here['$ref'])[:100]!r} leads to no schema in this one", _LOCAL


def _circle_problems(schemas: Schemas) -> Iterator[tuple[Path, str, str]]:
    bodies = {
        path: Body(1, [(target, 0) for target in _judging(path, here, schemas)]) for path, here in schemas.items()
    }
    try:
        sizes = expanded(bodies)
    except Recursive as circle:
        yield _path(circle.names[0]), "it refers to itself, and judges the same value again", "references in no circle"
        return
    path, largest = max(sizes.items(), key=lambda each: each[1].nodes)
    if largest.nodes > MAX_JUDGED:
        message = f"it is {shown(largest.nodes).replace('nodes', 'schemas')} once its references are written out"
        yield path, message, f"at most {MAX_JUDGED:,} schemas for one value"


def _judging(path: Path, here: dict[str, Any], schemas: Schemas) -> Iterator[Path]:
    """The schemas that judge the same value as this one."""
    target = _target(here["$ref"], schemas) if "$ref" in here else None
    if target is not None:
        yield target
    for keyword in _IN_PLACE.intersection(here):
        inner = here[keyword]
        names = inner if keyword == "dependentSchemas" else range(len(inner)) if isinstance(inner, list) else None
        yield from ((*path, keyword),) if names is None else ((*path, keyword, name) for name in names)


def _target(reference: Any, schemas: Schemas) -> Path | None:
    """The path of the schema that is meant; None when it is none of these."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    here: Any = schemas[()]
    path: Path = ()
    for part in reference.split("/")[1:]:
        word = unquote(part).replace("~1", "/").replace("~0", "~")
        inner = dict(enumerate(here)) if isinstance(here, list) else here
        name = int(word) if isinstance(here, list) and word.isdecimal() and len(word) < 10 else word
        if not isinstance(inner, dict) or name not in inner:
            return None
        here, path = inner[name], (*path, name)
    return path if isinstance(here, bool) or path in schemas else None


def _path(name: object) -> Path:
    return name if isinstance(name, tuple) else ()
