"""The register through HTTP: what is kept of a version, how it changes, who moved what, what its bytes are now."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from modelyard import Client, Refused
from modelyard_testkit.models import conv_net, digits_config, digits_like_mlp, package
from modelyard_testkit.refusals import refused
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import keys, put, with_objects

from .test_bad_packages import contents, imported

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

PROJECT = "register"


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project(PROJECT) as made:
        yield made


@pytest.fixture(scope="module")
def versions(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Three of one name: two networks of one signature, and one that claims other numbers."""
    made = []
    for number, build in enumerate((digits_like_mlp, conv_net, digits_like_mlp)):
        config = digits_config(metrics={"accuracy": 0.9 + number / 100})
        root = package(tmp_path_factory.mktemp("package"), build, config=config, seed=number)
        place = put(yard, "training", f"{PROJECT}/{number}", contents(root))
        labels = ["even" if number % 2 == 0 else "odd", "所有"]
        model = imported(client, model_name="数字", source_location=place, labels=labels)
        assert model["model_status"] == "published", model["failure"]
        made.append(model)
    return made


@pytest.fixture
def spare(yard: Yard, client: Client, tmp_path: Path) -> dict[str, Any]:
    """A version that a test may spoil."""
    place = put(yard, "training", f"{PROJECT}/spare", contents(package(tmp_path)))
    model = imported(client, model_name="spare", source_location=place)
    assert model["model_status"] == "published", model["failure"]
    return model


def ended(client: Client, path: str) -> dict[str, Any]:
    def read() -> dict[str, Any] | None:
        found = client.get(path)
        return found if found["state"] in ("succeeded", "failed") else None

    return eventually(read, f"the end of {path}")


