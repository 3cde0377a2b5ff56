"""What commands send, what they show when a task ends badly, and what of a reply they choose to show."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.calls import convert, evaluate, imports, version
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.shapes import CompetitionOrder, GalleryOrder

from .conftest import Scripted, Streams
from .gateway_replies import (
    COMPETITION,
    CONVERSION,
    DATASET,
    ENTRY,
    EVALUATION,
    MODEL,
    NOW,
    REFUSED_MODEL,
    conversion,
    entry,
    failed_proof,
    model,
    result_view,
    runs,
)


def test_what_is_sent(
    yard: Scripted, run: Callable[..., Any], package: Path, tmp_path: Path, no_pauses: list[float]
) -> None:
    options = ["--option", "per_channel=true", "--option", "method=min max", "--tolerance", "max_rel_error=0.5"]
    options += ["--tolerance", "roles.boxes.min_cosine=0.5", "--tolerance", "outputs.a.b.max_rel_error=2"]
    run("convert", "digits", "--to", "onnx-int8-static", *options)
    assert yard.last("POST").body == {
        "model_id": MODEL,
        "order": {
            "target": "onnx-int8-static",
            "options": {"per_channel": True, "method": "min max"},
            "tolerance": {
                **{"max_rel_error": 0.5, "min_cosine": 0.99, "min_top1_agreement": 0.98},
                "roles": {"boxes": {"min_cosine": 0.5}},
                "outputs": {"a.b": {"max_rel_error": 2}},
            },
        },
    }
    run("competitions", "create", "--title", "T", "--dataset", DATASET, "--deadline", "2027-01-31")
    assert yard.last("POST").body["deadline"] == 1_801_353_600_000
    training = ["training", "complete", "--job-name", "j", "--output", "s3://training/j/V002", "--job-version", "V002"]
    given = ["--metric", "accuracy=0.5", "--parameter", "layers=[1,2]", "--parameter", "name=x", "--event-id", "e"]
    run(*training, *given, "--dataset-uri", "s3://d/", "--repository", "r", "--commit", "c")
    event = yard.last("POST").body
    assert (event["id"], event["project"], event["specversion"], event["subject"]) == ("e", "p1", "1.0", "j")
    assert event["data"]["output"] == {"bucket": "training", "prefix": "j/V002/"}
    assert event["data"]["parameters"] == {"layers": [1, 2], "name": "x"}
    TrainingCompleted.model_validate(event["data"], extra="forbid")
    steps = ["--convert", "openvino-fp16", "--evaluate", DATASET, "--gallery", "--competition", COMPETITION]
    run("rules", "create", "--name", "n", "--job-name", "j", "--model-name", "m", *steps)
    body = yard.last("POST").body
    assert imports.CreateRule.model_validate(body).plan.publish == (
        GalleryOrder(),
        CompetitionOrder(competition_id=COMPETITION),
    )
    plan = tmp_path / "plan.json"
    plan.write_text('{"convert": []}')
    run("rules", "create", "--name", "n", "--job-name", "j", "--model-name", "m", "--plan", str(plan))
    assert yard.last("POST").body["plan"] == {"convert": []}
    run("import", str(package), "--name", "digits")
    assert yard.last("POST").body == {"model_name": "digits", "description": "", "labels": [], "upload_id": "u 1"}
    sent = next(asked.body for asked in yard.asked if asked.path == "uploads")
    assert {each["path"] for each in sent["files"]} == {"config.json", "digits.onnx"}


def test_a_failed_import_shows_every_problem(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on(f"GET models/{MODEL}", REFUSED_MODEL)
    ended = run("import", "s3://training/x/", "--name", "digits")
    assert ended.code == 1
    assert ended.err.splitlines() == ["failed: digits 0.0.1 was not imported"]
    assert ended.out.count("must not be [empty]") == ended.out.count("no model file") == 1
    ended = run("import", "s3://training/x/", "--name", "digits", "--json")
    assert (ended.code, ended.json["model_status"]) == (1, "failed")
    assert ended.err.splitlines()[1:] == ["  • config.json labels: must not be [empty]", "  • request: no model file"]


def test_a_failed_conversion_shows_its_numbers(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on(f"GET conversions/{CONVERSION}", conversion("failed", reason="cosine 0.5 is below 0.99"))
    ended = run("convert", "digits", "--to", "onnx-int8-static")
    assert (ended.code, ended.err) == (1, "failed: cosine 0.5 is below 0.99\n")
    assert "1.2e-03" in ended.out


def test_a_failed_conversion_shows_why_and_what_is_left(yard: Scripted, run: Callable[..., Any]) -> None:
    kept = conversion("failed", reason="top class", kept_until=NOW, artifact=failed_proof())
    yard.on(f"GET conversions/{CONVERSION}", kept)
    shown = run("conversions", "show", CONVERSION).out
    rows = [line.split() for line in shown.splitlines()]
    assert ["scores", "scores", "top", "class", "0.5", "≥", "0.97", "0.1", "sample", "17"] in rows
    assert ["ids", "classes", "bit", "for", "bit", "–", "–", "–", "–"] in rows
    assert ["size", "29.3", "KiB", "→", "29.3", "KiB"] in rows
    assert "left in float: 2 GRU" in shown
    assert f"The result is kept until 2026-11-18 11:06 UTC: modelyard conversions result {CONVERSION}" in shown


def test_a_rejected_entry(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on(f"GET entries/{ENTRY}", entry("rejected", reason="the model crashed"))
    ended = run("publish", "digits", "--to", "competition", "--competition", COMPETITION)
    assert (ended.code, ended.err) == (1, "failed: the model crashed\n")
    assert "rejected" in ended.out


def test_a_failed_evaluation(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on(f"GET evaluations/{EVALUATION}", runs("failed"))
    ended = run("evaluate", "digits", "--dataset", DATASET)
    assert (ended.code, ended.out, ended.err) == (1, "", "failed: the model wants 64 numbers, not an image\n")


def test_versions_that_could_not_be_deleted(yard: Scripted, run: Callable[..., Any]) -> None:
    kept = version.DeleteFailure(
        model_id=MODEL, error_code="ModelArts.3009", error_msg="in use", error_message="alias champion points at it"
    )
    yard.on(f"DELETE models/{MODEL}", version.DeleteReport(delete_success_list=(), delete_failed_list=(kept,)))
    ended = run("models", "delete", MODEL, "--yes", "--cascade")
    assert ended.code == 1
    assert "kept: alias champion points at it" in ended.out
    assert yard.last("DELETE").query == {"cascade": "true"}


@pytest.mark.parametrize(("answer", "code"), [("", 1), ("n\n", 1), ("y\n", 0)])
@pytest.mark.parametrize(("group", "named"), [("models", MODEL), ("datasets", "digits-held-out")])
def test_deleting_asks_first_also_for_json(
    yard: Scripted,
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    group: str,
    named: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ended = run(group, "delete", named, "--json")
    assert ended.code == code
    assert "?" in ended.err
    assert any(asked.method == "DELETE" for asked in yard.asked) is (code == 0)
    assert not ended.out.strip() or named in str(ended.json)


def test_a_log_that_grows(yard: Scripted, run: Callable[..., Any], streams: Streams) -> None:
    pieces = [("one\n", 4, False), ("two\n", 8, False), ("three\n", 14, True)]
    yard.on(
        f"GET conversions/{CONVERSION}/log",
        *(convert.LogPiece(text=text, next_offset=end, complete=done) for text, end, done in pieces),
    )
    yard.on(f"GET conversions/{CONVERSION}/progress", streams.of("data: {}\n\n", "data: {}\n\n"))
    assert run("conversions", "log", CONVERSION, "--follow").out == "one\ntwo\nthree\n"
    assert yard.asked[-1].query == {"offset": "8"}


def test_many_classes_show_the_weakest_and_the_mistakes(yard: Scripted, run: Callable[..., Any]) -> None:
    path = f"GET evaluations/{EVALUATION}/versions/V0001/result"
    yard.on(path, result_view([f"class-{number:03}" for number in range(120)]))
    shown = run("evaluations", "show", EVALUATION).out
    assert "The 20 weakest of 120 classes" in shown
    assert "class-119" in shown
    assert "class-090" not in shown
    assert "Most frequent mistakes" in shown
    yard.on(path, result_view([f"a long class name {number}" for number in range(6)]))
    assert "Most frequent mistakes" in run("evaluations", "show", EVALUATION).out


def test_a_hidden_dataset_shows_headlines_only(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on(f"GET evaluations/{EVALUATION}/versions/V0001/result", result_view(hidden=True))
    shown = run("evaluations", "show", EVALUATION).out
    assert "0.9722" in shown
    assert "Classes" not in shown
    assert "onfusion" not in shown


def test_the_cost_of_each_conversion(yard: Scripted, run: Callable[..., Any]) -> None:
    lines = [line.rstrip() for line in run("evaluations", "compare", EVALUATION).out.splitlines()]
    assert lines[0] == "Comparison with V0001"
    assert [line.split() for line in lines[3:]] == [
        ["V0001", "source", "350/360", "0.9583", "0.932–0.974"],
        ["V0002", "onnx-int8-static", "345/360", "0.9583", "0.932–0.974", "+5", "+1.39"],
        ["V0003", "openvino-fp16", "345/360", "0.9583", "0.932–0.974", "-1", "-0.28", "noise"],
        ["V0004", "openvino-fp16", "345/360", "0.9583", "0.932–0.974", "n/a", "n/a"],
    ]
    yard.on(f"GET evaluations/{EVALUATION}/comparison", evaluate.Comparison(rows=()))
    assert run("evaluations", "compare", EVALUATION).code == 0


def test_a_version_shows_the_publications_that_were_refused(yard: Scripted, run: Callable[..., Any]) -> None:
    assert "refused" not in run("models", "show", MODEL).out
    listing = version.RefusedPublication(
        channel="gallery", publication_id="l", code="ModelArts.3071", reason="it is listed already"
    )
    entry = version.RefusedPublication(
        channel="competition", publication_id="e", competition_id="co-1", reason="the competition closed"
    )
    yard.on(f"GET models/{MODEL}", model(refused=(listing, entry)))
    shown = [" ".join(line.split()) for line in run("models", "show", MODEL).out.splitlines()]
    assert "refused gallery: it is listed already (ModelArts.3071)" in shown
    assert "refused competition co-1: the competition closed" in shown


def test_what_others_wrote_cannot_steer_the_terminal(yard: Scripted, run: Callable[..., Any]) -> None:
    bad = model(model_name="x", description="[red]a[/] \x1b[2J b\\[c]", in_use=(), artifacts=(), evaluations=())
    yard.on(f"GET models/{MODEL}", bad)
    shown = run("models", "show", MODEL).out
    assert "[red]a[/] �[2J b\\[c]" in shown
    assert "\x1b" not in shown
