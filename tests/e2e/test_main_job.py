"""A training job says over NATS that it is done; everything else follows with nobody pressing a button."""

import asyncio
import json
import re
from typing import Any

import nats
import pytest

from modelyard_testkit.main_job import TARGETS, MainJob, Outcome, fact_of, splits, trained
from modelyard_testkit.yard import Yard
from modelyard_testkit.yard_inside import events

pytestmark = [pytest.mark.e2e, pytest.mark.servers]


@pytest.fixture(scope="module")
def outcome(yard: Yard, main_job: MainJob) -> Outcome:
    asyncio.run(_say(yard.details, main_job.event()))
    return main_job.finish()


async def _say(details: dict[str, Any], event: dict[str, Any]) -> None:
    """With nats-py alone, as docs/training-events.md shows."""
    who = details["nats_credentials"]
    client = await nats.connect(
        details["nats_url"], user=who["user"], password=who["password"], inbox_prefix="_INBOX_training"
    )
    payload, headers = json.dumps(event).encode(), {"Nats-Msg-Id": event["id"]}
    first = await client.jetstream().publish(event["type"], payload, headers=headers)
    again = await client.jetstream().publish(event["type"], payload, headers=headers)
    await client.close()
    assert (first.duplicate or False, again.duplicate) == (False, True)


def test_everything_happens_once(main_job: MainJob, outcome: Outcome) -> None:
    main_job.judge(outcome)


def test_version_knows_where_it_comes_from(main_job: MainJob, outcome: Outcome) -> None:
    said, training = main_job.event()["data"], outcome.model["training"]
    assert (outcome.model["model_name"], outcome.model["model_version"]) == ("digits", "0.0.1")
    for name in ("job_id", "job_name", "job_version", "framework", "metrics", "parameters", "dataset", "code"):
        assert training[name] == said[name], name
    lineage = main_job.client.get(f"models/{outcome.model['model_id']}/lineage")
    kinds = {node["id"]: node["kind"] for node in lineage["nodes"]}
    assert set(kinds.values()) == {
        "dataset", "code", "training-job", "version", "artifact", "evaluation", "listing", "entry",
    }  # fmt: skip
    assert {edge[end] for edge in lineage["edges"] for end in ("source", "target")} == kinds.keys()


def test_artifacts_come_with_their_proof(outcome: Outcome) -> None:
    artifacts = {artifact["target"]: artifact for artifact in outcome.model["artifacts"]}
    for target in TARGETS:
        parity, benchmark = artifacts[target]["parity"], artifacts[target]["benchmark"]
        assert (parity["verdict"], parity["inputs"]) == ("passed", "calibration")
        (scores,) = parity["outputs"]
        assert scores["cosine"] > scores["control_cosine"], "the control shows that the comparison can fail"
        assert scores["top1_agree"] / parity["samples"] >= parity["tolerance"]["min_top1_agreement"]
        for side in ("source", "result"):
            assert 0 < benchmark[side]["median_ms"] <= benchmark[side]["p95_ms"]
    assert artifacts["onnx-int8-static"]["size"] < artifacts["source"]["size"]


def test_evaluations_agree_with_the_training_job(main_job: MainJob, outcome: Outcome) -> None:
    path = f"evaluations/{outcome.evaluation['evaluation_id']}/versions"
    results = {
        run["target"]: main_job.client.get(f"{path}/{run['version']}/result") for run in outcome.evaluation["versions"]
    }
    held_out = splits()[1]
    source = results["source"]["run"]["metrics"]["accuracy"]
    assert source == pytest.approx(trained().accuracy, abs=1e-9)
    for target, result in results.items():
        counts = result["result"]["confusion_matrix"]["counts"]
        assert sum(map(sum, counts)) == len(held_out.labels) == result["run"]["samples"]
        assert sum(counts[place][place] for place in range(10)) / len(held_out.labels) == pytest.approx(
            result["run"]["metrics"]["accuracy"]
        )
        assert result["run"]["metrics"]["accuracy"] > source - 0.02, target
        assert {plot["media_type"] for plot in result["plots"]} >= {"image/png"}


def test_gallery_and_leaderboard_show_it(main_job: MainJob, outcome: Outcome) -> None:
    card = outcome.listing["card"]
    assert outcome.listing["model_id"] == outcome.model["model_id"]
    for fact in ("digits", "0.0.1", *TARGETS):
        assert fact in card
    (row,) = outcome.rows
    assert (row["rank"], row["model_version"], row["project"]) == (1, "0.0.1", main_job.project)
    assert 0.8 < row["score"] <= 1


def test_one_correlation_id_from_the_training_event_to_the_leaderboard(
    yard: Yard, main_job: MainJob, outcome: Outcome
) -> None:
    said = [event for event in events(yard, "main") if event.get("correlationid") == main_job.correlationid]
    facts = [fact_of(event) for event in said]
    assert facts[0] == "training.completed"
    assert "publication.entry-scored" in facts
    log = (yard.data / "modelyard.log").read_text("utf-8").splitlines()
    lines = [json.loads(line) for line in log if line.startswith("{")]
    assert any(line.get("correlationid") == main_job.correlationid for line in lines)


def test_no_secret_in_log_or_events(yard: Yard, main_job: MainJob, outcome: Outcome) -> None:
    """After links were made, a token was drawn and requests were refused, all of which could have been written down."""
    made = main_job.client.post("tokens", {"name": "looked-for", "role": "reader"})
    links = main_job.client.get(f"models/{outcome.model['model_id']}/files")["files"]
    upload = main_job.client.post("uploads", {"files": [{"path": "a", "size": 1}]})
    yard.http("GET", "/v1/main/models", headers={"Authorization": "Bearer " + "my_wrong-but-secret"})
    yard.http("GET", f"/v1/main/models?token={made['token']}")
    signatures = {_signature(url) for url in (*(link["url"] for link in links), *upload["files"][0]["urls"])}
    kept = json.loads((yard.data / "credentials.json").read_text("utf-8"))
    secrets = {
        kept["operator_token"], kept["access_master_key"], kept["s3_secret_key"], *kept["nats"].values(),
        main_job.client.connection.token, made["token"], "my_wrong-but-secret", *signatures,
    }  # fmt: skip
    places = {path.name: path.read_text("utf-8", errors="replace") for path in yard.data.rglob("*.log")}
    assert {"modelyard.log", "up.log"} <= places.keys()
    places["the events stream"] = json.dumps(events(yard))
    leaks = {(name, secret[:8]) for name, text in places.items() for secret in secrets if secret in text}
    assert leaks == set()


def _signature(url: str) -> str:
    found = re.search(r"X-Amz-Signature=([0-9a-f]+)", url)
    assert found
    return found[1]
