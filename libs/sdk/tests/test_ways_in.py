"""What each way in sends, and what is said when something is missing or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.calls import imports

from .conftest import Scripted
from .gateway_replies import JOB, MODEL, TRAINING_JOB, model, page, uid
from .register_replies import SCAN, TEMPLATE, TEMPLATES

NAMED = {"model_name": "digits", "description": "", "labels": []}


def test_what_is_sent(yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "Image", "model_algorithm": "算法"}')
    template = ("import", "template", "onnx", "--input", "model_folder=s3://b/x/")
    image = ("import", "image", "ghcr.io/team/app:1.4", "--config")
    sent: dict[tuple[str, ...], dict[str, Any]] = {
        ("import", "s3://b/x/"): {"source_location": "s3://b/x/"},
        ("import", "storage", "s3://b/x/", "--by-reference"): {"source_location": "s3://b/x/", "source_copy": False},
        ("import", "training", "digits-mlp"): {"training_job_id": JOB},
        template: {
            "template": {
                "template_id": "onnx",
                "template_inputs": [{"input_id": "model_folder", "input": "s3://b/x/"}],
            }
        },
        (*image, "s3://b/app/config.json"): {
            "image": {"reference": "ghcr.io/team/app:1.4", "config_location": "s3://b/app/config.json"}
        },
        (*image, str(config), "--platform", "linux/arm64"): {
            "image": {
                "reference": "ghcr.io/team/app:1.4",
                "config": {"model_type": "Image", "model_algorithm": "算法"},
                "platform": "linux/arm64",
            }
        },
    }
    for command, source in sent.items():
        assert run(*command, "--name", "digits", "--json").code == 0
        assert yard.last("POST").body == NAMED | source, command
    run(*template, "--name", "digits", "--mode", "undefined", "--label", "a", "--doc", "卡片=https://x.org/=")
    body = yard.last("POST").body
    assert body["template"]["infer_format"] == "undefined"
    assert (body["labels"], body["model_docs"]) == (["a"], [{"doc_name": "卡片", "doc_url": "https://x.org/="}])


def test_the_name_of_a_training_job_is_a_name(yard: Scripted, run: Callable[..., Any]) -> None:
    run("import", "training", JOB, "--no-wait")
    assert yard.last("POST").body["model_name"] == "digits-mlp"


def runs(*ended: tuple[str, str]) -> Any:
    made = [
        TRAINING_JOB.model_copy(
            update={
                "training_job_id": uid(80 + number),
                "status": status,
                "training": TRAINING_JOB.training.model_copy(update={"job_version": version}),
            }
        )
        for number, (version, status) in enumerate(ended)
    ]
    return page(imports.TrainingJobPage, "training_jobs", *made)


def test_several_finished_runs_are_choices(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on("GET training-jobs", runs(("V003", "completed"), ("V002", "failed"), ("V001", "completed")))
    ended = run("import", "training", "digits-mlp")
    assert (ended.code, ended.out) == (2, "")
    assert "has 2 finished runs; name its version, its id, or --latest" in ended.err
    assert f"digits-mlp V003  {uid(80)}  accuracy=0.9722" in ended.err
    assert "V002" not in ended.err
    assert run("import", "training", "digits-mlp", "--latest").code == 0
    assert yard.last("POST").body["training_job_id"] == uid(80)
    yard.on("GET training-jobs", runs(("V002", "failed"), ("V001", "stopped")))
    assert "has finished well: V002 failed, V001 stopped" in run("import", "training", "digits-mlp").err
    yard.on("GET training-jobs", runs())
    ended = run("import", "training", "digits-mlp", "V009")
    assert "no training run of 'digits-mlp' V009" in ended.err
    assert yard.asked[-2].query == {"job_name": "digits-mlp", "job_version": "V009"}
    yard.on("GET training-jobs", runs(), runs(("V001", "completed")))
    assert "did you mean 'digits-mlp'?" in run("import", "training", "digits-mpl").err


def test_two_runs_of_one_name_and_number_are_told(
    yard: Scripted, run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    yard.on("GET training-jobs", runs(("V001", "completed"), ("V001", "completed")))
    ended = run("import", "training", "digits-mlp", "V001")
    assert "'digits-mlp' V001 has 2 finished runs; name the id of one, or --latest" in ended.err
    yard.on(f"GET training-jobs/{uid(80)}", TRAINING_JOB)
    run("training", "show", "digits-mlp", "V001")
    assert f"2 runs are called digits-mlp V001; this is the newest, the others are {uid(81)}" in caplog.text


def test_what_is_to_be_copied_stands_on_one_line(yard: Scripted, run: Callable[..., Any]) -> None:
    fresh = TRAINING_JOB.model_copy(update={"imports": (), "refusals": ()})
    yard.on("POST training-jobs/events", fresh)
    shown = run("training", "complete", "--job-name", "digits-mlp", "--output", "s3://training/digits/V001/").out
    assert "without a rule: modelyard import training digits-mlp V001 --name NAME\n" in shown


def test_a_template_by_name(yard: Scripted, run: Callable[..., Any]) -> None:
    other = TEMPLATE.model_copy(update={"template_id": "own"})
    yard.on("GET models/template", TEMPLATES.model_copy(update={"templates": (TEMPLATE, other)}))
    assert "several templates are named 'ONNX-通用'" in run("templates", "show", "ONNX-通用").err
    assert "no template 'x'; see 'modelyard templates list'" in run("templates", "show", "x").err


def test_a_template_from_a_file(yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text(json.dumps({"template_name": "通用"}))
    run("templates", "create", str(file))
    assert yard.last("POST").body == {"template_name": "通用"}
    file.write_text("[]")
    assert "holds no JSON object" in " ".join(run("templates", "create", str(file)).err.replace("│", " ").split())


def test_what_a_scan_found_is_shown(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on(f"GET models/{MODEL}", model(scan=SCAN))
    shown = run("models", "show", MODEL).out
    assert "model/weights.pkl  suspicious  imports [torch.load]  pickle-global" in shown
    assert "2 of 4 files whole, 1 at both ends only, 1 by name and size only" in shown
    assert ["model/weights.bin", "17.0", "MiB"] in [line.split()[:3] for line in shown.splitlines()]


def test_a_refused_import_shows_its_problems(yard: Scripted, run: Callable[..., Any]) -> None:
    problems = [
        {"file": "model/config.json", "field": "runtime", "rule": "known runtime", "message": "'tf9' is no runtime"},
        {"file": "model/a.pkl", "field": None, "rule": "pickle-global", "message": "runs os.system"},
    ]
    failure = {"code": "ModelArts.3015", "reason": "the package has 2 problems", "problems": problems}
    yard.on(f"GET models/{MODEL}", model(model_status="failed", failure=failure, artifacts=()))
    ended = run("import", "s3://b/x/", "--name", "digits")
    assert ended.code == 1
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["model/config.json", "runtime", "'tf9'", "is", "no", "runtime", "(known", "runtime)"] in lines
    assert ["model/a.pkl", "–", "runs", "os.system", "(pickle-global)"] in lines


@pytest.mark.parametrize("silent", [["--json"], []])
def test_progress_without_a_terminal(
    yard: Scripted, run: Callable[..., Any], package: Path, monkeypatch: pytest.MonkeyPatch, silent: list[str]
) -> None:
    monkeypatch.setattr("modelyard.cli.progress._EVERY", 0.0)
    command = ("import", "upload", str(package), "--name", "digits", *silent)
    said = run(*command).err
    assert ("uploading digits: 4.9 KiB of 4.9 KiB" in said, "done in" in said) == ((not silent), (not silent))
    assert run("--quiet", *command).err == ""
    assert silent or "going on, 4.9 KiB of 4.9 KiB are there already" in run(*command).err


def test_how_far_an_import_is(yard: Scripted, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.cli.progress._EVERY", 0.0)
    path = f"GET models/{MODEL}"
    yard.on(path, *[model(model_status="publishing", artifacts=())] * 4, model())
    view = {"state": "running", "attempt": 2, "total_bytes": None, "copied_bytes": 0, "waits_for": None}
    away = "registry ghcr.io does not answer: timed out"
    copied = view | {"total_bytes": 4096, "copied_bytes": 1024}
    yard.on(f"{path}/import", 404, view, view | {"waits_for": away}, copied)
    lines = run("import", "s3://b/x/", "--name", "digits").err.splitlines()
    begin = "importing digits 0.0.1: "
    again = f"tries again, 2 so far: {away}"
    assert lines == [begin + text for text in ("waiting", "running", again, "1.0 KiB of 4.0 KiB", "published")]
    yard.asked.clear()
    run("import", "s3://b/x/", "--name", "digits", "--json")
    assert not [asked for asked in yard.asked if asked.path.endswith("/import")]
