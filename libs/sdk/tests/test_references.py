"""What people type for things."""

import pytest

from modelyard import Client
from modelyard.errors import NotFoundHere
from modelyard.references import artifact_id, dataset_id, model_id, rule_id

from .conftest import Scripted

ID = "0197f3a2-0000-7000-8000-000000000001"


def test_an_id_is_taken_as_it_is(client: Client, gateway: Scripted) -> None:
    assert [find(client, ID) for find in (model_id, dataset_id, rule_id)] == [ID] * 3
    assert gateway.asked == []


def row(model_id: str, version: str, status: str = "published", name: str = "digits") -> dict[str, str]:
    return {"model_id": model_id, "model_name": name, "model_version": version, "model_status": status}


def test_a_name_means_its_newest_published_version(
    client: Client, gateway: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    failed, usable = {"models": [row("m3", "0.0.3", "failed")]}, {"models": [row("m2", "0.0.2")]}
    gateway.on("GET models", failed, usable)
    assert model_id(client, "digits") == "m2"
    assert caplog.messages == ["digits 0.0.3 is failed; taking 0.0.2, the newest published version"]
    assert gateway.asked[-1].query["model_status"] == "published"
    gateway.on("GET models", failed)
    assert model_id(client, "digits:0.0.3") == "m3"
    gateway.on("GET models", {"models": [row("m3", "0.0.3", "publishing")]}, {"models": []})
    assert model_id(client, "digits") == "m3"
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("text", ["", ":0.0.1", "@champion", ":", "@"])
def test_nothing_is_no_name(client: Client, gateway: Scripted, text: str) -> None:
    """A shell variable that is not set must not mean the newest version of all."""
    with pytest.raises(NotFoundHere, match="it is named by name"):
        model_id(client, text)
    assert gateway.asked == []


def test_what_was_probably_meant(client: Client, gateway: Scripted) -> None:
    gateway.on(
        "GET models", {"models": []}, {"models": []}, {"models": [row("m1", "0.0.1"), row("m2", "0.1.0", name="Faces")]}
    )
    with pytest.raises(
        NotFoundHere, match=r"no model 'digist' in project 'p1'; did you mean 'digits'\? see 'modelyard"
    ):
        model_id(client, "digist")
    gateway.on("GET models", {"models": []}, {"models": [row("m1", "0.0.1"), row("m2", "0.1.0")]})
    with pytest.raises(NotFoundHere, match=r"no model 'digits:1\.0\.0' in project 'p1'; 'digits' has 0\.0\.1, 0\.1\.0"):
        model_id(client, "digits:1.0.0")
    gateway.on("GET model-names/digits/aliases", {"aliases": [{"alias": "champion", "model_id": "m7"}]})
    with pytest.raises(NotFoundHere, match="did you mean 'champion'"):
        model_id(client, "digits@champoin")
    gateway.on("GET datasets", {"datasets": []}, {"datasets": [{"dataset_id": "d", "name": "held-out"}]})
    with pytest.raises(NotFoundHere, match="did you mean 'held-out'"):
        dataset_id(client, "heldout")


def test_a_name_and_a_number(client: Client, gateway: Scripted) -> None:
    gateway.on("GET models", {"models": [row("m2", "1.0.0")]})
    assert model_id(client, "手写数字") == "m2"
    assert gateway.asked[-1].query == {
        "model_name": "手写数字",
        "exact_match": "true",
        "sort_by": "model_version",
        "order": "desc",
        "limit": "1",
    }
    assert model_id(client, "digits:1.0.0") == "m2"
    assert (gateway.asked[-1].query["model_name"], gateway.asked[-1].query["model_version"]) == ("digits", "1.0.0")


def test_an_alias(client: Client, gateway: Scripted) -> None:
    gateway.on("GET model-names/数字/aliases", {"aliases": [{"alias": "prod", "model_id": "m7"}]})
    assert model_id(client, "数字@prod") == "m7"
    with pytest.raises(NotFoundHere, match="no alias 'staging'; see 'modelyard aliases list 数字'"):
        model_id(client, "数字@staging")


def test_what_is_not_there(client: Client, gateway: Scripted) -> None:
    gateway.on("GET models", {"models": []})
    gateway.on("GET datasets", {"datasets": []})
    gateway.on("GET import-rules", {"rules": []})
    with pytest.raises(NotFoundHere, match=r"no model 'digits:9\.9\.9' in project 'p1'"):
        model_id(client, "digits:9.9.9")
    with pytest.raises(NotFoundHere, match="no dataset 'held-out'"):
        dataset_id(client, "held-out")
    with pytest.raises(NotFoundHere, match="no rule 'nightly'"):
        rule_id(client, "nightly")


def test_an_artifact_by_id_or_target(caplog: pytest.LogCaptureFixture) -> None:
    artifacts = [("a1", "source"), ("a2", "openvino-fp16"), ("a3", "openvino-fp16")]
    model = {
        "model_name": "digits",
        "model_version": "0.0.1",
        "artifacts": [
            {"artifact_id": identifier, "target": target, "created_at": 1_800_000_000_000}
            for identifier, target in artifacts
        ],
    }
    assert artifact_id(model, None) is None
    assert artifact_id(model, "a2") == "a2"
    assert artifact_id(model, "openvino-fp16") == "a3"
    assert "digits 0.0.1 has 2 artifacts openvino-fp16; taking the newest, of 2027-01-15" in caplog.text
    with pytest.raises(NotFoundHere, match=r"0\.0\.1 has no artifact 'tflite'; it has: source, openvino-fp16$"):
        artifact_id(model, "tflite")
    with pytest.raises(NotFoundHere, match="it has: none"):
        artifact_id({**model, "artifacts": []}, "source")


def test_a_dataset_and_a_rule_by_name(client: Client, gateway: Scripted) -> None:
    gateway.on("GET datasets", {"datasets": [{"dataset_id": "d1"}]})
    assert dataset_id(client, "held-out") == "d1"
    assert gateway.asked[-1].query == {"name": "held-out"}
    rules = [("r1", "nightly"), ("r2", "twice"), ("r3", "twice")]
    gateway.on("GET import-rules", {"rules": [{"rule_id": found, "name": name} for found, name in rules]})
    assert rule_id(client, "nightly") == "r1"
    with pytest.raises(NotFoundHere, match="several rules are named 'twice', give the id of one: r2, r3"):
        rule_id(client, "twice")
