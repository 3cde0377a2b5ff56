"""What an import can name: templates, input/output modes, runtimes, and the schema that a config.json must fit."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from modelyard_contracts.calls import templates
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.package import PackageConfig
from modelyard_gateway.doors.v1 import examples, shown
from modelyard_gateway.doors.v1.access import Reader, Writer, authenticate, known_parameters
from modelyard_gateway.doors.v1.schemas.shown import TemplateList, TemplateView

router = APIRouter(prefix="/v1/{project_id}/models", tags=["templates"])
schemas = APIRouter(prefix="/v1/schemas", tags=["templates"], dependencies=[Depends(known_parameters)])


@router.get("/template", response_model=TemplateList)
async def list_templates(caller: Reader, query: Annotated[templates.ListTemplates, Query()]) -> Response:
    """Built-in templates and this project's own."""
    return await caller.relay(templates.LIST_TEMPLATES, query, shown.page_of_templates)


@router.post("/template", status_code=200, response_model=TemplateView)
async def create_template(caller: Writer, body: examples.Template) -> Response:
    """A template of this project: with it an import needs no config.json."""
    return await caller.relay(templates.CREATE_TEMPLATE, body, shown.template)


@router.get("/template/{template_id}", response_model=TemplateView)
async def show_template(caller: Reader, template_id: str) -> Response:
    return await caller.relay(templates.GET_TEMPLATE, templates.GetTemplate(template_id=template_id), shown.template)


@router.delete("/template/{template_id}", status_code=200)
async def delete_template(caller: Writer, template_id: str) -> Nothing:
    """Versions that came from it stay. A built-in one cannot be deleted."""
    return await caller.ask(templates.DELETE_TEMPLATE, templates.GetTemplate(template_id=template_id))


@router.get("/infer-formats")
async def list_modes(caller: Reader) -> templates.ModeList:
    """Input/output modes with the JSON Schema of request and answer."""
    return await caller.ask(templates.LIST_MODES, Nothing())


@router.get("/ai-engine-runtimes")
async def list_runtimes(caller: Reader, query: Annotated[templates.ListRuntimes, Query()]) -> templates.RuntimeList:
    """What `runtime` of a config.json may be, per model type."""
    return await caller.ask(templates.LIST_RUNTIMES, query)


@schemas.get("/config.json", dependencies=[Depends(authenticate)])
async def config_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `model/config.json`."""
    return _CONFIG_SCHEMA


_CONFIG_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "config.json",
} | {key: value for key, value in PackageConfig.model_json_schema().items() if key != "title"}
