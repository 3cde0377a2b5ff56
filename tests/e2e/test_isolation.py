"""Two projects on one yard: whatever the second does with what it can guess of the first, it sees and moves nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest

from modelyard import Client, Refused
from modelyard_testkit.models import digits_config, package
from modelyard_testkit.refusals import refused
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import put

from .test_bad_packages import contents, imported

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

MINE, THEIRS = "isolated-one", "isolated-two"
NAME = "geheim"
_names = count()


@dataclass(frozen=True)
class Owned:
    """Ids of everything that the first project has; `folder` is where its version's source lies."""

    model_id: str
    auto_id: str
    folder: str
    upload_id: str
    upload_folder: str
    training_job_id: str
    rule_id: str
    template_id: str
    verification_id: str
    audit_id: str
    alias_id: str


@pytest.fixture(scope="module")
def mine(yard: Yard) -> Iterator[Client]:
    with yard.project(MINE) as made:
        yield made


@pytest.fixture(scope="module")
def stranger(yard: Yard) -> Iterator[Client]:
    """Admin of a project of its own."""
    with yard.project(THEIRS) as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(package(tmp_path_factory.mktemp("package"), config=digits_config()))


@pytest.fixture(scope="module")
def owned(yard: Yard, mine: Client, files: dict[str, bytes]) -> Owned:
    place = put(yard, "training", f"{MINE}/package", files)
    model = imported(mine, model_name=NAME, source_location=place, labels=["ours"])
    auto = imported(mine, model_name=NAME, source_location=place, source_type="auto")
    assert (model["model_status"], auto["model_status"]) == ("published", "published")
    mine.put(f"model-names/{NAME}/aliases/champion", {"model_version": model["model_version"]})
    location = model["artifacts"][0]["location"]
    upload_id = _uploaded(mine, files)
    kept = mine.get(f"uploads/{upload_id}")["location"]
    rule = {"name": "ours", "job_name": "never", "model_name": NAME}
    template = {"template_name": "ours", "model_type": "ONNX", "infer_format": "undefined"}
    template |= {"template_inputs": [{"input_id": "model_folder", "label": "x"}]}  # type: ignore[dict-item]  # JSON
    verification = mine.post(f"models/{model['model_id']}/verifications", None)
    audit = mine.post("audits", {})
    return Owned(
        model_id=model["model_id"],
        auto_id=auto["model_id"],
        folder=f"s3://{location['bucket']}/{location['prefix']}",
        upload_id=upload_id,
        upload_folder=f"s3://{kept['bucket']}/{kept['prefix']}",
        training_job_id=_trained(yard, mine, files),
        rule_id=mine.post("import-rules", rule)["rule_id"],
        template_id=mine.post("models/template", template)["template_id"],
        verification_id=verification["verification_id"],
        audit_id=audit["audit_id"],
        alias_id=f"model-names/{NAME}/aliases/champion",
    )


def _uploaded(client: Client, files: dict[str, bytes]) -> str:
    listing = [{"path": path, "size": len(content)} for path, content in files.items()]
    ticket = client.post("uploads", {"files": listing})
    for target in ticket["files"]:
        httpx.put(target["urls"][0], content=files[target["path"]]).raise_for_status()
    client.post(f"uploads/{ticket['upload_id']}/complete", [{"path": path} for path in files])
    return str(ticket["upload_id"])


def _trained(yard: Yard, client: Client, files: dict[str, bytes]) -> str:
    put(yard, "training", f"{MINE}/job/V001", files)
    data = {"job_id": "geheim-job", "job_name": "geheim", "job_version": "V001", "status": "completed"}
    data |= {"output": {"bucket": "training", "prefix": f"{MINE}/job/V001/"}}  # type: ignore[dict-item]  # JSON
    event = {"specversion": "1.0", "id": "geheim", "source": "training/x", "subject": "geheim", "data": data}
    event |= {"type": "modelyard.evt.training.completed.v1", "time": "2026-11-22T10:00:00Z", "project": MINE}
    return str(client.post("training-jobs/events", event)["training_job_id"])


