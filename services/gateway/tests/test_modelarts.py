"""Bodies as clients of ModelArts send them, and answers as they read them.

`modelarts/bodies.json` has the field names and shapes of Terraform's provider, of the documented API and of its SDK.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.calls import imports, templates, version
from modelyard_contracts.package import Health, Metrics, PackageConfig
from modelyard_contracts.shapes import (
    Asked,
    ImageSource,
    Location,
    Role,
    StorageSource,
    TemplateSource,
    TrainingRef,
    TrainingSource,
)
from modelyard_testkit.refusals import refused

from .a_version import a_version

BODIES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "modelarts" / "bodies.json").read_text("utf-8"))
MODELS = "/v1/default/models"
FOLDER = Location(bucket="training", prefix="digits/V001/")
RUN = imports.TrainingJobView(
    training_job_id="run-1",
    status="completed",
    training=TrainingRef(job_id="d", job_name="digits", job_version="V001"),
    output=FOLDER,
    imports=(),
    received_at=1,
)


@pytest.fixture
async def asking(yard):
    """Sends a body; answers the reply and the register's request, if it came to one."""
    headers = await yard.token(Role.WRITER)
    created = version.VersionCreated(model_id="m", model_name="n", model_version="0.0.1")
    yard.calls.answers[version.CREATE.subject] = created
    runs = imports.TrainingJobPage(total_count=1, count=1, training_jobs=(RUN,))
    yard.calls.answers[imports.LIST_TRAINING_JOBS.subject] = runs

    async def ask(body: dict[str, Any]) -> tuple[Any, version.CreateVersion | None]:
        yard.calls.asked.clear()
        reply = await yard.http.post(MODELS, headers=headers, json=body)
        asked = [request for subject, _, request in yard.calls.asked if subject == version.CREATE.subject]
        return reply, asked[0] if asked else None

    return ask


@pytest.mark.parametrize("name", BODIES)
async def test_every_recorded_body_is_accepted_and_nothing_of_it_is_dropped(asking, name) -> None:
    body = BODIES[name]
    reply, request = await asking(body)
    assert reply.status_code == 200, reply.text
    assert reply.json()["model_id"] == "m"
    asked = request.asked.model_dump(exclude_none=True)
    assert asked == {field: body[field] for field in Asked.model_fields if field in body}
    declared = request.declared.config or getattr(request.source, "config", None) or {}
    for field in ("runtime", "model_algorithm", "dependencies", "health"):
        assert declared.get(field) == body.get(field) or field not in body
    for field in ("model_name", "model_version", "description", "workspace_id"):
        assert getattr(request, field) == body.get(field, getattr(request, field))
    assert request.declared.execution_code is ("execution_code" in body)


async def test_terraform_s_folder_and_config(asking) -> None:
    _, request = await asking(BODIES["terraform"])
    assert request.source == StorageSource(location=FOLDER)
    declared = request.declared.config
    assert declared["metrics"] == json.loads(BODIES["terraform"]["model_metrics"])
    assert declared["apis"][0]["request"]["data"]["properties"] == {"images": {"type": "file"}}
    assert declared["model_type"] == "ONNX"
    assert request.model_docs[0].doc_url == "https://doc.example.com", "kept as it was given"


async def test_a_run_by_its_name_and_version(yard, asking) -> None:
    _, request = await asking(BODIES["documented"])
    assert request.source == TrainingSource(training_job_id="run-1")
    [wanted] = [asked for subject, _, asked in yard.calls.asked if subject == imports.LIST_TRAINING_JOBS.subject]
    assert (wanted.job_name, wanted.job_version) == ("digits", "V001")
    [api] = request.declared.config["apis"]
    assert api["request"]["data"]["properties"] == {"image_url": {"type": "string"}}
    assert "input_params" not in api


async def test_an_image_by_source_location(asking) -> None:
    _, request = await asking(BODIES["image"])
    assert isinstance(request.source, ImageSource)
    assert request.source.reference == "ghcr.io/team/translator:1.4"
    assert request.source.config["model_type"] == "Image"
    assert request.source.config["health"] == BODIES["image"]["health"]


async def test_a_template_with_the_location_that_terraform_demands(asking) -> None:
    _, request = await asking(BODIES["template"])
    assert isinstance(request.source, TemplateSource)
    assert request.source.infer_format is None
    assert request.source.template_inputs[0].location == Location(bucket="training", prefix="plain/")
    assert (request.asked.model_type, request.declared.config) == ("Template", {})