def keys_of(model: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """path → bucket and key, of the source."""
    (source,) = model["artifacts"]
    place = source["location"]
    return {file["path"]: (place["bucket"], place["prefix"] + file["path"]) for file in source["files"]}


def refusal(client: Client, method: str, path: str, *body: Any, **query: Any) -> tuple[int, str, list[str]]:
    with pytest.raises(Refused) as caught:
        getattr(client, method)(path, *body, **query)
    fields = [problem["field"] for problem in caught.value.problems if problem.get("field")]
    return caught.value.status, caught.value.code.removeprefix("ModelArts."), fields


def test_numbers_follow_each_other(versions: list[dict[str, Any]]) -> None:
    assert [model["model_version"] for model in versions] == ["0.0.1", "0.0.2", "0.0.3"]


def test_update_leaves_a_record(client: Client, spare: dict[str, Any]) -> None:
    path = f"models/{spare['model_id']}"
    docs = [{"doc_name": "说明", "doc_url": "https://docs.example/spare"}]
    changed = client.patch(path, {"description": "检查过", "labels": ["checked"], "model_docs": docs})
    assert (changed["description"], changed["labels"], changed["model_docs"]) == ("检查过", ["checked"], docs)
    assert changed["model_version"] == spare["model_version"]
    assert client.patch(path, {"labels": []})["description"] == "检查过"
    records = eventually(lambda: _records(client, spare, 4), "four records")
    assert [record["action"] for record in records] == ["created", "published", "updated", "updated"]
    assert records[2]["changes"]["description"] == {"before": "", "after": "检查过"}
    assert records[3]["changes"] == {"labels": {"before": ["checked"], "after": []}}
    assert all(record["correlationid"] and record["by"] for record in records)
    assert records[2]["by"] == "token:admin"
    assert all(after["previous"] == before["hash"] for before, after in pairwise(records))
    assert client.get(f"{path}/history", after=2, limit=1)["records"] == [records[2]]
    verdict = client.get(f"{path}/history/verification")
    assert (verdict["intact"], verdict["records"], verdict["broken_at"]) == (True, 4, None)
    assert refusal(client, "patch", path, {"model_version": "9.9.9", "labels": []}) == (400, "3037", ["model_version"])
    assert refusal(client, "patch", "models/nobody", {"labels": []})[:2] == (404, "3001")
    assert client.delete(path, purge=True)["delete_success_list"] == [spare["model_id"]]
    records = eventually(lambda: _records(client, spare, 5), "the record of the deletion")
    assert records[-1]["action"] == "deleted"
    assert client.get(f"{path}/history/verification")["intact"]


def _records(client: Client, model: dict[str, Any], count: int) -> list[dict[str, Any]] | None:
    records: list[dict[str, Any]] = client.get(f"models/{model['model_id']}/history")["records"]
    return records if len(records) >= count else None


def test_what_a_plan_asks_for_in_vain_is_told(yard: Yard, client: Client, tmp_path: Path) -> None:
    place = put(yard, "training", f"{PROJECT}/vain", contents(package(tmp_path)))
    plan = {"publish": [{"channel": "competition", "competition_id": "nobodys"}, {"channel": "gallery"}]}
    model = imported(client, model_name="vain", source_location=place, plan=plan)
    path = f"models/{model['model_id']}"
    found = eventually(lambda: (shown := client.get(path))["refused"] and shown, "the refusal")
    [refusal] = found["refused"]
    assert (refusal["code"], refusal["reason"]) == ("ModelArts.3001", "no competition 'nobodys'")
    assert found["in_use"] == []
    assert client.get(f"entries/{refusal['publication_id']}")["state"] == "rejected"
    assert (
        "competition nobodys: no competition 'nobodys'" in yard.command("models", "show", "vain", client=client).stdout
    )
    records = eventually(lambda: _records(client, model, 4), "the records of the publications")
    assert {record["action"] for record in records[2:]} == {"entry-rejected", "listed"}
    nodes = client.get(f"{path}/lineage")["nodes"]
    assert [node["facts"]["reason"] for node in nodes if node["kind"] == "entry"] == [refusal["reason"]]


def test_alias_at_any_time(client: Client, versions: list[dict[str, Any]]) -> None:
    path = "model-names/数字/aliases/champion"
    for model in versions[:2]:
        client.put(path, {"model_version": model["model_version"]})
    first, second = reversed(client.get(f"{path}/history")["moves"])
    assert (first["model_version"], first["previous_model_version"], first["by"]) == ("0.0.1", None, "token:admin")
    assert (second["model_version"], second["previous_model_version"]) == ("0.0.2", "0.0.1")
    assert client.get(path)["model_id"] == versions[1]["model_id"]
    assert client.get(path, at=second["at"])["model_version"] == "0.0.2"
    assert client.get(path, at=second["at"] - 1)["model_version"] == "0.0.1"
    assert refusal(client, "get", path, at=first["at"] - 1)[:2] == (404, "3001")
    held = client.delete(f"models/{versions[1]['model_id']}")
    assert held["delete_success_list"] == []
    assert held["delete_failed_list"][0]["error_code"] == "ModelArts.3009"
    assert client.get(f"models/{versions[1]['model_id']}/deletion")["versions"] == []
    client.delete(path)
    assert refusal(client, "get", path)[:2] == (404, "3001")
    assert client.get(path, at=second["at"])["model_version"] == "0.0.2"


def test_compare(client: Client, versions: list[dict[str, Any]]) -> None:
    ids = [model["model_id"] for model in versions]
    told = client.get("models/compare", model_id=ids[:2])
    assert [each["model_version"] for each in told["versions"]] == ["0.0.1", "0.0.2"]
    subjects = {each["subject"]: each["values"] for each in told["differences"]}
    assert subjects["operator Conv"] == [None, 2]
    assert [0.9, 0.91] in [values for name, values in subjects.items() if "accuracy" in name]
    assert told["signature_changes"] == []
    assert len(client.get("models/compare", model_id=ids)["versions"]) == 3
    assert refusal(client, "get", "models/compare", model_id=[ids[0], "nobody"])[:2] == (404, "3001")
    assert refusal(client, "get", "models/compare", model_id=[ids[0]] * 2) == (400, "3037", ["model_id"])


def test_list_by_label_and_by_cursor(client: Client, versions: list[dict[str, Any]]) -> None:
    ids = [model["model_id"] for model in versions]
    odd = client.get("models", label="odd")
    assert (odd["total_count"], [model["model_id"] for model in odd["models"]]) == (1, [ids[1]])
    assert client.get("models", label="od")["total_count"] == 0
    assert client.get("models", label="所有")["total_count"] == 3
    query = {"model_name": "数字", "exact_match": "true", "sort_by": "model_version", "order": "asc", "limit": 2}
    page = client.get("models", **query)
    assert page["total_count"] == 3
    seen = [model["model_id"] for model in page["models"]]
    while page["next_cursor"]:
        page = client.get("models", **query, cursor=page["next_cursor"])
        assert page["total_count"] is None
        seen += [model["model_id"] for model in page["models"]]
    assert seen == ids
    assert refusal(client, "get", "models", cursor="nonsense")[:2] == (400, "3037")


def test_lineage_and_its_picture(yard: Yard, client: Client, versions: list[dict[str, Any]]) -> None:
    graph = client.get("lineage", model_name="数字")
    assert sum(node["kind"] == "version" for node in graph["nodes"]) == 3
    header = {"Authorization": f"Bearer {client.connection.token}"}
    for path in (f"models/{versions[0]['model_id']}/lineage.svg", "lineage.svg?model_name=数字"):
        reply = yard.http("GET", f"/v1/{PROJECT}/{path}", headers=header)
        assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert "数字 0.0.1" in reply.text
        ElementTree.fromstring(reply.content)
    assert refusal(client, "get", "lineage")[:2] == (400, "3036")
    assert refusal(client, "get", "lineage", code="a", dataset="b") == (400, "3037", ["dataset, code"])


def test_deletion_preview_is_what_the_delete_does(yard: Yard, client: Client, spare: dict[str, Any]) -> None:
    path = f"models/{spare['model_id']}"
    told = client.get(f"{path}/deletion")
    prefix = f"{PROJECT}/models/{spare['model_id']}/"
    assert [each["model_id"] for each in told["versions"]] == [spare["model_id"]]
    assert (told["objects"], told["bytes"]) == (len(keys(yard, "artifacts", prefix)), spare["artifacts"][0]["size"])
    assert (told["kept"], told["by_reference"]) == ([], [])
    assert client.get(path)["model_status"] == "published", "it is only a preview"
    assert client.delete(path, purge=True)["delete_success_list"] == [spare["model_id"]]
    eventually(lambda: not keys(yard, "artifacts", prefix), "freed objects")
    assert refusal(client, "get", f"{path}/deletion")[:2] == (404, "3001")


def test_verification_names_a_flipped_byte(yard: Yard, client: Client, spare: dict[str, Any]) -> None:
    path = f"models/{spare['model_id']}/verifications"
    sound = ended(client, f"models/verifications/{client.post(path, None)['verification_id']}")
    assert (sound["state"], sound["intact"], sound["damaged"]) == ("succeeded", True, [])
    assert sound["checked_bytes"] == sound["total_bytes"] == spare["artifacts"][0]["size"]
    bucket, key = keys_of(spare)["model/model.onnx"]

    async def flip(objects: Any) -> None:
        content = bytearray(await objects.read(bucket, key, 1 << 20))
        content[1000] ^= 1
        await objects.put(bucket, key, bytes(content))

    with_objects(yard, flip)
    found = ended(client, f"models/verifications/{client.post(path, None)['verification_id']}")
    (damaged,) = found["damaged"]
    assert (found["intact"], damaged["path"], damaged["reason"]) == (False, "model/model.onnx", "digest")


def test_audit_finds_strays_and_gaps_and_repairs_both(yard: Yard, client: Client, spare: dict[str, Any]) -> None:
    stray = f"{PROJECT}/models/{spare['model_id']}/source/left-behind.bin"
    nobodys = f"{PROJECT}/models/nobody/source/model.onnx"
    gap_bucket, gap = keys_of(spare)["model/model.onnx"]

    async def spoil(objects: Any) -> None:
        for key in (stray, nobodys):
            await objects.put("artifacts", key, b"nobody's")
        await objects.remove(gap_bucket, gap)

    with_objects(yard, spoil)

    def found() -> dict[str, Any] | None:
        """The grace of a second must pass before a stray is one."""
        audit = ended(client, f"audits/{client.post('audits', {})['audit_id']}")
        return audit if {stray, nobodys} <= set(audit["strays"]) else None

    audit = eventually(found, "an audit that sees the strays", pause=0.3)
    assert (audit["state"], audit["repaired"], audit["stray_bytes"]) == ("succeeded", False, 16)
    assert [each["path"] for each in audit["incomplete"]] == ["model/model.onnx"]
    assert {stray, nobodys} <= keys(yard, "artifacts", f"{PROJECT}/models/"), "it only looked"

    def repaired() -> dict[str, Any] | None:
        audit = ended(client, f"audits/{client.post('audits', {'repair': True})['audit_id']}")
        return audit if audit["state"] == "succeeded" else None

    assert eventually(repaired, "a repair")["repaired"]
    assert not {stray, nobodys} & keys(yard, "artifacts", f"{PROJECT}/models/")
    version = client.get(f"models/{spare['model_id']}")
    assert (version["model_status"], version["failure"]["code"]) == ("failed", "ModelArts.3084")
    after = ended(client, f"audits/{client.post('audits', {})['audit_id']}")
    assert (after["stray_objects"], after["incomplete"]) == (0, [])


def test_runtimes_modes_and_schema(yard: Yard, client: Client) -> None:
    rows = client.get("models/ai-engine-runtimes", model_type="ONNX")["runtimes"]
    assert {row["model_type"] for row in rows} == {"ONNX"}
    assert "python3.12" in {row["runtime"] for row in rows}
    modes = {mode["infer_format"]: mode for mode in client.get("models/infer-formats")["modes"]}
    assert set(modes) == {"image-processing", "object-detection", "predictive-analysis", "undefined"}
    assert [name for name, mode in modes.items() if not mode["batch"]] == ["undefined"]
    header = {"Authorization": f"Bearer {client.connection.token}"}
    schema = yard.http("GET", "/v1/schemas/config.json", headers=header).json()
    assert {"model_algorithm", "model_type"} <= set(schema["required"])


def test_template_refusals(client: Client) -> None:
    def created(**fields: Any) -> tuple[int, str, list[str]]:
        template = {
            "template_id": "onnx",
            "template_inputs": [{"input_id": "model_folder", "input": "s3://training/c/"}],
        }
        return refusal(client, "post", "models", {"model_name": "x", "template": template | fields})

    def given(*names: str) -> list[dict[str, str]]:
        return [{"input_id": name, "input": "s3://training/c/"} for name in names]

    assert created(template_id="nobodys") == (404, "3021", ["template.template_id"])
    assert created(infer_format="no-such-mode")[1] == "3019"
    assert created(template_inputs=given("calibration_data"))[1] == "3024"
    assert created(template_inputs=given("model_folder", "other"))[1] == "3029"
    assert created(template_inputs=given("model_folder", "model_folder"))[1] == "3034"
    fixed = {"template_id": "tensorflow-image-classification", "infer_format": "undefined"}
    assert created(**fixed)[1] == "3039"
    body = {"template_name": "onnx-again", "model_type": "ONNX", "infer_format": "undefined"}
    body["template_inputs"] = [{"input_id": "model_folder", "label": "x"}]  # type: ignore[assignment]  # it is JSON
    client.post("models/template", body)
    assert refusal(client, "post", "models/template", body)[:2] == (409, "3022")
    assert refusal(client, "delete", "models/template/onnx")[:2] == (403, "9403")
    assert refusal(client, "get", "models/template/nobodys")[:2] == (404, "3021")
    assert client.get("models", model_name="x")["total_count"] == 0


def test_statuses_are_exactly_200(yard: Yard, client: Client, spare: dict[str, Any]) -> None:
    """Clients compare with 200, not with 2xx."""
    header = {"Authorization": f"Bearer {client.connection.token}"}

    def asked(method: str, path: str, body: Any = None) -> Any:
        reply = yard.http(method, f"/v1/{PROJECT}/{path}", headers=header, json=body)
        assert reply.status_code == httpx.codes.OK, reply.text
        return json.loads(reply.text)

    made = asked("POST", "models", {"model_name": "exactly", "source_location": "s3://training/nothing-here/"})
    eventually(lambda: client.get(f"models/{made['model_id']}")["model_status"] == "failed", "a failed import")
    asked("DELETE", f"models/{made['model_id']}")
    asked("PATCH", f"models/{spare['model_id']}", {"labels": ["x"]})
    template = {"template_name": "exactly", "model_type": "ONNX", "infer_format": "undefined"}
    inputs = {"template_inputs": [{"input_id": "model_folder", "label": "x"}]}
    asked("DELETE", f"models/template/{asked('POST', 'models/template', template | inputs)['template_id']}")
    asked("PUT", "model-names/spare/aliases/live", {"model_version": spare["model_version"]})
    asked("DELETE", "model-names/spare/aliases/live")
    verification = asked("POST", f"models/{spare['model_id']}/verifications")
    ended(client, f"models/verifications/{verification['verification_id']}")
    ended(client, f"audits/{asked('POST', 'audits', {})['audit_id']}")


def test_idempotency_keys(client: Client, spare: dict[str, Any]) -> None:
    path = f"models/{spare['model_id']}/verifications"
    assert (
        client.post(path, None, idempotency_key="v")["verification_id"]
        == client.post(path, None, idempotency_key="v")["verification_id"]
    )
    first = client.post("audits", {}, idempotency_key="a")
    assert client.post("audits", {}, idempotency_key="a")["audit_id"] == first["audit_id"]
    with pytest.raises(Refused) as caught:
        client.post("audits", {"repair": True}, idempotency_key="a")
    assert caught.value.status == httpx.codes.CONFLICT
    ended(client, f"audits/{first['audit_id']}")


def test_made_by_automatic_learning_is_never_downloaded(yard: Yard, client: Client, tmp_path: Path) -> None:
    place = put(yard, "training", f"{PROJECT}/auto", contents(package(tmp_path)))
    model = imported(client, model_name="automatic", source_location=place, source_type="auto")
    header = {"Authorization": f"Bearer {client.connection.token}"}
    reply = yard.http("GET", f"/v1/{PROJECT}/models/{model['model_id']}/files", headers=header)
    refused(reply, 403, "ModelArts.9403")
    (source,) = model["artifacts"]
    copied = {"model_name": "copied", "source_location": f"s3://artifacts/{source['location']['prefix']}"}
    assert refusal(client, "post", "models", copied) == (403, "9403", ["source_location"])
