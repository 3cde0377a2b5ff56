"""What the gateway makes of requests: fields, bounds, and the translation of refusals."""

import asyncio

import pytest

from modelyard_contracts import codes
from modelyard_contracts.calls import convert, imports, version
from modelyard_contracts.failures import Away, Failure, FailureKind, Problem
from modelyard_contracts.shapes import Role, StorageSource, Tolerance
from modelyard_gateway import lookups
from modelyard_testkit.refusals import refused

GOOD = {"model_name": "手写数字", "source_location": "s3://training/digits/V001"}
CODES = {"labels": "ModelArts.3023", "labels.0": "ModelArts.3023", "source_location": "ModelArts.3017"}
CREATED = version.VersionCreated(model_id="m", model_name="手写数字", model_version="0.0.1")


TARGETS = convert.TargetList(
    targets=(
        convert.TargetView(
            target="openvino-fp16",
            toolchain="openvino",
            source_formats=("onnx",),
            result_format="openvino",
            description="",
            options_schema={},
            default_tolerance=Tolerance(max_rel_error=0.02, min_cosine=0.99, min_top1_agreement=0.99),
            offered=True,
        ),
    )
)


@pytest.mark.parametrize("path", ["models", "import-rules"])
async def test_a_plan_for_a_target_that_does_not_exist_is_refused_at_once(yard, path) -> None:
    rule = {"name": "r", "job_name": "d-*", "model_name": "d"}
    yard.calls.answers[convert.TARGETS.subject] = TARGETS
    headers = await yard.token(Role.WRITER)
    plan = {"convert": [{"target": "openvino-fp16"}, {"target": "openvino-fp61"}]}
    body = {**(GOOD if path == "models" else rule), "plan": plan}
    reply = await yard.http.post(f"/v1/default/{path}", headers=headers, json=body)
    refused(reply, 400, "ModelArts.3037")
    [problem] = reply.json()["problems"]
    assert problem["field"] == "plan.convert.1.target"
    assert "there are openvino-fp16" in problem["message"]


async def test_a_plan_is_taken_while_nobody_knows_the_targets(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    yard.calls.answers[convert.TARGETS.subject] = Failure(FailureKind.UNAVAILABLE, codes.NO_WORKER, "away")
    body = {**GOOD, "plan": {"convert": [{"target": "anything"}]}}
    reply = await yard.http.post("/v1/default/models", headers=await yard.token(Role.WRITER), json=body)
    assert reply.status_code == 200


async def test_a_model_is_asked_for_with_everything_that_was_said(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    yard.calls.answers[convert.TARGETS.subject] = TARGETS
    headers = {**await yard.token(Role.WRITER), "Idempotency-Key": "key-1"}
    body = {**GOOD, "labels": ["a"], "plan": {"convert": [{"target": "openvino-fp16"}]}}
    reply = await yard.http.post("/v1/default/models", headers=headers, json=body)
    assert reply.status_code == 200
    assert reply.json() == {"model_id": "m", "model_name": "手写数字", "model_version": "0.0.1"}
    _, context, request = yard.calls.asked[-1]
    assert context.idempotency_key == "key-1"
    assert isinstance(request.source, StorageSource)
    assert (request.source.location.bucket, request.source.location.prefix) == ("training", "digits/V001/")
    assert request.plan.convert[0].target == "openvino-fp16"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model_name": "a b"}, "model_name"),
        ({"model_name": "x" * 65}, "model_name"),
        ({"model_version": "01.0.0"}, "model_version"),
        ({"model_version": "1.0.100"}, "model_version"),
        ({"description": "a & b"}, "description"),
        ({"labels": list("abcdef")}, "labels"),
        ({"model_docs": [{"doc_name": "1", "doc_url": "http://a.example"}]}, "model_docs.0.doc_name"),
        ({"model_docs": [{"doc_name": "文档", "doc_url": "ftp://a.example"}]}, "model_docs.0.doc_url"),
        ({"source_location": "file:///etc/passwd"}, "source_location"),
        ({"plan": {"convret": []}}, "plan.convret"),
        ({"modle_name": "x"}, "modle_name"),
    ],
)
async def test_a_broken_rule_names_its_field(yard, change, field) -> None:
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post("/v1/default/models", headers=headers, json={**GOOD, **change})
    problems = refused(reply, 400, CODES.get(field, "ModelArts.3037"))
    assert field in {problem["field"] for problem in problems}
    assert not yard.calls.asked


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"labels": ["a\x00"]}, "labels.0"),
        ({"description": "a\x00b"}, "description"),
        ({"source_location": "s3://training/a\x00b"}, "source_location"),
        ({"plan": {"convert": [{"target": "none", "options": {"a": ["\x00"]}}]}}, "plan.convert.0.options.a.0"),
        ({"plan": {"convert": [{"target": "none", "options": {"\x00": 1}}]}}, "plan.convert.0.options"),
    ],
)
async def test_text_that_cannot_be_stored_is_refused_where_it_enters(yard, change, field) -> None:
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post("/v1/default/models", headers=headers, json={**GOOD, **change})
    problems = refused(reply, 400, CODES.get(field, "ModelArts.3037"))
    assert (field, "text without U+0000") in {(problem["field"], problem["rule"]) for problem in problems}
    assert not yard.calls.asked


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "models?model_name=a%00b", "model_name"),
        ("GET", "models?search_content=%00", "search_content"),
        ("GET", "models?%00=1", "\ufffd"),
        ("GET", "models/a%00b", "model_id"),
        ("PUT", "model-names/m/aliases/a%00", "alias"),
        ("GET", "training-jobs?job_name=%00", "job_name"),
        ("DELETE", "datasets/a%00b", "dataset_id"),
    ],
)
async def test_nor_in_path_and_query(yard, method, path, field) -> None:
    headers = await yard.token(Role.ADMIN)
    reply = await yard.http.request(method, f"/v1/default/{path}", headers=headers)
    problems = refused(reply, 400, "ModelArts.3037")
    assert (field, "text without U+0000") in {(problem["field"], problem["rule"]) for problem in problems}
    assert not yard.calls.asked


