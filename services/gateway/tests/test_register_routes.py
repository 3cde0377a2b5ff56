"""The register's paths: what each asks, and what it refuses before it asks anybody."""

import httpx
import pytest

from modelyard_contracts import codes
from modelyard_contracts.calls import imports, templates, version
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import ImageSource, Role, StorageSource, TemplateSource
from modelyard_gateway.doors.v1.schemas.models import ImageRequest, TemplateRequest
from modelyard_testkit.refusals import refused

from .a_version import a_version

CREATED = version.VersionCreated(model_id="m", model_name="digits", model_version="0.0.1")
ALIAS = "model-names/digits/aliases/champion"
RULE = {"name": "n", "job_name": "d-*", "model_name": "digits"}
TEMPLATE = {
    "template_name": "mine",
    "model_type": "ONNX",
    "infer_format": "undefined",
    "template_inputs": [{"input_id": "model", "label": "Model"}],
}

ASKED = [
    ("GET", "models?label=demo&cursor=abc", None, version.LIST, {"label": ("demo",), "cursor": "abc"}),
    ("GET", "models?label=a&label=b&archived=true", None, version.LIST, {"label": ("a", "b"), "archived": True}),
    ("GET", "models/m", None, version.GET, {"model_id": "m"}),
    ("PATCH", "models/m", {"labels": []}, version.UPDATE, {"model_id": "m", "labels": (), "description": None}),
    ("DELETE", "models/m?cascade=true", None, version.DELETE, {"model_id": "m", "cascade": True}),
    ("DELETE", "models/m?purge=true", None, version.DELETE, {"cascade": False, "purge": True, "revisions": None}),
    ("POST", "models/m/archive", None, version.ARCHIVE, {"model_id": "m"}),
    ("POST", "models/m/restore", None, version.RESTORE, {"model_id": "m"}),
    ("GET", "models/m/deletion?cascade=true", None, version.PREVIEW_DELETION, {"model_id": "m", "cascade": True}),
    ("GET", "models/m/history?after=7&limit=5", None, version.HISTORY, {"model_id": "m", "after": 7, "limit": 5}),
    ("GET", "models/m/history/verification", None, version.VERIFY_HISTORY, {"model_id": "m"}),
    ("GET", "models/compare?model_id=a&model_id=b", None, version.COMPARE, {"model_ids": ("a", "b")}),
    ("POST", "models/m/verifications", None, version.VERIFY, {"model_id": "m"}),
    ("GET", "models/verifications/v", None, version.GET_VERIFICATION, {"verification_id": "v"}),
    ("POST", "audits", {"repair": True}, version.AUDIT, {"repair": True}),
    ("GET", "audits/a", None, version.GET_AUDIT, {"audit_id": "a"}),
    ("GET", "models/m/lineage", None, version.LINEAGE, {"model_id": "m"}),
    ("GET", "lineage?training_job=digits/V001", None, version.TRACE, {"training_job": "digits/V001", "code": None}),
    ("GET", "lineage?code=4f2c1d9", None, version.TRACE, {"code": "4f2c1d9"}),
    ("GET", "lineage?dataset=s3://d/x/", None, version.TRACE, {"dataset": "s3://d/x/"}),
    ("GET", f"{ALIAS}?at=5", None, version.GET_ALIAS, {"model_name": "digits", "alias": "champion", "at": 5}),
    ("GET", ALIAS, None, version.GET_ALIAS, {"at": None}),
    ("GET", f"{ALIAS}/history", None, version.ALIAS_HISTORY, {"alias": "champion"}),
    ("PUT", ALIAS, {"model_version": "1.0.0"}, version.SET_ALIAS, {"model_version": "1.0.0"}),
    ("GET", "models/template?model_type=ONNX&keyword=x", None, templates.LIST_TEMPLATES, {"keyword": "x"}),
    ("POST", "models/template", TEMPLATE, templates.CREATE_TEMPLATE, {"template_name": "mine"}),
    ("GET", "models/template/t", None, templates.GET_TEMPLATE, {"template_id": "t"}),
    ("DELETE", "models/template/t", None, templates.DELETE_TEMPLATE, {"template_id": "t"}),
    ("GET", "models/infer-formats", None, templates.LIST_MODES, {}),
    ("GET", "models/ai-engine-runtimes?model_type=Caffe", None, templates.LIST_RUNTIMES, {"model_type": "Caffe"}),
    ("GET", "models/ai-engine-runtimes?limit=5&offset=0", None, templates.LIST_RUNTIMES, {"limit": 5, "offset": 0}),
    ("GET", "uploads/u/parts", None, imports.RESUME_UPLOAD, {"upload_id": "u"}),
    ("POST", "import-rules/dry-run", {**RULE, "runs": 5}, imports.DRY_RUN_RULE, {"runs": 5, "job_name": "d-*"}),
    ("GET", "training-jobs?job_name=d-*&status=failed", None, imports.LIST_TRAINING_JOBS, {"status": "failed"}),
]


