"""What a template fixes and what a user may choose: decided when a version is requested, before anything is fetched.

TemplateCalls and modes are data; the built-in ones lie in `built_in/*.json`, own ones are documents of their project.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from modelyard_contracts import codes
from modelyard_contracts.calls.templates import ListTemplates, TemplateInputView, Theme
from modelyard_contracts.calls.version import InstallType
from modelyard_contracts.events import Assembly, PlacedFolder
from modelyard_contracts.failures import Code, Problem
from modelyard_contracts.package import Api, PackageConfig
from modelyard_contracts.runtimes import Runtime, runtime_named, runtimes_of
from modelyard_contracts.shapes import TemplateSource
from modelyard_contracts.wording import in_words

EVERY_INSTALL_TYPE: Final[tuple[InstallType, ...]] = ("real-time", "batch", "edge")

Coded = tuple[Code, Problem]


@dataclass(frozen=True, slots=True)
class Mode:
    """How a model is called; `batch`: whether it may run in a batch service."""

    infer_format: str
    description: str
    batch: bool
    apis: tuple[Api, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """`project` None: built in. `created_at` in ms; `request_digest` tells a repeated request from another."""

    template_id: str
    template_name: str
    description: str
    model_type: str
    runtime: str | None
    model_algorithm: str
    infer_format: str
    infer_format_fixed: bool
    template_inputs: tuple[TemplateInputView, ...]
    keywords: tuple[str, ...] = ()
    project: str | None = None
    created_at: int | None = None
    created_by: str | None = None
    request_digest: str = ""

    @property
    def environment(self) -> Runtime | None:
        return runtime_named(self.model_type, self.runtime) if self.runtime else None

    @property
    def engine(self) -> str:
        return self.environment.engine if self.environment else self.model_type

    @property
    def theme(self) -> Theme:
        return "Classification" if self.model_algorithm == "image_classification" else "Common"


def config_of(template: Template, mode: Mode, declared: dict[str, Any] | None = None) -> PackageConfig:
    """What a package of this template has instead of a config.json: `declared` by the request goes before what the
    template says, except for the engine. Raises ValidationError."""
    fixed = {
        "model_algorithm": template.model_algorithm,
        "model_type": template.model_type,
        "runtime": template.runtime,
        "apis": [api.model_dump(mode="json") for api in mode.apis],
    }
    return PackageConfig.model_validate_json(json.dumps({**fixed, **(declared or {})}), strict=True)


def problems_of(template: Template, modes: dict[str, Mode]) -> tuple[Coded, ...]:
    """What is wrong with a template that somebody wants to add."""
    return tuple(_template_problems(template, modes))


def choice_problems(
    template: Template, source: TemplateSource, modes: dict[str, Mode], declared: dict[str, Any]
) -> tuple[Coded, ...]:
    """What is wrong with how a template is used: mode, inputs and what is declared besides, all at once."""
    return (
        *_mode_problems(template, source.infer_format, modes),
        *_input_problems(template, source),
        *_declared_problems(template, declared),
    )


def assembly_of(
    template: Template, source: TemplateSource, modes: dict[str, Mode], declared: dict[str, Any]
) -> Assembly:
    """What the import service lays out; `choice_problems` has found none."""
    mode = modes[source.infer_format or template.infer_format]
    folders = {given.input_id: given.location for given in source.template_inputs}
    placed = (
        PlacedFolder(input_id=wanted.input_id, location=folders[wanted.input_id], folder=wanted.folder)
        for wanted in template.template_inputs
        if wanted.input_id in folders
    )
    return Assembly(
        template_id=template.template_id,
        infer_format=mode.infer_format,
        config=config_of(template, mode, declared),
        folders=tuple(placed),
    )


def install_types(asked: tuple[InstallType, ...] | None, mode: Mode | None) -> tuple[InstallType, ...] | None:
    """What is asked for, or everything the mode allows; None when batch is asked for in a mode without."""
    if mode is None or mode.batch:
        return EVERY_INSTALL_TYPE if asked is None else asked
    if asked is None:
        return tuple(kind for kind in EVERY_INSTALL_TYPE if kind != "batch")
    return None if "batch" in asked else asked


def fits(template: Template, wanted: ListTemplates) -> bool:
    return (
        (wanted.model_type is None or template.model_type == wanted.model_type)
        and (wanted.engine is None or wanted.engine.casefold() in template.engine.casefold())
        and (wanted.environment is None or _runs_on(template.environment, wanted.environment))
        and (wanted.env is None or _runs_on(template.environment, wanted.env))
        and wanted.theme in (None, template.theme)
        and (wanted.keyword is None or _mentions(template, wanted.keyword))
    )


def _runs_on(runtime: Runtime | None, environment: str) -> bool:
    """`py36`, `python3.6`, `gpu`, or a part of the runtime's name."""
    if runtime is None:
        return False
    asked = environment.casefold().strip()
    python = runtime.python or ""
    names = {*runtime.processors, python, f"python{python}", f"py{python}", f"py{python.replace('.', '')}"}
    return asked in names if asked.startswith("py") else asked in names or asked in runtime.runtime.casefold()


