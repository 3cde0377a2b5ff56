"""What a request says of the package itself: passed to the import, given to a template, answered as it was said."""

from typing import Any

import pytest

from modelyard_contracts.calls.templates import ListTemplates
from modelyard_contracts.events import VersionRequested
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Asked, Declared, Location, TemplateInput, TemplateSource
from modelyard_version.repository.versions import VERSIONS

from .conftest import Register

ASKED = Asked(source_location="/training/jobs/1", model_type="ONNX", model_metrics='{"f1": 0.5}')
FOLDER = TemplateInput(input_id="model_folder", location=Location(bucket="training", prefix="plain/"))
ONNX = TemplateSource(template_id="onnx", template_inputs=(FOLDER,))


async def requested(register: Register) -> VersionRequested:
    [envelope] = [each for each in await register.said() if each.type.endswith("version.requested.v1")]
    return VersionRequested.model_validate(envelope.data)


async def test_it_reaches_the_import_and_is_answered_as_it_was_said(register: Register) -> None:
    declared = Declared(config={"runtime": "python3.12"}, execution_code=True)
    model_id = await register.create(declared=declared, asked=ASKED)
    assert (await requested(register)).declared == declared
    view = await register.view(model_id)
    assert (view.asked, view.model_type) == (ASKED, "ONNX")
    page = await register.listed(model_type="ONNX")
    assert [row.model_id for row in page.models] == [model_id], "known before it is published"


async def test_a_template_takes_what_is_declared(register: Register) -> None:
    declared = Declared(config={"model_algorithm": "object_detection", "metrics": {"f1": 0.5}})
    model_id = await register.create(source=ONNX, declared=declared, asked=Asked(model_type="Template"))
    assembly = (await requested(register)).assembly
    assert assembly is not None
    assert (assembly.config.model_algorithm, assembly.config.metrics.f1) == ("object_detection", 0.5)
    assert assembly.config.model_type == "ONNX"
    assert (await register.view(model_id)).model_type == "Template"


async def test_who_asks_for_a_template_finds_it_as_one(register: Register) -> None:
    model_id = await register.published(source=ONNX, asked=Asked(model_type="Template"))
    view = await register.view(model_id)
    assert view.config is not None
    assert (view.model_type, view.config.model_type) == ("Template", "ONNX")
    assert (await register.view(await register.published("other"))).model_type == "ONNX"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"model_type": "Caffe"}, "model_type"),
        ({"runtime": "python2.7"}, "runtime"),
        ({"colour": "red"}, "colour"),
        ({"metrics": {"f1": 2}}, "metrics.f1"),
    ],
)
async def test_what_a_template_cannot_take_is_refused_at_once(
    register: Register, config: dict[str, Any], field: str
) -> None:
    with pytest.raises(Failure) as refused:
        await register.create(source=ONNX, declared=Declared(config=config))
    assert [problem.field for problem in refused.value.problems] == [field]


async def test_a_version_of_an_earlier_release_is_answered(register: Register) -> None:
    model_id = await register.published()
    stored = await register.stored(VERSIONS, model_id)
    del stored.body["asked"]
    await register.documents.save(VERSIONS, stored)
    assert (await register.view(model_id)).asked == Asked()
    [row] = (await register.listed()).models
    assert (row.project, row.install_type) == ("p1", ("real-time", "batch", "edge"))


@pytest.mark.parametrize(
    ("query", "some", "none"),
    [
        ({"theme": "Classification"}, {"tensorflow-image-classification"}, {"onnx"}),
        ({"theme": "Common"}, {"onnx"}, {"tensorflow-image-classification"}),
        ({"env": "python3.12"}, {"onnx"}, {"tensorflow-image-classification"}),
        ({"env": "python3.12", "environment": "py36"}, set(), {"onnx"}),
    ],
)
async def test_templates_by_theme_and_environment(
    register: Register, query: dict[str, Any], some: set[str], none: set[str]
) -> None:
    page = await register.templates.list(register.context(), ListTemplates(**query))
    found = {template.template_id for template in page.templates}
    assert some <= found
    assert not found & none