@pytest.mark.parametrize(("method", "path", "body", "call", "fields"), ASKED, ids=lambda value: str(value)[:40])
async def test_each_path_asks_its_call(yard, method, path, body, call, fields) -> None:
    yard.calls.answers[call.subject] = Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "none")
    headers = {**await yard.token(Role.ADMIN), "Idempotency-Key": "k"}
    refused(await yard.http.request(method, f"/v1/default/{path}", headers=headers, json=body), 404, "ModelArts.3001")
    [(subject, context, request)] = yard.calls.asked
    assert subject == call.subject
    assert context.idempotency_key == "k" or method == "GET"  # what only reads has none
    assert {name: getattr(request, name) for name in fields} == fields


REFUSED = [
    ("GET", "models/compare?model_id=a", None, "model_id"),
    ("GET", "models/compare?model_id=a&model_id=a", None, "model_id"),
    ("GET", "models/compare?" + "&".join(f"model_id={n}" for n in range(21)), None, "model_id"),
    ("GET", "models/compare?model_id=a&model_id=b&c=d", None, "c"),
    ("GET", "lineage", None, "training_job, dataset, code, model_name"),
    ("GET", "lineage?code=a&dataset=b", None, "dataset, code"),
    ("GET", f"lineage.svg?code={'x' * 1201}", None, "code"),
    ("GET", "lineage?model_name=a%20b", None, "model_name"),
    ("GET", "models/m/history?after=-1", None, "after"),
    ("GET", "models/m/history?limit=1001", None, "limit"),
    ("GET", f"{ALIAS}?at={2**53 + 1}", None, "at"),
    ("GET", f"{ALIAS}?at=yesterday", None, "at"),
    ("GET", "model-names/digits/aliases/1st", None, "alias"),
    ("GET", f"models?label={'x' * 33}", None, "label.0"),
    ("GET", "models?label=" + "&label=".join("abcdef"), None, "label"),
    ("GET", "models?model_name=a&model_name=b", None, "model_name"),
    ("GET", "models?nmae=a", None, "nmae"),
    ("GET", "models/m?cascade=true", None, "cascade"),
    ("DELETE", "models/m?cascade=true&cascade=true", None, "cascade"),
    ("GET", f"models?offset={10**30}", None, "offset"),
    ("GET", f"models?cursor={'x' * 2001}", None, "cursor"),
    ("GET", "models/m/deletion?cascade=perhaps", None, "cascade"),
    ("GET", "models/template?model_type=Cobol", None, "model_type"),
    ("GET", f"models/template?keyword={'x' * 65}", None, "keyword"),
    ("GET", "models/ai-engine-runtimes?engine=x", None, "engine"),
    ("GET", "training-jobs?status=gone", None, "status"),
    ("PATCH", "models/m", {}, "description, labels, tags, model_docs"),
    ("PATCH", "models/m", {"description": None}, "description, labels, tags, model_docs"),
    ("PATCH", "models/m", {"description": "<b>"}, "description"),
    ("PATCH", "models/m", {"labels": ["a"] * 6}, "labels"),
    ("PATCH", "models/m", {"model_version": "1.0.1", "labels": []}, "model_version"),
    ("PATCH", "models/m", {"model_docs": [{"doc_name": "9", "doc_url": "http://a.example"}]}, "model_docs.0.doc_name"),
    ("POST", "audits", {"repair": "perhaps"}, "repair"),
    ("POST", "import-rules/dry-run", {**RULE, "runs": 0}, "runs"),
    ("POST", "models/template", {**TEMPLATE, "template_name": "a b"}, "template_name"),
    ("POST", "models/template", {**TEMPLATE, "template_inputs": []}, "template_inputs"),
    ("PUT", ALIAS, {"model_version": "01.0.0"}, "model_version"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), REFUSED, ids=lambda value: str(value)[:40])
