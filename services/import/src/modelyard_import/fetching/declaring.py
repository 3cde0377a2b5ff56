"""What a request says of a package beside its config.json: it adds what is not there, and must not say otherwise.

Called by `listing`, before anything large moves.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Declared
from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.package.config_file import read_config
from modelyard_import.domain.layout import Layout, WrittenFile

_CODE: Final = "model/customize_service.py"
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Told:
    """The layout and the text of its config.json with what was declared, and what contradicts it."""

    layout: Layout
    text: bytes | None
    problems: tuple[Problem, ...] = ()


def with_declared(layout: Layout, text: bytes | None, declared: Declared, *, by_reference: bool) -> Told:
    """`text` None: the package has no config.json, or one too large to be read."""
    problems = tuple(_code_problems(layout, declared))
    there = any(path == CONFIG_FILE for path, _ in layout.sizes)
    if not declared.config or (there and text is None):
        return Told(layout, text, problems)
    if (said := _object(text)) is None:
        return Told(layout, text, problems)  # whoever reads it says what is wrong
    problems = (*problems, *_contradictions(said, declared.config))
    added = {**said, **declared.config}
    if problems or (there and _same(said, added)):
        return Told(layout, text, problems)
    if by_reference:
        return Told(layout, text, tuple(_beside(said, declared.config)))
    return replace(_written(layout, added), problems=problems)


def merged(text: bytes, declared: dict[str, Any]) -> bytes:
    """The config.json of an image: what the request declares goes before what it says."""
    said = _object(text) if declared else None
    return text if said is None else _bytes({**said, **declared})


def _object(text: bytes | None) -> dict[str, Any] | None:
    """Nothing where there is no text; None where it is none that can be read."""
    if text is None:
        return {}
    value: dict[str, Any] | None = json.loads(text) if read_config(text)[0] is not None else None
    return value


def _code_problems(layout: Layout, declared: Declared) -> Iterator[Problem]:
    if declared.execution_code and not any(path == _CODE for path, _ in layout.sizes):
        message = f"execution_code names {_CODE}, which the package does not have"
        yield Problem(message=message, file=_CODE, field="execution_code", rule="a file of the package")


def _contradictions(said: dict[str, Any], declared: dict[str, Any]) -> Iterator[Problem]:
    """Compared as they are understood: what one of them leaves at its default is no contradiction."""
    here, _, wrong_here = read_config(_bytes(said))
    there, _, wrong_there = read_config(_bytes({**said, **declared}))
    if here is None or there is None:
        return
    for name in said.keys() & declared.keys() & type(here).model_fields.keys() - wrong_here - wrong_there:
        one, other = getattr(here, name), getattr(there, name)
        if one != other and one != type(here).model_fields[name].default:
            message = f"{CONFIG_FILE} says {name} {_short(said[name])}, the request says {_short(declared[name])}"
            rule = "the same in the request and in config.json, or in one of them only"
            yield Problem(message=message, file=CONFIG_FILE, field=name, rule=rule)


def _same(said: dict[str, Any], added: dict[str, Any]) -> bool:
    """Wrong fields count: they are left out of what is read, and must not be dropped in silence."""
    return read_config(_bytes(said)) == read_config(_bytes(added))


def _beside(said: dict[str, Any], declared: dict[str, Any]) -> Iterator[Problem]:
    names = ", ".join(sorted(declared.keys() - said.keys())) or "more"
    message = f"the request declares {names}, and by reference nothing is added to {CONFIG_FILE}"
    yield Problem(message=message, file=CONFIG_FILE, field="source.source_copy", rule="by reference it says all itself")


def _written(layout: Layout, config: dict[str, Any]) -> Told:
    text = _bytes(config)
    files = tuple(file for file in layout.files if file.path != CONFIG_FILE)
    written = (*(file for file in layout.written if file.path != CONFIG_FILE), WrittenFile(CONFIG_FILE, text))
    return Told(replace(layout, files=files, written=written), text)


def _bytes(config: dict[str, Any]) -> bytes:
    return json.dumps(config, ensure_ascii=False, indent=2).encode(errors="surrogatepass")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