async def test_all_problems_are_told_at_once(yard) -> None:
    headers = await yard.token(Role.WRITER)
    body = {**GOOD, "model_name": "a b", "model_version": "x", "labels": list("abcdef")}
    problems = refused(await yard.http.post("/v1/default/models", headers=headers, json=body), 400, "ModelArts.3037")
    assert {problem["field"] for problem in problems} == {"model_name", "model_version", "labels"}


async def test_a_missing_field_has_a_code_of_its_own(yard) -> None:
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post("/v1/default/models", headers=headers, json={"upload_id": "x"})
    assert refused(reply, 400, "ModelArts.3036")[0]["field"] == "model_name"


async def test_a_misspelt_field_of_a_contract_request_is_named_too(yard) -> None:
    headers = await yard.token(Role.WRITER)
    body = {"model_id": "m", "order": {"target": "openvino-fp16", "optoins": {}}}
    reply = await yard.http.post("/v1/default/conversions", headers=headers, json=body)
    assert refused(reply, 400, "ModelArts.3037")[0]["field"] == "order.optoins"


async def test_a_refusal_of_a_service_arrives_whole(yard) -> None:
    problems = (Problem(message="no worker", field="order.target", rule="offered"),)
    yard.calls.answers[convert.CREATE.subject] = Failure(
        FailureKind.UNPROCESSABLE, "ModelArts.3052", "no worker offers 'ascend'", problems=problems
    )
    headers = await yard.token(Role.WRITER)
    body = {"model_id": "m", "order": {"target": "ascend"}}
    reply = await yard.http.post("/v1/default/conversions", headers=headers, json=body)
    assert refused(reply, 422, "ModelArts.3052") == [
        {"message": "no worker", "field": "order.target", "rule": "offered"}
    ]


async def test_a_source_that_is_not_there_is_refused_before_a_version_is_made(yard) -> None:
    problem = Problem(message="bucket 'trainin' is not open", field="source.location.bucket", rule="one of the buckets")
    refusal = Failure(FailureKind.INVALID, codes.BAD_SOURCE, problem.message, problems=(problem,))
    yard.calls.answers[imports.CHECK_SOURCE.subject] = refusal
    body = {"model_name": "digits", "source_location": "s3://trainin/digits/"}
    headers = await yard.token(Role.WRITER)
    answer = await yard.http.post("/v1/default/models", json=body, headers=headers)
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (400, "source_location")
    assert all(subject != version.CREATE.subject for subject, *_ in yard.calls.asked)
    away = Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, "no worker answers import.check-source")
    created = version.VersionCreated(model_id="m", model_name="digits", model_version="0.0.1")
    yard.calls.answers |= {imports.CHECK_SOURCE.subject: away, version.CREATE.subject: created}
    answer = await yard.http.post("/v1/default/models", json=body, headers=headers)
    assert answer.status_code == 200, "it waits, as it always did"


async def test_an_unexpected_error_says_nothing_but_its_correlation_id(yard) -> None:
    headers = await yard.token(Role.READER)
    reply = await yard.http.get("/v1/default/models/x", headers=headers)  # the recorder has no answer: KeyError
    refused(reply, 500, "ModelArts.9000")
    assert "KeyError" not in reply.text