def _mentions(template: Template, keyword: str) -> bool:
    texts = (template.template_name, template.description, template.model_type, template.engine, *template.keywords)
    return any(keyword.casefold() in text.casefold() for text in texts)


def _mode_problems(template: Template, asked: str | None, modes: dict[str, Mode]) -> Iterator[Coded]:
    if asked is None or asked == template.infer_format:
        return
    if asked not in modes:
        yield _no_mode(asked, modes, "source.infer_format")
    elif template.infer_format_fixed:
        message = f"template {template.template_name!r} has the input/output mode {template.infer_format} for good"
        yield _coded(codes.MODE_FIXED, message, "source.infer_format", f"omitted, or {template.infer_format}")


def _input_problems(template: Template, source: TemplateSource) -> Iterator[Coded]:
    known = {wanted.input_id for wanted in template.template_inputs}
    given = Counter(each.input_id for each in source.template_inputs)
    for wanted in template.template_inputs:
        if wanted.required and wanted.input_id not in given:
            message = f"template {template.template_name!r} needs the folder of its input {wanted.input_id!r}"
            yield _coded(codes.INPUT_MISSING, message, f"source.template_inputs.{wanted.input_id}", "required")
    for input_id, times in given.items():
        field = f"source.template_inputs.{input_id}"
        if input_id not in known:
            message = f"template {template.template_name!r} has no input {input_id!r}"
            yield _coded(codes.INPUT_UNKNOWN, message, field, f"one of {', '.join(sorted(known))}")
        elif times > 1:
            yield _coded(codes.INPUT_TWICE, f"input {input_id!r} is given {times} times", field, "at most once")


def _template_problems(template: Template, modes: dict[str, Mode]) -> Iterator[Coded]:
    if template.infer_format not in modes:
        yield _no_mode(template.infer_format, modes, "infer_format")
    for input_id in _repeated(each.input_id for each in template.template_inputs):
        yield _coded(codes.INPUT_TWICE, f"two inputs are called {input_id!r}", "template_inputs", "every input_id once")
    if not any(each.required and each.folder.startswith("model/") for each in template.template_inputs):
        message = "no input is required that brings the model"
        yield _coded(
            codes.PARAMETER_INVALID, message, "template_inputs", "at least one required input with a folder in model/"
        )
    if not runtimes_of(template.model_type):
        message = f"a template cannot be of type {template.model_type}"
        yield _coded(codes.PARAMETER_INVALID, message, "model_type", "a type that has runtimes")
    yield from _config_problems(template)


def _declared_problems(template: Template, declared: dict[str, Any]) -> Iterator[Coded]:
    engine = template.model_type
    if declared.get("model_type", engine) != engine:
        message = f"template {template.template_name!r} is for {engine}, the request says {declared['model_type']}"
        yield _coded(codes.PARAMETER_INVALID, message, "model_type", f"Template, {engine}, or left out")
    else:
        yield from _config_problems(template, declared)


def _config_problems(template: Template, declared: dict[str, Any] | None = None) -> Iterator[Coded]:
    try:
        config_of(template, Mode("", "", batch=False, apis=()), declared)
    except ValidationError as error:
        for found in error.errors():
            field = ".".join(str(part) for part in found["loc"])
            yield _coded(codes.PARAMETER_INVALID, in_words(found), field, found["type"])


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _no_mode(asked: str, modes: dict[str, Mode], field: str) -> Coded:
    return _coded(codes.NO_MODE, f"there is no input/output mode {asked!r}", field, f"one of {', '.join(modes)}")


def _coded(code: Code, message: str, field: str, rule: str) -> Coded:
    return code, Problem(message=message, field=field, rule=rule)