async def test_tags_come_as_pairs(asking) -> None:
    _, request = await asking(BODIES["training"])
    assert (request.labels, request.tags) == ((), {"team": "vision", "nightly": ""})
    _, request = await asking({**BODIES["training"], "tags": {"team": "vision"}})
    assert request.tags == {"team": "vision"}


@pytest.mark.parametrize(
    "text", ["https://[/x", "https://[training.obs.x]/d", "https://training.obs.x]/d", "https://℀.obs.x/d"]
)
async def test_a_link_that_nobody_can_read_is_refused(asking, text) -> None:
    reply, _ = await asking({**BODIES["terraform"], "source_location": text})
    refused(reply, 400, "ModelArts.3017")


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://training/digits", "training", "digits/"),
        ("obs://training/digits/", "training", "digits/"),
        ("/training/digits/V001", "training", "digits/V001/"),
        ("https://training.obs.cn-north-4.example.com/digits", "training", "digits/"),
        ("https://training.OBS.example.com:443/%E6%95%B0%20%E5%AD%97/", "training", "数 字/"),
        ("https://training.s3.team.example/digits", "training", "digits/"),
    ],
)
async def test_a_folder_in_every_spelling(yard, asking, text, bucket, prefix) -> None:
    yard.put(source_hosts="s3.team.example, obs.lab")
    for body in (
        {"source_location": text},
        {"template": {"template_id": "t", "template_inputs": [{"input_id": "a", "input": text}]}},
    ):
        _, request = await asking({"model_name": "a", **body})
        source = request.source
        location = source.location if isinstance(source, StorageSource) else source.template_inputs[0].location
        assert location == Location(bucket=bucket, prefix=prefix)


@pytest.mark.parametrize(
    "text",
    [
        "https://training.s3.team.example/digits",  # no host of the operator's
        "https://obs.example.com/training/digits",
        "https://UP_PER.obs.example.com/digits",
        "https://training.obs.example.com/",
        "https://training.obs.example.com/a?versionId=1",
        "http://training.obs.example.com/a",
        "ghcr.io/team/translator:1.4",  # without model_type Image
        "/training",
        "ftp://training/digits",
        "https://training.obs.example.com/" + "x" * 900,
        "https://training.obs.example.com/%FF",
    ],
)
async def test_what_names_no_bucket_is_no_source(asking, text) -> None:
    reply, request = await asking({"model_name": "a", "source_location": text})
    assert refused(reply, 400, "ModelArts.3017")[0]["field"] == "source_location"
    assert request is None


GOOD = {"model_name": "a", "source_location": "s3://training/digits/V001", "model_type": "ONNX"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"initial_config": "{nonsense"}, "initial_config"),
        ({"initial_config": "[]"}, "initial_config"),
        ({"initial_config": '{"a": 1, "a": 2}'}, "initial_config"),
        ({"initial_config": '{"labels": ["\\u0000"]}'}, "initial_config.labels.0"),
        ({"initial_config": '{"metrics": {"f1": NaN}}'}, "initial_config.metrics.f1"),
        ({"initial_config": '{"colour": "red"}'}, "initial_config.colour"),
        ({"initial_config": '{"runtime": "python3.11"}', "runtime": "python3.12"}, "runtime"),
        ({"runtime": "python9"}, "runtime"),
        ({"model_type": "Cobol"}, "model_type"),
        ({"model_algorithm": "图像"}, "model_algorithm"),
        ({"model_metrics": '{"f1": "0.5"}'}, "metrics.f1"),
        ({"model_metrics": '{"f1": 0.5}', "metrics": {"f1": 0.6}}, "model_metrics"),
        ({"metrics": {"loss": 1}}, "metrics.loss"),
        ({"apis": [{"url": "/other"}]}, "apis"),
        ({"apis": "no list"}, "apis"),
        ({"dependencies": [{"installer": "apt", "packages": []}]}, "dependencies.0.installer"),
        ({"dependencies": [{"packages": [{"package_name": "a", "restraint": "EXACT"}]}]}, "dependencies.0.packages.0"),
        ({"health": {"url": "/health"}}, "health"),
        ({"execution_code": "s3://training/elsewhere/customize_service.py"}, "execution_code"),
        ({"execution_code": "s3://training/digits/V001/model/other.py"}, "execution_code"),
        ({"source_copy": "maybe"}, "source_copy.literal['true','false']"),
        ({"model_type": "Template"}, "template"),
        ({"source_job_id": "digits"}, "source_job_version"),
        ({"source_job_version": "V001"}, "source_job_id"),
        ({"source_job_id": "digits-*", "source_job_version": "V001"}, "source_job_id"),
        ({"source_job_id": "d", "source_job_version": "V001", "source_location": "/training/else"}, "source_location"),
        ({"source_job_id": "d", "source_job_version": "V001", "source_copy": "false"}, "source_copy"),
        ({"source_location": "ghcr.io/a/b:1", "model_type": "Image", "source_copy": "true"}, "source_copy"),
        ({"source_location": "ghcr.io/a/b:1", "model_type": "Image", "runtime": "python3.12"}, "runtime"),
        ({"tags": [{"key": "a b", "value": "b"}]}, "tags.a b.[key]"),
        ({"input_params": []}, "input_params"),
    ],
)
async def test_what_cannot_be_used_is_refused_by_its_name(asking, change, field) -> None:
    reply, request = await asking({**GOOD, **change})
    assert reply.status_code == 400, reply.text
    assert field in {problem["field"] for problem in reply.json()["problems"]}, reply.text
    assert request is None


