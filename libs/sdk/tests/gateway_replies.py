"""What a gateway answers, one of everything, in the contract's own shapes: for tests of those who read its replies."""

from typing import Any

from modelyard_contracts import codes
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
    TensorSpec,
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


INSPECTION = Inspection(
    format="ONNX",
    signature=Signature(
        inputs=(TensorSpec(name="image", dtype="float32", shape=("n", 1, 8, None)),),
        outputs=(TensorSpec(name="scores", dtype="float32", shape=("n", 10)),),
    ),
    opsets={"ai.onnx": 17, "ai.onnx.ml": 3},
    parameter_count=12_345,
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
        inspection=INSPECTION,
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
        "scan": None,
        "failure": None,
        "in_use": (f"entered in competition {COMPETITION}, open until 2027-01-31 12:00 UTC",),
        "updated_at": NOW,
    }
    return version.VersionView(**values | fields)


FAILURE = {
    "code": codes.CONFIG_MISSING,
    "reason": "the package has 2 problems",
    "problems": [
        {"file": "config.json", "field": "labels", "message": "must not be [empty]"},
        {"file": None, "field": None, "message": "no model file"},
    ],
}
REFUSED_MODEL = model(model_status="failed", failure=FAILURE, artifacts=(), evaluations=(), training=None, in_use=())


def failed_proof() -> dict[str, Any]:
    """What a conversion shows that failed its proof, in place of an artifact."""
    made = ARTIFACTS[1].model_dump(mode="json")
    (output,) = made["parity"]["outputs"]
    measure = {"name": "top class", "value": 0.5, "limit": 0.97, "at_least": True, "control": 0.1, "where": "sample 17"}
    outputs = [
        {**output, "role": "scores", "measures": [measure]},
        {**output, "name": "ids", "role": "classes", "exact": True},
    ]
    parity = {**made["parity"], "verdict": "failed", "outputs": outputs, "notes": ["left in float: 2 GRU"]}
    return {"parity": parity, "benchmark": made["benchmark"]}


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


def runs(state: evaluate.RunState = "succeeded") -> evaluate.EvaluationView:
    done = state == "succeeded"
    run = evaluate.RunView(
        run_id=uid(21),
        version="V0001",
        state=state,
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

ACCESS_KEY = {
    "name": "terraform",
    "project": "p1",
    "role": "writer",
    "created_at": NOW,
    "created_by": "token:alice",
    "access_key_id": "MY0123",
    "former": [{"access_key_id": "MY0122", "expires_at": NOW}],
}


def page(kind: type[Any], name: str, *views: Any) -> Any:
    return kind(total_count=len(views) + 1, count=len(views), **{name: views})


def summary_of(view: version.VersionView) -> version.VersionRow:
    return version.VersionRow(**view.model_dump(include=set(version.VersionSummary.model_fields)))


ALIAS = version.AliasView(
    model_name="digits", alias="champion", model_id=MODEL, model_version="0.0.1", moved_at=NOW, moved_by="alice"
)
LINEAGE = version.Lineage(
    nodes=(
        version.LineageNode(id="ds", kind="dataset", label="s3://datasets/digits/"),
        version.LineageNode(id="job", kind="training-job", label="digits-mlp V001"),
        version.LineageNode(id="m", kind="version", label="digits 0.0.1"),
    ),
    edges=(
        version.LineageEdge(source="ds", target="job", relation="trained"),
        version.LineageEdge(source="job", target="m", relation="made"),
    ),
)
CREATED = version.VersionCreated(model_id=MODEL, model_name="digits", model_version="0.0.1")
LISTING_VIEW = publish.ListingView(**SUMMARY, card=CARD)
LISTING_SUMMARY = publish.ListingSummary(**SUMMARY)
LOG = convert.LogPiece(text="line 1\n", next_offset=7, complete=True)


def file_links(link: dict[str, Any]) -> version.FileLinks:
    return version.FileLinks(
        model_id=MODEL,
        artifact_id=uid(12),
        digest="sha256:" + "cd" * 32,
        files=(version.FileLink(**link),),
        expires_at=NOW,
    )


# Outside of the project, of a gateway that lacks nothing.
WELL: dict[str, dict[str, Any]] = {
    "whoami": {"name": "ann", "project": "p1", "role": "writer", "created_at": NOW, "created_by": "x", "token": None},
    "/readyz": {"ready": True, "checks": {"nats": "ok", "convert": "ok"}, "version": "0.1.0"},
    "/healthz": {"alive": True},
}