async def test_each_bound_is_refused_with_its_field(yard, method, path, body, field) -> None:
    headers = await yard.token(Role.ADMIN)
    reply = await yard.http.request(method, f"/v1/default/{path}", headers=headers, json=body)
    assert reply.status_code == 400, reply.text
    problems = reply.json()["problems"]
    assert field in {problem["field"] for problem in problems}
    assert all(problem["rule"] for problem in problems)
    assert not yard.calls.asked


INPUTS = [{"input_id": "model_folder", "input": "s3://training/digits"}]
SOURCES = {
    "storage": ({"source_location": "s3://bucket/a", "source_copy": False}, StorageSource),
    "template": ({"template": {"template_id": "t", "infer_format": "x", "template_inputs": INPUTS}}, TemplateSource),
    "image": ({"image": {"reference": "ghcr.io/a/b:1", "config_location": "s3://cfg/a/b/config.json"}}, ImageSource),
    "inline": ({"image": {"reference": "b@sha256:0", "config": {"model_type": "Image"}}}, ImageSource),
}


@pytest.mark.parametrize("way", SOURCES)
async def test_each_source_arrives_as_it_was_said(yard, way) -> None:
    fields, kind = SOURCES[way]
    yard.calls.answers[version.CREATE.subject] = CREATED
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post("/v1/default/models", headers=headers, json={"model_name": "digits", **fields})
    assert reply.status_code == 200, reply.text
    source = yard.calls.asked[0][2].source
    assert isinstance(source, kind)
    said = {
        "storage": lambda: (source.location.prefix, source.source_copy) == ("a/", False),
        "template": lambda: source.template_inputs[0].location.prefix == "digits/" and source.infer_format == "x",
        "image": lambda: (source.config_location.prefix, source.config_file) == ("a/b/", "config.json"),
        "inline": lambda: source.config == {"model_type": "Image"} and source.config_location is None,
    }
    assert said[way]()


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({}, "source_location, upload_id, training_job_id, template, image, promotion", "missing"),
        ({"upload_id": "u", "training_job_id": "t"}, "upload_id, training_job_id", "exactly one"),
        ({"upload_id": "u", "source_copy": False}, "source_copy", "only with source_location"),
        ({"source_location": "s3://bucket/" + "x" * 900}, "source_location", "string_pattern_mismatch"),
        ({"template": {"template_id": "t", "template_inputs": []}}, "template.template_inputs", "too_short"),
        ({"template": {"template_id": "t", "template_inputs": INPUTS * 21}}, "template.template_inputs", "too_long"),
        (
            {"template": {"template_id": "t", "template_inputs": [{"input_id": "a", "input": "/etc"}]}},
            "template.template_inputs.0.input",
            "string_pattern_mismatch",
        ),
        ({"image": {"reference": "a"}}, "image.config, config_location", "missing"),
        (
            {"image": {"reference": "a", "config": {}, "config_location": "s3://cfg/a/config.json"}},
            "image.config, config_location",
            "exactly one",
        ),
        ({"image": {"reference": "a", "config_location": "s3://cfg/config.json"}}, "image.config_location", None),
        ({"image": {"reference": "a", "config": {}, "platform": "Windows"}}, "image.platform", None),
        ({"image": {"reference": "x" * 501, "config": {}}}, "image.reference", "string_too_long"),
        ({"upload_id": ""}, "upload_id", "string_too_short"),
        ({"promotion": {"project": "staging"}}, "promotion.model_id", "missing"),
        ({"promotion": {"project": "archived/p1", "model_id": "m"}}, "promotion.project", "string_pattern_mismatch"),
        (
            {"upload_id": "u", "promotion": {"project": "a", "model_id": "m"}},
            "upload_id, promotion",
            "exactly one",
        ),
    ],
)
async def test_one_source_and_its_rules(yard, fields, field, rule) -> None:
    """Beside another broken rule, so that both must be told."""
    headers = await yard.token(Role.WRITER)
    body = {"model_name": "two words", **fields}
    problems = refused(await yard.http.post("/v1/default/models", headers=headers, json=body), 400, "ModelArts.3037")
    rules = {problem["field"]: problem["rule"] for problem in problems}
    assert set(rules) == {"model_name", field}
    assert rule in (None, rules[field])


async def test_no_source_at_all_is_a_missing_field(yard) -> None:
    headers = await yard.token(Role.WRITER)
    refused(
        await yard.http.post("/v1/default/models", headers=headers, json={"model_name": "a"}), 400, "ModelArts.3036"
    )