async def test_a_run_that_nobody_knows(yard, asking) -> None:
    none = imports.TrainingJobPage(total_count=0, count=0, training_jobs=())
    yard.calls.answers[imports.LIST_TRAINING_JOBS.subject] = none
    reply, request = await asking(BODIES["training"])
    assert refused(reply, 400, "ModelArts.3037")[0]["field"] == "source_job_id"
    assert request is None


async def test_a_template_takes_the_folders_of_its_inputs(asking) -> None:
    reply, _ = await asking({**BODIES["template"], "source_location": "/training/elsewhere"})
    assert refused(reply, 400, "ModelArts.3017")[0]["rule"] == "one of these folders, or left out"


def read_by_terraform(view: dict[str, Any]) -> dict[str, Any]:
    """What the provider keeps of an answer. A text that is none, or a list that is none, would be an error there."""
    texts = {
        "version": "model_version", "source_job_version": "source_job_version", "source_location": "source_location",
        "execution_code": "execution_code", "source_job_id": "source_job_id", "model_type": "model_type",
        "description": "description", "runtime": "runtime", "metrics": "model_metrics", "source_type": "source_type",
        "workspace_id": "workspace_id", "model_algorithm": "model_algorithm", "name": "model_name",
        "schema_doc": "schema_doc", "image_address": "image_address", "status": "model_status",
        "model_source": "model_source", "initial_config": "config",
    }  # fmt: skip
    state = {ours: view.get(theirs) for ours, theirs in texts.items()}
    assert all(value is None or isinstance(value, str) for value in state.values()), state
    for flag in ("tunable", "market_flag", "publishable_flag"):
        assert isinstance(view[flag], bool)
    assert isinstance(view["model_size"], int)
    assert isinstance(view["install_type"], list)
    return state | {
        "source_copy": str(view.get("source_copy")),
        "install_type": view["install_type"],
        "model_docs": [{name: doc.get(name) for name in ("doc_url", "doc_name")} for doc in view["model_docs"]],
        "dependencies": [
            {
                "installer": group.get("installer"),
                "packages": [
                    {name: each.get(name) for name in ("package_version", "package_name", "restraint")}
                    for each in group["packages"]
                ],
            }
            for group in view["dependencies"]
        ],
    }


def planned_by_terraform(body: dict[str, Any]) -> dict[str, Any]:
    """What a second plan compares; what the plan leaves out may be anything."""
    names = {"model_name": "name", "model_version": "version", "model_metrics": "metrics"}
    plan = {names.get(name, name): value for name, value in body.items() if name not in {"template", "tags", "apis"}}
    for group in plan.get("dependencies", []):
        for package in group["packages"]:
            package.setdefault("package_version", None)
            package.setdefault("restraint", None)
    return plan


