"""Calls that the version service answers about templates, input/output modes and runtimes (docs/templates.md)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.package import MODEL_TYPES
from modelyard_contracts.runtimes import Processor
from modelyard_contracts.shapes import Shape

Theme = Literal["Classification", "Common"]
TEMPLATE_NAME = r"^[A-Za-z0-9\u4e00-\u9fff_-]{1,64}$"


class TemplateInputView(Shape):
    """A folder that the user names. What lies in it goes to `folder` of the artifact."""

    input_id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    label: str = Field(max_length=100)
    description: str = Field(default="", max_length=500)
    folder: str = Field(default="model/", pattern=r"^(model|calibration_data)/([A-Za-z0-9_-]+/)*$")
    required: bool = True


class CreateTemplate(Shape):
    """`infer_format` names an input/output mode; `infer_format_fixed` forbids another one at import."""

    template_name: str = Field(pattern=TEMPLATE_NAME)
    description: str = Field(default="", max_length=500)
    model_type: Literal[MODEL_TYPES]  # type: ignore[valid-type]  # one list serves schema and code
    runtime: str | None = Field(default=None, max_length=100)
    model_algorithm: str = Field(default="predict_analysis", min_length=1, max_length=36)
    infer_format: str = Field(max_length=64)
    infer_format_fixed: bool = False
    template_inputs: tuple[TemplateInputView, ...] = Field(min_length=1, max_length=20)
    keywords: tuple[Annotated[str, Field(min_length=1, max_length=32)], ...] = Field(default=(), max_length=20)


class TemplateView(CreateTemplate):
    """`engine`, `python` and `processors` come from the runtime table; built-in ones belong to nobody."""

    theme: Theme = "Common"
    template_id: str
    built_in: bool
    engine: str
    python: str | None
    processors: tuple[Processor, ...]
    created_at: int | None
    created_by: str | None


class ListTemplates(Page):
    """Built-in ones first, then own ones by name. `engine` and `keyword` are substrings of any case, in any script;
    `environment` is a Python version, a processor or part of a runtime's name: `py36`, `python3.12`, `gpu`, `tf1.13`.
    `env` is the same by another name. `theme`: for image classification, or for anything (`Common`).
    """

    model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # as above
    engine: str | None = Field(default=None, max_length=100)
    environment: str | None = Field(default=None, max_length=64)
    env: str | None = Field(default=None, max_length=64)
    theme: Theme | None = None
    keyword: str | None = Field(default=None, max_length=64)


class TemplateList(Shape):
    total_count: int
    count: int
    templates: tuple[TemplateView, ...]


class GetTemplate(Shape):
    template_id: str


class ModeView(Shape):
    """An input/output mode: `apis` with JSON Schema of request and response. `batch`: whether it may run in batch."""

    infer_format: str
    description: str
    batch: bool
    apis: tuple[dict[str, Any], ...]


class ModeList(Shape):
    modes: tuple[ModeView, ...]


class RuntimeView(Shape):
    """One row of the table that `runtime` of a config.json is checked against."""

    runtime: str
    model_type: str
    engine: str
    engine_version: str | None
    python: str | None
    processors: tuple[Processor, ...]


class ListRuntimes(Page):
    model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # as above


class EngineRuntimes(Shape):
    ai_engine: str
    runtimes: tuple[str, ...]


class RuntimeList(Shape):
    """`engine_runtimes` is the same page as clients of ModelArts read it."""

    total_count: int
    count: int
    runtimes: tuple[RuntimeView, ...]
    engine_runtimes: tuple[EngineRuntimes, ...] = ()


CREATE_TEMPLATE = Call("version", "create-template", CreateTemplate, TemplateView)
GET_TEMPLATE = Call("version", "get-template", GetTemplate, TemplateView)
LIST_TEMPLATES = Call("version", "list-templates", ListTemplates, TemplateList)
DELETE_TEMPLATE = Call("version", "delete-template", GetTemplate, Nothing)
LIST_MODES = Call("version", "list-modes", Nothing, ModeList)
LIST_RUNTIMES = Call("version", "list-runtimes", ListRuntimes, RuntimeList)