@pytest.fixture(autouse=True)
def untouched(mine: Client, owned: Owned) -> Iterator[None]:
    """Whatever a test tried, the first project still has what it had."""
    before = _everything(mine, owned)
    yield
    assert _everything(mine, owned) == before


def _everything(mine: Client, owned: Owned) -> dict[str, Any]:
    paths = ("models", f"models/{owned.model_id}", f"models/{owned.model_id}/history", "import-rules", "training-jobs")
    more = (f"uploads/{owned.upload_id}", f"models/template/{owned.template_id}", f"{owned.alias_id}/history")
    return {path: mine.get(path) for path in (*paths, *more)}


GUESSED: list[tuple[str, str, Any]] = [
    ("GET", "models/{model_id}", None),
    ("PATCH", "models/{model_id}", {"labels": ["theirs"]}),
    ("DELETE", "models/{model_id}", None),
    ("DELETE", "models/{model_id}?cascade=true", None),
    ("GET", "models/{model_id}/deletion", None),
    ("GET", "models/{model_id}/deletion?cascade=true", None),
    ("GET", "models/{model_id}/files", None),
    ("GET", "models/{model_id}/lineage", None),
    ("GET", "models/{model_id}/lineage.svg", None),
    ("GET", "models/{model_id}/import", None),
    ("GET", "models/{model_id}/progress", None),
    ("GET", "models/{model_id}/history", None),
    ("GET", "models/{model_id}/history/verification", None),
    ("POST", "models/{model_id}/verifications", None),
    ("GET", "models/verifications/{verification_id}", None),
    ("GET", "models/compare?model_id={model_id}&model_id={auto_id}", None),
    ("GET", "audits/{audit_id}", None),
    ("GET", "{alias_id}", None),
    ("GET", "{alias_id}?at=9000000000000", None),
    ("GET", "{alias_id}/history", None),
    ("PUT", "{alias_id}", {"model_version": "0.0.1"}),
    ("DELETE", "{alias_id}", None),
    ("GET", "uploads/{upload_id}", None),
    ("GET", "uploads/{upload_id}/parts", None),
    ("POST", "uploads/{upload_id}/complete", []),
    ("GET", "training-jobs/{training_job_id}", None),
    ("DELETE", "import-rules/{rule_id}", None),
    ("GET", "models/template/{template_id}", None),
    ("DELETE", "models/template/{template_id}", None),
    ("POST", "conversions", {"model_id": "{model_id}", "order": {"target": "onnx-fp16"}}),
    ("POST", "evaluations", {"model_id": "{model_id}", "dataset_id": "nothing"}),
    ("POST", "gallery", {"model_id": "{model_id}"}),
    ("POST", "datasets", {"name": "stolen", "upload_id": "{upload_id}"}),
]