@pytest.mark.parametrize(("public", "contract"), [(ImageRequest, ImageSource), (TemplateRequest, TemplateSource)])
def test_public_bounds_are_those_of_the_contract(public, contract) -> None:
    ours, theirs = (model.model_json_schema()["properties"] for model in (public, contract))
    bounds = ("maxLength", "minLength", "pattern", "maxItems", "minItems", "default")
    for name in set(ours) & set(theirs) - {"config", "config_location", "infer_format"}:
        assert {key: ours[name].get(key) for key in bounds} == {key: theirs[name].get(key) for key in bounds}, name


async def test_a_version_has_an_entity_tag(yard) -> None:
    yard.calls.answers[version.GET.subject] = a_version(revision=7, description='{"model_id":"x","revision":9}')
    token = await yard.token(Role.READER)

    async def shown(**headers: str) -> httpx.Response:
        return await yard.http.get("/v1/default/models/m", headers={**token, **headers})

    first = await shown()
    assert (first.status_code, first.headers["etag"]) == (200, '"7"')
    for known in ('"7"', 'W/"7"', '"6", "7"', "*"):
        again = await shown(**{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"7"')
    assert (await shown(**{"If-None-Match": '"6"'})).status_code == 200


@pytest.mark.parametrize(
    ("given", "revisions"),
    [
        ('"7"', (7,)),
        ('"03"', ()),
        ('"6", "7"', (6, 7)),
        ("*", None),
        (None, None),
        ('W/"7"', ()),
        ('"abc"', ()),
        ('"x"', ()),
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "body", "call"),
    [
        ("PATCH", "models/m", {"labels": []}, version.UPDATE),
        ("DELETE", "models/m", None, version.DELETE),
        ("POST", "models/m/archive", None, version.ARCHIVE),
        ("POST", "models/m/restore", None, version.RESTORE),
        ("PUT", ALIAS, {"model_version": "1.0.0"}, version.SET_ALIAS),
        ("DELETE", ALIAS, None, version.SET_ALIAS),
    ],
)
async def test_a_change_names_what_it_has_seen(yard, given, revisions, method, path, body, call) -> None:
    yard.calls.answers[call.subject] = Failure(FailureKind.CONFLICT, codes.CHANGED, "changed since")
    headers = {**await yard.token(Role.ADMIN), **({"If-Match": given} if given else {})}
    reply = await yard.http.request(method, f"/v1/default/{path}", headers=headers, json=body)
    refused(reply, 412, "ModelArts.9412")
    [(_, _, request)] = yard.calls.asked
    assert request.revisions == revisions


@pytest.mark.parametrize(("header", "held"), [({"If-Match": "*"}, True), ({"If-None-Match": "*"}, False), ({}, None)])
async def test_an_alias_is_moved_only_while_it_is_there_or_only_while_it_is_not(yard, header, held) -> None:
    yard.calls.answers[version.SET_ALIAS.subject] = {}
    headers = {**await yard.token(Role.ADMIN), **header}
    for method, body in (("PUT", {"model_version": "1.0.0"}), ("DELETE", None)):
        reply = await yard.http.request(method, f"/v1/default/{ALIAS}", headers=headers, json=body)
        assert reply.status_code == 200
    assert [request.held for _, _, request in yard.calls.asked] == [held, held]


async def test_of_an_alias_no_revision_is_asked_that_it_must_not_be_at(yard) -> None:
    headers = {**await yard.token(Role.ADMIN), "If-None-Match": '"3"'}
    reply = await yard.http.put(f"/v1/default/{ALIAS}", headers=headers, json={"model_version": "1.0.0"})
    refused(reply, 400, "ModelArts.3037")
    assert [problem["field"] for problem in reply.json()["problems"]] == ["If-None-Match"]


async def test_a_request_id_is_a_correlation_id(yard) -> None:
    reply = await yard.http.get("/v1/default/models/m", headers={"X-Request-Id": "mine-1"})
    assert (reply.headers["x-request-id"], reply.headers["x-correlation-id"]) == ("mine-1", "mine-1")


DEEP = "[" * 70 + "]" * 70
UNKEEPABLE = [
    ('{"a": {' + ",".join(f'"k{n}":1' for n in range(1001)) + "}}", "config.a", "at most 1000 fields"),
    ('{"a":' + DEEP + "}", "config.a" + ".0" * 61, "at most 64 levels"),
    ('{"a": NaN}', "config.a", "finite number"),
    ('{"a": [1, 1e999]}', "config.a.1", "finite number"),
    ('{"a": 9223372036854775808}', "config.a", "64-bit integer"),
    (r'{"a": "\ud83d"}', "config.a", "Unicode text"),
    (r'{"\ud83d": 1}', "config", "Unicode text"),
]


@pytest.mark.parametrize(("config", "field", "rule"), UNKEEPABLE, ids=range(len(UNKEEPABLE)))
async def test_json_that_nobody_can_keep(yard, config, field, rule) -> None:
    headers = {**await yard.token(Role.WRITER), "Content-Type": "application/json"}
    body = '{"model_name": "a", "image": {"reference": "r", "config": ' + config + "}}"
    reply = await yard.http.post("/v1/default/models", headers=headers, content=body.encode())
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert (problem["field"].removeprefix("image."), problem["rule"]) == (field, rule)


@pytest.mark.parametrize("value", ['"NaN"', '"0.5"', "true"])
async def test_a_metric_of_a_run_is_a_number(yard, value) -> None:
    headers = {**await yard.token(Role.WRITER), "Content-Type": "application/json"}
    data = '{"job_id": "j", "metrics": {"loss": ' + value + "}}"
    body = (
        '{"source": "t", "subject": "j", "project": "default", "data": '
        + data
        + ', "type": "modelyard.evt.training.completed.v1"}'
    )
    reply = await yard.http.post("/v1/default/training-jobs/events", headers=headers, content=body)
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert (problem["field"], problem["rule"]) == ("data.metrics.loss", "finite number")


async def test_json_deeper_than_any_reader_goes(yard) -> None:
    headers = {**await yard.token(Role.WRITER), "Content-Type": "application/json"}
    reply = await yard.http.post("/v1/default/models", headers=headers, content=b"[" * 5000 + b"]" * 5000)
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert problem["field"] == "body"


async def test_of_many_problems_the_first_hundred_are_shown(yard) -> None:
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post("/v1/default/uploads", headers=headers, json={"files": [{}] * 400})
    assert len(refused(reply, 400, "ModelArts.3037")) == 100
    assert reply.json()["error_msg"].endswith("; and more")


async def test_the_schema_of_config_json_is_published(yard) -> None:
    refused(await yard.http.get("/v1/schemas/config.json"), 401, "ModelArts.9401")
    schema = (await yard.http.get("/v1/schemas/config.json", headers=await yard.token(Role.READER))).json()
    assert schema["$schema"].startswith("https://json-schema.org/draft/2020-12")
    assert {"model_type", "model_algorithm"} == set(schema["required"])


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        (Role.READER, "PATCH", "models/m", {"labels": []}),
        (Role.READER, "POST", "models/m/verifications", None),
        (Role.READER, "POST", "models/template", TEMPLATE),
        (Role.READER, "DELETE", "models/template/t", None),
        (Role.READER, "GET", "uploads/u/parts", None),
        (Role.READER, "POST", "import-rules/dry-run", RULE),
        (Role.PUBLISHER, "POST", "audits", {}),
        (Role.PUBLISHER, "GET", "audits/a", None),
    ],
)
async def test_each_role_ends_where_the_next_begins(yard, role, method, path, body) -> None:
    reply = await yard.http.request(method, f"/v1/default/{path}", headers=await yard.token(role), json=body)
    refused(reply, 403, "ModelArts.9403")
    assert not yard.calls.asked


@pytest.mark.parametrize(
    ("way", "theirs", "ours"),
    [
        ("storage", "source.location", "source_location"),
        ("template", "source.template_inputs.model_folder", "template.template_inputs.model_folder"),
        ("inline", "source.reference", "image.reference"),
        ("storage", "model_version", "model_version"),
    ],
)
async def test_a_refusal_names_the_field_that_the_caller_knows(yard, way, theirs, ours) -> None:
    yard.calls.answers[version.CREATE.subject] = Failure(
        FailureKind.INVALID, "ModelArts.3037", "no", field=theirs, rule="r"
    )
    body = {"model_name": "a", **SOURCES[way][0]}
    reply = await yard.http.post("/v1/default/models", headers=await yard.token(Role.WRITER), json=body)
    assert refused(reply, 400, "ModelArts.3037")[0]["field"] == ours
