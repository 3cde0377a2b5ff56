"""Every command once: as a table of 80 columns, and as JSON. The replies are the contract's own shapes."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from modelyard_contracts.calls import convert, evaluate, imports, publish, version
from modelyard_contracts.shapes import (
    Artifact,
    Benchmark,
    CodeRef,
    CompetitionOrder,
    ConversionOrder,
    DatasetRef,
    EvaluationOrder,
    FileEntry,
    GalleryOrder,
    Inspection,
    Location,
    OutputParity,
    Parity,
    Plan,
    Signature,
    StorageSource,
    Timing,
    Tolerance,
    TrainingRef,
)

NOW = 1_795_000_000_000  # 2026-11-18
PLACE = Location(bucket="training", prefix="digits/V001/")
DIGITS = [str(digit) for digit in range(10)]


def uid(number: int) -> str:
    return f"0197f3a2-0000-7000-8000-{number:012}"


MODEL, CONVERSION, EVALUATION, DATASET, LISTING, COMPETITION, ENTRY, RULE, JOB = map(uid, range(1, 10))
TOLERANCE = Tolerance(max_rel_error=0.1, min_cosine=0.99, min_top1_agreement=0.98)
TRAINING = TrainingRef(
    job_id="digits-mlp",
    job_name="digits-mlp",
    job_version="V001",
    framework="scikit-learn",
    metrics={"accuracy": 0.9722},
    parameters={"hidden_layers": [128, 64], "seed": 7},
    dataset=DatasetRef(uri="s3://datasets/digits/", digest="sha256:" + "12" * 32),
    code=CodeRef(repository="https://example.org/digits", commit="ab" * 20),
)
PLAN = Plan(
    convert=(ConversionOrder(target="openvino-fp16"), ConversionOrder(target="onnx-int8-static")),
    evaluate=(EvaluationOrder(dataset_id=DATASET),),
    publish=(GalleryOrder(), CompetitionOrder(competition_id=COMPETITION)),
)


def artifact(target: str, number: int) -> Artifact:
    proof: dict[str, Any] = {}
    if target != "source":
        output = OutputParity(
            name="scores",
            max_abs_error=1e-3,
            mean_abs_error=1e-4,
            max_rel_error=0.00123,
            cosine=0.9999,
            control_cosine=0.1,
            top1_agree=299,
            control_top1_agree=30,
        )
        timing = Timing(runtime="onnxruntime 1.31.1", median_ms=0.0512, p95_ms=0.09, cpu_ms=0.05, size=30_000)
        proof = {
            "parity": Parity(
                verdict="inconclusive",
                reason="few samples",
                inputs="calibration",
                samples=300,
                tolerance=TOLERANCE,
                outputs=(output,),
            ),
            "benchmark": Benchmark(
                source=timing, result=timing, threads=1, batch=1, warmup=5, runs=50, load=3.0, noisy=number == 12
            ),
        }
    return Artifact(
        artifact_id=uid(number),
        kind="source" if target == "source" else "conversion",
        format="ONNX",
        target=target,
        location=PLACE,
        files=(FileEntry(path="model/digits.onnx", size=5, sha256="ab" * 32),),
        digest="sha256:" + "cd" * 32,
        size=76_543,
        inspection=Inspection(format="ONNX", signature=Signature(inputs=(), outputs=())),
        created_at=NOW,
        **proof,
    )


ARTIFACTS = (artifact("source", 10), artifact("onnx-int8-static", 11), artifact("openvino-fp16", 12))


def model(**fields: Any) -> version.VersionView:
    evaluations = tuple(
        version.EvaluationSummary(
            evaluation_id=EVALUATION,
            version=f"V000{number}",
            run_id=uid(20 + number),
            artifact_id=each.artifact_id,
            target=each.target,
            dataset_id=DATASET,
            samples=360,
            metrics={"accuracy": 0.9722, "f1": 0.9721, "auc": 0.9991},
        )
        for number, each in enumerate(ARTIFACTS, 1)
    )
    values: dict[str, Any] = {
        "model_id": MODEL,
        "model_name": "digits",
        "model_version": "0.0.1",
        "model_status": "published",
        "model_type": "ONNX",
        "model_size": 76_543,
        "description": "手写数字",
        "labels": ("demo",),
        "source_type": None,
        "workspace_id": None,
        "aliases": ("champion",),
        "create_at": NOW,
        "created_by": "rule:nightly",
        "project": "p1",
        "source": StorageSource(location=PLACE),
        "model_docs": (),
        "install_type": ("edge",),
        "specification": version.Specification(),
        "config": None,
        "artifacts": ARTIFACTS,
        "evaluations": evaluations,
        "training": TRAINING,
        "plan": PLAN,
        "failure": None,
        "in_use": (f"entered in competition {COMPETITION}, open until 2027-01-31 12:00 UTC",),
        "updated_at": NOW,
    }
    return version.VersionView(**values | fields)


FAILURE = {
    "code": "ModelArts.3015",
    "reason": "the package has 2 problems",
    "problems": [
        {"file": "config.json", "field": "labels", "message": "must not be [empty]"},
        {"file": None, "field": None, "message": "no model file"},
    ],
}
REFUSED_MODEL = model(model_status="failed", failure=FAILURE, artifacts=(), evaluations=(), training=None, in_use=())


def conversion(state: str, **fields: Any) -> convert.ConversionView:
    values: dict[str, Any] = {
        "conversion_id": CONVERSION,
        "model_id": MODEL,
        "model_name": "digits",
        "model_version": "0.0.1",
        "name": "",
        "description": "",
        "order": ConversionOrder(target="onnx-int8-static"),
        "toolchain": "onnx",
        "origin": "request",
        "state": state,
        "attempt": 1,
        "progress": "quantising" if state == "running" else None,
        "code": None,
        "reason": None,
        "artifact": ARTIFACTS[1].model_dump(mode="json") if state in {"succeeded", "failed"} else None,
        "created_at": NOW,
        "finished_at": None,
    }
    return convert.ConversionView(**values | fields)


TARGET = convert.TargetView(
    target="onnx-int8-static",
    toolchain="onnx",
    source_formats=("ONNX",),
    result_format="ONNX",
    description="8-bit integers, scales from calibration data",
    options_schema={"properties": {"per_channel": {"type": "boolean"}, "method": {"type": "string"}}},
    default_tolerance=TOLERANCE,
    offered=True,
)


def runs(state: str = "succeeded") -> evaluate.EvaluationView:
    done = state == "succeeded"
    run = evaluate.RunView(
        run_id=uid(21),
        version="V0001",
        state=state,  # type: ignore[arg-type]  # the tests name real states
        attempt=1,
        artifact_id=uid(10),
        target="source",
        dataset_id=DATASET,
        samples_done=360 if done else 12,
        samples=360,
        metrics={"accuracy": 0.9722, "f1": 0.97, "auc": 0.9991} if done else {},
        code=None,
        reason="the model wants 64 numbers, not an image" if state == "failed" else None,
        created_at=NOW,
        finished_at=None,
    )
    return evaluate.EvaluationView(evaluation_id=EVALUATION, name="digits-held-out", model_id=MODEL, versions=(run,))


def result(labels: list[str], hidden: bool = False) -> dict[str, Any]:
    """As services/evaluate writes it (docs/evaluation.md)."""
    rows = [
        {"label": label, "precision": 0.95, "recall": 1.0 - place / 1000, "f1": 0.97 - place / 1000, "support": 36}
        | {"correct": 35, "predicted": 36, "auc": None if place == 3 else 0.999}
        for place, label in enumerate(labels)
    ]
    counts = [
        [35 if row == column else int(row + 1 == column) for column in range(len(labels))] for row in range(len(labels))
    ]
    small = not hidden and len(labels) <= 100
    return {
        "task": "image-classification",
        "samples": 360,
        "correct": 350,
        "metrics": {"accuracy": 0.9722},
        "summary": ["350 of 360 samples are right: 97.22 % (95 % interval 94.99–98.48 %)"],
        "class_count": len(labels),
        "classes": [] if hidden else rows,
        "confusion_matrix": {
            "labels": labels if small else [],
            "counts": counts if small else [],
            "omitted": not small,
        },
        "most_confused": [] if hidden else [{"truth": labels[0], "predicted": labels[1], "samples": 4}],
        "roc": [],
        "misclassified": [],
    }


def result_view(labels: list[str] | None = None, hidden: bool = False, plots: tuple[Any, ...] = ()) -> Any:
    return evaluate.ResultView(run=runs().versions[0], result=result(labels or DIGITS, hidden), plots=plots)


def compared(number: int, target: str, **fields: Any) -> dict[str, Any]:
    cost = {"percentage_points": 1.3889, "samples": 5, "within_noise": False, "text": "+5 of 360 samples"}
    return {
        "version": f"V000{number}",
        "run_id": uid(20 + number),
        "target": target,
        "artifact_id": uid(9 + number),
        "dataset_id": DATASET,
        "samples": 360,
        "correct": 345,
        "accuracy_low": 0.9321,
        "accuracy_high": 0.9735,
        "accuracy": 0.9583,
        "precision": 0.95,
        "recall": 0.95,
        "f1": 0.95,
        "auc": 0.99,
        "reference": "V0001",
        "cost": cost,
    } | fields


COMPARISON = evaluate.Comparison(
    rows=(
        compared(1, "source", correct=350, cost={"percentage_points": 0.0, "samples": 0, "within_noise": True}),
        compared(2, "onnx-int8-static"),
        compared(3, "openvino-fp16", cost={"percentage_points": -0.2778, "samples": -1, "within_noise": True}),
        compared(4, "openvino-fp16", cost=None, auc=None),
    )
)
HELD_OUT = evaluate.DatasetView(
    dataset_id=DATASET,
    name="digits-held-out",
    kind="image-folder",
    location=Location(bucket="datasets", prefix="digits/held-out/"),
    hidden=False,
    classes=dict.fromkeys(DIGITS, 36),
    samples=360,
    size=40_000,
    digest="sha256:" + "ef" * 32,
    created_at=NOW,
    created_by="alice",
)
SUMMARY: dict[str, Any] = {
    "listing_id": LISTING,
    "project": "vision-team",
    "model_id": MODEL,
    "model_name": "digits",
    "model_version": "0.0.1",
    "title": "Handwritten digits, small and exact",
    "description": "",
    "created_at": NOW,
    "created_by": "alice",
}
CARD = "# Handwritten digits\n\n| fact | value |\n|---|---|\n| name | digits |\n"
COMPETITION_VIEW = publish.CompetitionView(
    competition_id=COMPETITION,
    project="vision-team",
    title="Read the digits that nobody saw",
    description="who reads best",
    metric="accuracy",
    deadline=NOW,
    entries_per_day=5,
    open=True,
    entries=12,
    created_at=NOW,
    created_by="alice",
)


def entry(state: str, **fields: Any) -> publish.EntryView:
    values: dict[str, Any] = {
        "entry_id": ENTRY,
        "competition_id": COMPETITION,
        "project": "p1",
        "model_id": MODEL,
        "model_name": "digits",
        "model_version": "0.0.1",
        "artifact_id": uid(10),
        "state": state,
        "score": 0.9694 if state == "scored" else None,
        "reason": None,
        "submitted_at": NOW,
        "submitted_by": "alice",
    }
    return publish.EntryView(**values | fields)


BOARD = publish.Leaderboard(
    competition_id=COMPETITION,
    title=COMPETITION_VIEW.title,
    metric="accuracy",
    rows=tuple(
        publish.LeaderboardRow(
            rank=rank,
            entry_id=uid(40 + rank),
            project="vision-team",
            model_name="digits",
            model_version=f"0.0.{rank}",
            score=1 - rank / 100,
            submitted_at=NOW,
        )
        for rank in (1, 2, 2, 4)
    ),
)
TRAINING_JOB = imports.TrainingJobView(
    training_job_id=JOB,
    status="completed",
    training=TRAINING,
    output=PLACE,
    imports=({"rule_id": RULE, "model_id": MODEL},),
    refusals=({"rule_id": RULE, "reason": "accuracy 0.97 does not reach 0.99"},),
    received_at=NOW,
)
RULE_VIEW = imports.RuleView(
    rule_id=RULE,
    name="nightly",
    job_name="digits-*",
    min_metrics={"accuracy": 0.9},
    model_name="digits",
    plan=PLAN,
    created_at=NOW,
    created_by="alice",
)
LETTER = {
    "sequence": 7,
    "subject": "modelyard.evt.evaluation.succeeded.v1",
    "consumer": "publish-events",
    "reason": "no entry '0197f3a2-0000-7000-8000-000000000099' in project 'p1'",
    "deliveries": 1,
    "time": "2026-11-22T22:13:20.123+00:00",
    "payload": None,
}
TOKENS = [{"name": "laptop", "project": "p1", "role": "writer", "created_at": NOW, "created_by": "alice"}]


def page(kind: type[Any], name: str, *views: Any) -> Any:
    return kind(total_count=len(views) + 1, count=len(views), **{name: views})


@pytest.fixture
def yard(gateway: Any) -> Any:
    """A gateway that knows one of everything."""
    gateway.on("GET models", page(version.VersionPage, "models", summary_of(model())))
    gateway.on(f"GET models/{MODEL}", model())
    files = version.FileLinks(
        model_id=MODEL,
        artifact_id=uid(12),
        digest="sha256:" + "cd" * 32,
        files=(version.FileLink(**gateway.keeps("a.onnx", b"x" * 2000, "model/数字.onnx")),),
        expires_at=NOW,
    )
    gateway.on(f"GET models/{MODEL}/files", files)
    gateway.on(f"GET gallery/{LISTING}/files", files)
    gateway.on(f"DELETE models/{MODEL}", version.DeleteReport(delete_success_list=(MODEL,), delete_failed_list=()))
    nodes = [
        ("ds", "dataset", "s3://datasets/digits/"),
        ("job", "training-job", "digits-mlp V001"),
        ("m", "version", "digits 0.0.1"),
    ]
    gateway.on(
        f"GET models/{MODEL}/lineage",
        version.Lineage(
            nodes=tuple(version.LineageNode(id=found, kind=kind, label=label) for found, kind, label in nodes),
            edges=(
                version.LineageEdge(source="ds", target="job", relation="trained"),
                version.LineageEdge(source="job", target="m", relation="made"),
            ),
        ),
    )
    alias = version.AliasView(
        model_name="digits", alias="champion", model_id=MODEL, model_version="0.0.1", moved_at=NOW, moved_by="alice"
    )
    gateway.on("GET model-names/digits/aliases", version.AliasList(aliases=(alias,)))
    gateway.on("PUT model-names/digits/aliases/champion", {})
    gateway.on("DELETE model-names/digits/aliases/champion", {})
    gateway.on("POST models", version.VersionCreated(model_id=MODEL, model_name="digits", model_version="0.0.1"))
    uploaded = {"upload_id": "u1", "files": [], "expires_at": NOW}
    gateway.on("POST uploads", uploaded)
    gateway.on("POST uploads/u1/complete", {})
    gateway.on("POST conversions", conversion("initialising"))
    gateway.on(f"GET conversions/{CONVERSION}", conversion("running"), conversion("succeeded"))
    gateway.on("GET conversions", page(convert.ConversionPage, "conversions", conversion("succeeded")))
    gateway.on("GET conversion-targets", convert.TargetList(targets=(TARGET,)))
    gateway.on(f"GET conversions/{CONVERSION}/log", convert.LogPiece(text="line 1\n", next_offset=7, complete=True))
    gateway.on(
        "POST conversions/delete", convert.DeletedConversions(deleted=(CONVERSION,), refused={uid(99): "it runs"})
    )
    gateway.on("GET datasets", page(evaluate.DatasetPage, "datasets", HELD_OUT))
    gateway.on(f"GET datasets/{DATASET}", HELD_OUT)
    gateway.on(f"DELETE datasets/{DATASET}", {})
    gateway.on("POST datasets", HELD_OUT)
    gateway.on("POST evaluations", runs("waiting"))
    gateway.on("GET evaluations", page(evaluate.EvaluationPage, "evaluations", runs()))
    gateway.on(f"GET evaluations/{EVALUATION}", runs("running"), runs())
    plot = evaluate.Plot(name="roc", media_type="image/png", url=gateway.keeps("roc", b"png")["url"])
    gateway.on(f"GET evaluations/{EVALUATION}/versions/V0001/result", result_view(plots=(plot,)))
    gateway.on(f"POST evaluations/{EVALUATION}/versions/V0001/stop", runs("stopped"))
    gateway.on(f"GET evaluations/{EVALUATION}/comparison", COMPARISON)
    gateway.on(f"DELETE evaluations/{EVALUATION}", {})
    gateway.on("POST gallery", publish.ListingView(**SUMMARY, card=CARD))
    gateway.on("GET gallery", page(publish.ListingPage, "listings", publish.ListingSummary(**SUMMARY)))
    gateway.on(f"GET gallery/{LISTING}", publish.ListingView(**SUMMARY, card=CARD))
    gateway.on(f"DELETE gallery/{LISTING}", {})
    gateway.on("POST competitions", COMPETITION_VIEW)
    gateway.on("GET competitions", page(publish.CompetitionPage, "competitions", COMPETITION_VIEW))
    gateway.on(f"GET competitions/{COMPETITION}", COMPETITION_VIEW)
    gateway.on(f"GET competitions/{COMPETITION}/leaderboard", BOARD)
    gateway.on(f"POST competitions/{COMPETITION}/entries", entry("submitted"))
    gateway.on(f"GET entries/{ENTRY}", entry("submitted"), entry("scored"))
    gateway.on("POST training-jobs/events", TRAINING_JOB)
    gateway.on("GET training-jobs", page(imports.TrainingJobPage, "training_jobs", TRAINING_JOB))
    gateway.on(f"GET training-jobs/{JOB}", TRAINING_JOB)
    gateway.on("POST import-rules", RULE_VIEW)
    gateway.on("GET import-rules", imports.RuleList(rules=(RULE_VIEW,)))
    gateway.on(f"DELETE import-rules/{RULE}", {})
    gateway.on("GET dead-letters", {"dead_letters": [LETTER]})
    gateway.on("GET dead-letters/7", {**LETTER, "payload": '{"id": "e-1"}'})
    gateway.on("POST dead-letters/7/replay", {})
    gateway.on("DELETE dead-letters/7", {})
    gateway.on("POST tokens", {**TOKENS[0], "token": "the-secret"})
    gateway.on("GET tokens", {"tokens": TOKENS})
    gateway.on("DELETE tokens/laptop", {})
    gateway.on("POST projects", {**TOKENS[0], "token": "the-secret"})
    return gateway


def summary_of(view: version.VersionView) -> version.VersionSummary:
    return version.VersionSummary(**view.model_dump(include=set(version.VersionSummary.model_fields)))


COMMANDS: dict[str, str] = {
    "models list --name dig --status published --sort-by model_version": "digits  0.0.1    published  ONNX  74.7 KiB",
    "models show digits": "onnx-int8-static",
    "models delete digits:0.0.1 --yes": "deleted",
    "models download digits --artifact openvino-fp16": "Downloaded and verified",
    "models lineage digits@champion": "training-job digits-mlp V001",
    "models alias digits": "champion",
    "models alias digits champion --version 0.0.1": "champion",
    "models alias digits champion --remove": "champion",
    "import s3://training/digits/V001/ --name digits --version 0.0.1 --label demo": "digits 0.0.1",
    "import s3://training/digits/V001/ --name digits --no-wait": "published",
    "import PACKAGE --name digits": "digits 0.0.1",
    "convert digits --to onnx-int8-static --option per_channel=true --max-rel-error 0.5": "succeeded",
    "convert digits --to onnx-int8-static --calibration digits-held-out --no-wait": "initialising",
    "conversions targets": "per_channel, method",
    "conversions list --model digits --state succeeded": CONVERSION,
    f"conversions show {CONVERSION}": "onnx-int8-static",
    f"conversions log {CONVERSION}": "line 1\n",
    f"conversions delete {CONVERSION}": "kept: it runs",
    "datasets add s3://datasets/digits/ --name digits-held-out": "360",
    "datasets add PACKAGE --name digits-held-out --kind npz --hidden": "360",
    "datasets list": "digits-held-out  image-folder",
    "datasets show digits-held-out": "0 (36), 1 (36)",
    "datasets delete digits-held-out": "its files stay",
    "evaluate digits --dataset digits-held-out --artifact source": "Confusion matrix",
    "evaluate digits --dataset digits-held-out --no-wait": "12/360",
    "evaluations list --model digits": "digits-held-out",
    f"evaluations show {EVALUATION} --run V0001": "350 of 360 samples are right",
    f"evaluations plots {EVALUATION} --run V0001": "roc.png",
    f"evaluations compare {EVALUATION}": "+1.39",
    f"evaluations stop {EVALUATION} --run V0001": "stopped",
    f"evaluations delete {EVALUATION}": "is deleted",
    "publish digits --to gallery --title Digits --description small": LISTING,
    f"publish digits --to competition --competition {COMPETITION} --artifact source": "0.9694",
    f"publish digits --to competition --competition {COMPETITION} --no-wait": "submitted",
    "gallery list --text digits": LISTING,
    f"gallery show {LISTING}": "| name | digits |",
    f"gallery download {LISTING}": "数字.onnx",
    f"gallery withdraw {LISTING}": "is withdrawn",
    "competitions create --title Digits --dataset digits-held-out --deadline 2027-01-31T12:00:00": "5",
    "competitions list": COMPETITION,
    f"competitions show {COMPETITION}": "who reads best",
    f"competitions leaderboard {COMPETITION}": "0.9900",
    "training complete --job-name digits-mlp --output s3://training/digits/V001": "digits-mlp V001",
    "training list --job-name digits-mlp": "accuracy=0.9722",
    f"training show {JOB}": "does not reach 0.99",
    "rules create --name nightly --job-name digits-* --model-name digits --min-metric accuracy=0.9": "accuracy ≥",
    "rules list": "openvino-fp16",
    "rules delete nightly": "is deleted",
    "dlq list": "evaluation.succeeded",
    "dlq show 7": '{"id": "e-1"}',
    "dlq replay 7": "on its way",
    "dlq drop 7": "dropped",
    "tokens create laptop --role writer": "the-secret\n",
    "tokens list": "laptop",
    "tokens revoke laptop": "is revoked",
    "projects create other": "the-secret\n",
}


def words(command: str, package: Path, tmp_path: Path) -> list[str]:
    parts = [str(package) if part == "PACKAGE" else part for part in command.split()]
    return [*parts, "--to", str(tmp_path / "out")] if {"download", "plots"} & set(parts) else parts


@pytest.mark.parametrize("command", COMMANDS)
def test_for_people(
    yard: Any, run: Callable[..., Any], package: Path, tmp_path: Path, no_pauses: list[float], command: str
) -> None:
    ended = run(*words(command, package, tmp_path))
    assert ended.code == 0, ended.err
    shown = ended.out.replace("\n", "") if "/" in COMMANDS[command] else ended.out
    assert COMMANDS[command] in shown, ended.out
    wide = [line for line in ended.out.splitlines() if cell_len(line.rstrip()) > 80 and str(tmp_path) not in line]
    assert [line for line in wide if not line.startswith("plots: ")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_for_programs(
    yard: Any, run: Callable[..., Any], package: Path, tmp_path: Path, no_pauses: list[float], command: str
) -> None:
    ended = run(*words(command, package, tmp_path), "--json")
    assert ended.code == 0, ended.err
    assert isinstance(ended.json, dict)


def test_ids_are_never_broken(yard: Any, run: Callable[..., Any]) -> None:
    for command in (["conversions", "list"], ["gallery", "list"], ["competitions", "list"], ["training", "list"]):
        assert "0197f3a2-0000-7000-8000-0000000000" in run(*command).out


def test_what_is_sent(
    yard: Any, run: Callable[..., Any], package: Path, tmp_path: Path, no_pauses: list[float]
) -> None:
    options = ["--option", "per_channel=true", "--option", "method=min max", "--max-rel-error", "0.5"]
    run("convert", "digits", "--to", "onnx-int8-static", *options)
    assert yard.last("POST").body == {
        "model_id": MODEL,
        "order": {
            "target": "onnx-int8-static",
            "options": {"per_channel": True, "method": "min max"},
            "tolerance": {"max_rel_error": 0.5, "min_cosine": 0.99, "min_top1_agreement": 0.98},
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
    imports.TrainingCompleted.model_validate(event["data"], extra="forbid")
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
    assert yard.last("POST").body == {"model_name": "digits", "description": "", "labels": [], "upload_id": "u1"}
    sent = next(asked.body for asked in yard.asked if asked.path == "uploads")
    assert {each["path"] for each in sent["files"]} == {"config.json", "digits.onnx"}


def test_a_failed_import_shows_every_problem(yard: Any, run: Callable[..., Any]) -> None:
    yard.on(f"GET models/{MODEL}", REFUSED_MODEL)
    ended = run("import", "s3://training/x/", "--name", "digits")
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "failed: the package has 2 problems",
        "  • config.json labels: must not be [empty]",
        "  • request: no model file",
    ]
    assert "must not be [empty]" in ended.out
    ended = run("import", "s3://training/x/", "--name", "digits", "--json")
    assert (ended.code, ended.json["model_status"]) == (1, "failed")


def test_a_failed_conversion_shows_its_numbers(yard: Any, run: Callable[..., Any]) -> None:
    yard.on(f"GET conversions/{CONVERSION}", conversion("failed", reason="cosine 0.5 is below 0.99"))
    ended = run("convert", "digits", "--to", "onnx-int8-static")
    assert (ended.code, ended.err) == (1, "failed: cosine 0.5 is below 0.99\n")
    assert "1.2e-03" in ended.out


def test_a_rejected_entry(yard: Any, run: Callable[..., Any]) -> None:
    yard.on(f"GET entries/{ENTRY}", entry("rejected", reason="the model crashed"))
    ended = run("publish", "digits", "--to", "competition", "--competition", COMPETITION)
    assert (ended.code, ended.err) == (1, "failed: the model crashed\n")
    assert "rejected" in ended.out


def test_a_failed_evaluation(yard: Any, run: Callable[..., Any]) -> None:
    yard.on(f"GET evaluations/{EVALUATION}", runs("failed"))
    ended = run("evaluate", "digits", "--dataset", DATASET)
    assert (ended.code, ended.out, ended.err) == (1, "", "failed: the model wants 64 numbers, not an image\n")


def test_versions_that_could_not_be_deleted(yard: Any, run: Callable[..., Any]) -> None:
    kept = version.DeleteFailure(
        model_id=MODEL, error_code="ModelArts.3009", error_msg="in use: alias champion", error_message=""
    )
    yard.on(f"DELETE models/{MODEL}", version.DeleteReport(delete_success_list=(), delete_failed_list=(kept,)))
    ended = run("models", "delete", MODEL, "--yes", "--cascade")
    assert ended.code == 1
    assert "kept: in use: alias champion" in ended.out
    assert yard.last("DELETE").query == {"cascade": "true"}


@pytest.mark.parametrize(("answer", "code"), [("", 1), ("n\n", 1), ("y\n", 0)])
def test_deleting_asks_first_also_for_json(
    yard: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ended = run("models", "delete", MODEL, "--json")
    assert ended.code == code
    assert "Delete" in ended.err
    assert any(asked.method == "DELETE" for asked in yard.asked) is (code == 0)
    assert not ended.out.strip() or ended.json["delete_success_list"] == [MODEL]


def test_a_log_that_grows(yard: Any, run: Callable[..., Any], streams: Any) -> None:
    pieces = [("one\n", 4, False), ("two\n", 8, False), ("three\n", 14, True)]
    yard.on(
        f"GET conversions/{CONVERSION}/log",
        *(convert.LogPiece(text=text, next_offset=end, complete=done) for text, end, done in pieces),
    )
    yard.on(f"GET conversions/{CONVERSION}/progress", streams.of("data: {}\n\n", "data: {}\n\n"))
    assert run("conversions", "log", CONVERSION, "--follow").out == "one\ntwo\nthree\n"
    assert yard.asked[-1].query == {"offset": "8"}


def test_many_classes_show_the_weakest_and_the_mistakes(yard: Any, run: Callable[..., Any]) -> None:
    path = f"GET evaluations/{EVALUATION}/versions/V0001/result"
    yard.on(path, result_view([f"class-{number:03}" for number in range(120)]))
    shown = run("evaluations", "show", EVALUATION).out
    assert "The 20 weakest of 120 classes" in shown
    assert "class-119" in shown
    assert "class-090" not in shown
    assert "Most frequent mistakes" in shown
    yard.on(path, result_view([f"a long class name {number}" for number in range(6)]))
    assert "Most frequent mistakes" in run("evaluations", "show", EVALUATION).out


def test_a_hidden_dataset_shows_headlines_only(yard: Any, run: Callable[..., Any]) -> None:
    yard.on(f"GET evaluations/{EVALUATION}/versions/V0001/result", result_view(hidden=True))
    shown = run("evaluations", "show", EVALUATION).out
    assert "0.9722" in shown
    assert "Classes" not in shown
    assert "onfusion" not in shown


def test_the_cost_of_each_conversion(yard: Any, run: Callable[..., Any]) -> None:
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


def test_what_others_wrote_cannot_steer_the_terminal(yard: Any, run: Callable[..., Any]) -> None:
    bad = model(model_name="x", description="[red]a[/] \x1b[2J b\\[c]", in_use=(), artifacts=(), evaluations=())
    yard.on(f"GET models/{MODEL}", bad)
    shown = run("models", "show", MODEL).out
    assert "[red]a[/] �[2J b\\[c]" in shown
    assert "\x1b" not in shown