@pytest.mark.parametrize(("method", "path", "body"), GUESSED, ids=lambda value: str(value)[:44])
def test_a_guessed_id_is_nobodys(
    yard: Yard, stranger: Client, owned: Owned, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """Under its own project: not found, as if it did not exist. Under the owner's: not allowed."""
    known = vars(owned)
    if isinstance(body, dict):
        body = {key: value.format(**known) if isinstance(value, str) else value for key, value in body.items()}
    header = {"Authorization": f"Bearer {stranger.connection.token}"}
    own = yard.http(method, f"/v1/{THEIRS}/{path.format(**known)}", headers=header, json=body)
    assert own.status_code == httpx.codes.NOT_FOUND, own.text
    told = own.json()
    assert told["error_code"] in ("ModelArts.3001", "ModelArts.3021")
    missing = re.sub(r"\{([a-z_]+)_id\}", r"no-such-\1", path)
    if missing != path and not path.startswith("{alias_id}") and body is None:
        nothing = yard.http(method, f"/v1/{THEIRS}/{missing}", headers=header)
        assert _shape(nothing.json()) == _shape(told), "it can be told from what does not exist"
    refused(yard.http(method, f"/v1/{MINE}/{path.format(**known)}", headers=header, json=body), 403, "ModelArts.9403")


def _shape(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["error_code"], re.sub(r"'[^']*'", "'…'", answer["error_msg"])


def test_lists_show_only_ones_own(stranger: Client, owned: Owned) -> None:
    assert stranger.get("models")["total_count"] == 0
    assert stranger.get("models", label="ours")["total_count"] == 0
    assert stranger.get("models", model_name=NAME, exact_match="true", limit=1)["models"] == []
    assert stranger.get(f"model-names/{NAME}/aliases")["aliases"] == []
    assert stranger.get("training-jobs")["total_count"] == 0
    assert stranger.get("import-rules")["rules"] == []
    templates = stranger.get("models/template")["templates"]
    assert owned.template_id not in {template["template_id"] for template in templates}
    for start in ({"model_name": NAME}, {"training_job": "geheim-job"}, {"training_job": owned.training_job_id}):
        assert stranger.get("lineage", **start)["nodes"] == []


def test_a_cursor_of_another_project_leads_nowhere_else(
    yard: Yard, mine: Client, stranger: Client, owned: Owned
) -> None:
    cursor = mine.get("models", limit=1)["next_cursor"]
    assert cursor
    header = {"Authorization": f"Bearer {stranger.connection.token}"}
    reply = yard.http("GET", f"/v1/{THEIRS}/models", headers=header, params={"limit": 1, "cursor": cursor})
    assert reply.status_code == httpx.codes.BAD_REQUEST or reply.json()["models"] == []


def _places(owned: Owned) -> list[dict[str, Any]]:
    """Every field of a request that can hold an id or an object key of another project."""
    config = f"{owned.folder}model/config.json"
    template = {"template_id": "onnx"}
    folders = [owned.folder, owned.upload_folder, f"s3://artifacts/{MINE}/", f"s3://artifacts/{MINE}/models/"]
    sources: list[dict[str, Any]] = [{"source_location": folder} for folder in folders]
    sources += [{"source_location": folder, "source_copy": False} for folder in folders]
    sources += [
        {"template": template | {"template_inputs": [{"input_id": "model_folder", "input": f"{folder}model/"}]}}
        for folder in (owned.folder, owned.upload_folder)
    ]
    inputs = [{"input_id": "model_folder", "input": "s3://training/x/"}]
    return [
        *sources,
        {"source_location": f"s3://artifacts/{THEIRS}/../{MINE}/models/{owned.model_id}/source/"},
        {"upload_id": owned.upload_id},
        {"training_job_id": owned.training_job_id},
        {"template": {"template_id": owned.template_id, "template_inputs": inputs}},
        {"image": {"reference": "docker.io/library/x:1", "config_location": config}},
    ]


def test_no_source_reaches_into_another_project(yard: Yard, stranger: Client, owned: Owned) -> None:
    for fields in _places(owned):
        name = f"stolen-{next(_names)}"
        header = {"Authorization": f"Bearer {stranger.connection.token}"}
        reply = yard.http("POST", f"/v1/{THEIRS}/models", headers=header, json={"model_name": name} | fields)
        if reply.status_code != httpx.codes.OK:
            assert reply.status_code in (400, 404), (fields, reply.text)
            continue
        model_id = reply.json()["model_id"]

        def ended(path: str = f"models/{model_id}") -> dict[str, Any] | None:
            model = stranger.get(path)
            return model if model["model_status"] != "publishing" else None

        model = eventually(ended, f"the end of {fields}")
        assert model["model_status"] == "failed", fields
        assert model["artifacts"] == []
        assert model["failure"]["code"] in ("ModelArts.3001", "ModelArts.3017"), model["failure"]
        told = str(model["failure"]) + str(stranger.get(f"models/{model_id}/import"))
        assert "model.onnx" not in told, "what lies there is not told"
        assert stranger.delete(f"models/{model_id}")["delete_success_list"] == [model_id]


def test_a_promotion_reaches_no_further_than_the_second_token(yard: Yard, stranger: Client, owned: Owned) -> None:
    """An id of another project is nobody's, wherever it is said to be, and it cannot be told whether it exists."""
    header = {"Authorization": f"Bearer {stranger.connection.token}", "X-Source-Token": stranger.connection.token}

    def ask(project: str, model_id: str) -> httpx.Response:
        body = {"model_name": "stolen", "promotion": {"project": project, "model_id": model_id}}
        return yard.http("POST", f"/v1/{THEIRS}/models", headers=header, json=body)

    for project in (MINE, "no-such-project"):
        for model_id in (owned.model_id, "no-such-model"):
            refused(ask(project, model_id), 403, "ModelArts.9403")
    own, nothing = ask(THEIRS, owned.model_id), ask(THEIRS, "no-such-model")
    refused(own, 404, "ModelArts.3001")
    assert _shape(own.json()) == _shape(nothing.json())
    assert stranger.get("models", model_name="stolen")["total_count"] == 0


def test_datasets_do_not_reach_into_another_project(stranger: Client, owned: Owned) -> None:
    for folder in (owned.folder, owned.upload_folder):
        with pytest.raises(Refused) as caught:
            stranger.post("datasets", {"name": "stolen", "kind": "npz", "source_location": folder})
        assert caught.value.code in ("ModelArts.3001", "ModelArts.3017", "ModelArts.3080")
    assert stranger.get("datasets")["datasets"] == []


def test_an_audit_looks_only_at_its_own_project(stranger: Client) -> None:
    path = f"audits/{stranger.post('audits', {'repair': True})['audit_id']}"

    def ended() -> dict[str, Any] | None:
        audit = stranger.get(path)
        return audit if audit["state"] in ("succeeded", "failed") else None

    audit = eventually(ended, "the audit")
    assert audit["strays"] == []
    assert audit["incomplete"] == []


def test_a_training_event_speaks_only_for_its_own_project(stranger: Client) -> None:
    event = {"specversion": "1.0", "id": "x", "source": "training/x", "subject": "x", "data": {}}
    event |= {"type": "modelyard.evt.training.completed.v1", "time": "2026-11-22T10:00:00Z", "project": MINE}
    with pytest.raises(Refused) as caught:
        stranger.post("training-jobs/events", event)
    assert (caught.value.status, caught.value.problems[0]["field"]) == (400, "project")


OPEN_TO_EVERY_TOKEN = {("get", "/v1/schemas/config.json"), ("get", "/v1/whoami")}
FOR_OPERATORS = {("get", "/v1/projects"), ("post", "/v1/projects")}


@pytest.fixture
def http(yard: Yard) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=yard.details["gateway_url"], timeout=120) as made:
        yield made


def test_every_path_refuses_strangers(http: httpx.Client, stranger: Client, owned: Owned) -> None:
    """From the published description, so that a route which is added is asked too."""
    described = http.get("/openapi.json").json()["paths"]
    header = {"Authorization": f"Bearer {stranger.connection.token}"}
    asked = 0
    for path, methods in described.items():
        place = path.replace("{project_id}", MINE).replace("{model_id}", owned.model_id)
        place = re.sub(r"\{[a-z_]+\}", "x", place)
        for method in methods:
            refused(http.request(method, place, json={}), 401, "ModelArts.9401")
            asked += 1
            if (method, path) in OPEN_TO_EVERY_TOKEN:
                continue
            reply = http.request(method, place, headers=header, json={})
            assert reply.status_code in (403, 404), (method, path, reply.text)
            assert reply.json()["error_code"] in ("ModelArts.9403", "ModelArts.3001")
            assert "{project_id}" in path or (method, path) in FOR_OPERATORS
    assert asked > 75
