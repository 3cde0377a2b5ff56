"""Templates and input/output modes that every project has, as data files. Read once, when the service is built."""

from importlib.resources import files

from pydantic import TypeAdapter

from modelyard_version.domain.templates import Mode, Template


def modes() -> dict[str, Mode]:
    """By `infer_format`, in the order in which they are shown."""
    found = TypeAdapter(tuple[Mode, ...]).validate_json(_text("modes.json"))
    return {mode.infer_format: mode for mode in found}


def templates() -> dict[str, Template]:
    """By `template_id`."""
    found = TypeAdapter(tuple[Template, ...]).validate_json(_text("templates.json"))
    return {template.template_id: template for template in found}


def _text(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()