async def test_a_second_plan_shows_no_drift(yard, asking) -> None:
    body = json.loads(json.dumps(BODIES["terraform"]))
    _, request = await asking(body)
    yard.calls.answers[version.GET.subject] = a_version(
        model_name=request.model_name,
        model_version=request.model_version,
        model_type=request.asked.model_type,
        description=request.description,
        install_type=request.install_type,
        model_docs=request.model_docs,
        workspace_id=request.workspace_id,
        source=request.source,
        asked=request.asked,
        config=PackageConfig.model_validate(request.declared.config),
    )
    view = (await yard.http.get(f"{MODELS}/m", headers=await yard.token(Role.READER))).json()
    state = read_by_terraform(view)
    plan = planned_by_terraform(body)
    assert {name: state[name] for name in plan} == plan


async def test_the_flat_fields_and_their_types(yard) -> None:
    config = PackageConfig(
        model_algorithm="translation", model_type="Image", metrics=Metrics(f1=0.5), health=Health(url="/health")
    )
    yard.calls.answers[version.GET.subject] = a_version(
        config=config,
        labels=("nightly",),
        tags={"team": "vision"},
        source_type="auto",
        specification=version.Specification(min_cpu=0.5, min_memory=2048),
        training=RUN.training,
        source=ImageSource(reference="ghcr.io/a/b:1"),
    )
    reader = await yard.token(Role.READER)
    view = (await yard.http.get(f"{MODELS}/m", headers=reader)).json()
    assert view["package_config"] == config.model_dump(mode="json")
    assert json.loads(view["config"]) == view["package_config"]
    assert (view["owner"], view["tenant"], view["project"]) == ("token:ann", "default", "default")
    assert (view["model_source"], view["source_location"], view["source_copy"]) == ("auto", "ghcr.io/a/b:1", "false")
    assert (view["source_job_id"], view["source_job_version"]) == ("digits", "V001")
    assert view["specification"] == {"min_cpu": "0.5", "min_memory": "2048", "min_gpu": None, "min_ascend": None}
    assert view["health"] == {
        "url": "/health",
        "protocol": "http",
        "initial_delay_seconds": "0",
        "timeout_seconds": "10",
    }
    assert view["model_metrics"] == '{"f1":0.5}'
    assert view["tags"] == {"team": "vision"}
    assert view["labels_map"] == {"labels": ["nightly"]}
    assert "asked" not in view


async def test_a_version_that_is_not_published_yet_has_the_same_fields(yard) -> None:
    reader = await yard.token(Role.READER)
    views = []
    for status in ("publishing", "published"):
        yard.calls.answers[version.GET.subject] = a_version(model_status=status, model_type=None)
        views.append((await yard.http.get(f"{MODELS}/m", headers=reader)).json())
    publishing, published = views
    assert publishing.keys() == published.keys()
    assert (publishing["publishable_flag"], published["publishable_flag"]) == (False, True)
    assert read_by_terraform(publishing)["initial_config"] is None


async def test_templates_as_their_clients_read_them(yard) -> None:
    view = templates.TemplateView(
        template_name="t", model_type="ONNX", runtime="python3.12", infer_format="undefined", template_id="t",
        template_inputs=(templates.TemplateInputView(input_id="model_folder", label="Folder"),), built_in=True,
        engine="ONNX Runtime", python="3.12", processors=("cpu",), created_at=None, created_by=None,
        theme="Classification",
    )  # fmt: skip
    page = templates.TemplateList(total_count=1, count=1, templates=(view,))
    yard.calls.answers[templates.LIST_TEMPLATES.subject] = page
    query = "theme=Classification&engine=ONNX&env=python3.12&keyword=t&offset=1&limit=1"
    reply = await yard.http.get(f"{MODELS}/template?{query}", headers=await yard.token(Role.READER))
    [(_, _, wanted)] = yard.calls.asked
    assert (wanted.theme, wanted.env, wanted.offset, wanted.limit) == ("Classification", "python3.12", 1, 1)
    [template] = reply.json()["templates"]
    labels = {"theme": "Classification", "engine": "ONNX Runtime", "environment": "python3.12"}
    assert template["template_labels"] == labels
    assert (template["template_name_en"], template["arch"]) == ("t", "X86_64")
    assert (template["template_inputs"][0]["input_type"], template["template_inputs"][0]["name_en"]) == (
        "folder",
        "Folder",
    )