async def test_a_store_that_is_away_is_a_503_with_a_hint_to_try_again(yard, monkeypatch) -> None:
    async def away(_self, _secret):
        raise Away("disk I/O error in /secret/place")

    monkeypatch.setattr(type(yard.access), "token_of", away)
    reply = await yard.http.get("/v1/default/models", headers={"X-Auth-Token": "x"})
    refused(reply, 503, "ModelArts.9002")
    assert reply.headers["retry-after"] == "1"
    assert "/secret/place" not in reply.text


async def test_documents_that_hang_are_waited_for_once_and_tried_once_a_second(yard, monkeypatch) -> None:
    tried, now = 0, 1_000
    token = await yard.token(Role.READER)
    real = type(yard.access).token_of

    async def hang(_self, _secret):
        nonlocal tried
        tried += 1
        await asyncio.Event().wait()

    object.__setattr__(yard.backends, "lookups", lookups.Lookups(yard.access, lambda: now))
    monkeypatch.setattr(lookups, "WITHIN", 0.01)
    monkeypatch.setattr(type(yard.access), "token_of", hang)
    for now, times in ((1_000, 1), (1_999, 1), (2_000, 2), (2_001, 2)):  # noqa: B007 - the clock of the look-ups
        reply = await yard.http.get("/v1/default/models", headers=token)
        refused(reply, 503, "ModelArts.9002")
        assert (reply.headers["retry-after"], tried) == ("1", times)
    monkeypatch.setattr(type(yard.access), "token_of", real)
    monkeypatch.setattr(lookups, "WITHIN", 25)
    yard.calls.answers[version.LIST.subject] = version.VersionPage(total_count=0, count=0, models=())
    now = 3_001
    for _ in range(2):
        assert (await yard.http.get("/v1/default/models", headers=token)).status_code == 200


async def test_a_large_body_is_refused_before_it_is_read(yard) -> None:
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post(
        "/v1/default/models", headers={**headers, "Content-Length": str(2 << 30)}, content=b"{"
    )
    refused(reply, 413, "ModelArts.3044")


async def test_a_large_body_without_declared_length_is_refused_too(yard) -> None:
    async def endless():
        for _ in range(100):
            yield b" " * 1000

    headers = await yard.token(Role.WRITER)
    reply = await yard.http.post("/v1/default/models", headers=headers, content=endless())
    refused(reply, 413, "ModelArts.3044")


async def test_what_is_not_json_is_refused(yard) -> None:
    headers = {**await yard.token(Role.WRITER), "Content-Type": "application/json"}
    reply = await yard.http.post("/v1/default/models", headers=headers, content=b"{nonsense")
    refused(reply, 400, "ModelArts.3037")


async def test_json_that_ends_early_is_told_in_a_sentence(yard) -> None:
    headers = await yard.token(Role.WRITER) | {"Content-Type": "application/json"}
    reply = await yard.http.post("/v1/default/models", headers=headers, content=b'{"model_name": ')
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert problem == {
        "message": "the body is no JSON: Expecting value at character 15",
        "field": "body",
        "rule": "JSON",
    }


async def test_a_field_that_is_given_twice_is_refused_by_its_name(yard) -> None:
    headers = await yard.token(Role.WRITER) | {"Content-Type": "application/json"}
    body = b'{"model_name": "a", "source_location": "s3://training/x/", "model_name": "b"}'
    [problem] = refused(
        await yard.http.post("/v1/default/models", headers=headers, content=body), 400, "ModelArts.3037"
    )
    assert (problem["field"], problem["message"]) == ("model_name", "it is given more than once in one object")


async def test_a_delete_takes_no_body(yard) -> None:
    headers = await yard.token(Role.WRITER)
    reply = await yard.http.request("DELETE", "/v1/default/models/m", headers=headers, json={"cascade": True})
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert (problem["field"], problem["rule"]) == ("body", "none")


async def test_an_unquoted_etag_is_told_to_be_quoted(yard) -> None:
    headers = await yard.token(Role.WRITER) | {"If-Match": "2"}
    [problem] = refused(await yard.http.delete("/v1/default/models/m", headers=headers), 400, "ModelArts.3037")
    assert problem["field"] == "If-Match"
    assert problem["message"] == '2 is no ETag: one stands between quotation marks, "2"'


async def test_an_unknown_path_has_the_same_shape(yard) -> None:
    refused(await yard.http.get("/v2/nothing"), 404, "ModelArts.9404")


async def test_every_route_is_described_with_its_errors(yard) -> None:
    document = (await yard.http.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "403" in operation["responses"], path
    assert "examples" in document["components"]["schemas"]["ModelRequest"]
