"""What a gateway answers about the register: aliases, history, comparison, audits, templates. See `gateway_replies`."""

from typing import Any

from modelyard_contracts import codes
from modelyard_contracts.calls import imports, templates, version
from modelyard_contracts.shapes import Finding, PartlyRead, ScanReport

from .gateway_replies import MODEL, NOW, uid

ALIAS_HISTORY = version.AliasHistory(
    model_name="digits",
    alias="champion",
    moves=(
        version.AliasMove(
            move=2,
            at=NOW,
            by="alice",
            model_id=MODEL,
            model_version="0.0.2",
            previous_model_id=uid(50),
            previous_model_version="0.0.1",
        ),
        version.AliasMove(
            move=1,
            at=NOW - 60_000,
            by="bob",
            model_id=uid(50),
            model_version="0.0.1",
            previous_model_id=None,
            previous_model_version=None,
        ),
    ),
)
SCAN = ScanReport(
    scanners={"picklescan": "1.0"},
    files=4,
    read=2,
    sniffed=1,
    partly_read=(PartlyRead(file="model/weights.bin", size=17 << 20, reason="of a kind that the scan does not know"),),
    findings=(
        Finding(file="model/weights.pkl", severity="suspicious", rule="pickle-global", message="imports [torch.load]"),
    ),
)


def record(seq: int, action: str, **changes: tuple[Any, Any]) -> version.HistoryRecord:
    """`changes`: name → (before, after)."""
    return version.HistoryRecord(
        model_id=MODEL,
        seq=seq,
        at=NOW + seq,
        by="alice",
        action=action,
        changes={name: version.Change(before=before, after=after) for name, (before, after) in changes.items()},
        correlationid="c-1",
        previous="0" * 64,
        hash="1" * 64,
    )


HISTORY = (
    record(1, "created", model_name=(None, "digits"), model_version=(None, "0.0.1")),
    record(2, "published", model_status=("publishing", "published")),
    record(3, "updated", labels=([], ["demo"]), description=("", "手写数字")),
)
VERDICT = version.HistoryVerdict(model_id=MODEL, intact=True, records=3, broken_at=None, reason=None)


def compared_version(number: int, **fields: Any) -> version.ComparedVersion:
    values: dict[str, Any] = {
        "model_id": uid(60 + number),
        "model_name": "digits",
        "model_version": f"0.0.{number}",
        "model_type": "ONNX",
        "model_size": 76_543,
        "format": "ONNX",
        "parameter_count": 17_226,
        "metrics": {"training.accuracy": 0.9722},
        "parameters": {"seed": 7},
        "operators": {"Gemm": 3},
    }
    return version.ComparedVersion(**values | fields)


VERSION_COMPARISON = version.Comparison(
    versions=(compared_version(1), compared_version(2)),
    signature_changes=(
        version.SignatureChange(
            model_id=uid(62), part="input", name="pixels", breaking=True, message="wants float32 instead of uint8"
        ),
    ),
    differences=(
        version.Difference(subject="metric training.accuracy", values=(0.9722222222, 0.981)),
        version.Difference(subject="dataset", values=("sha256:12", None)),
    ),
)
KEPT = version.DeleteFailure(
    model_id=uid(50), error_code=codes.IN_USE, error_msg="in use", error_message="alias champion points at it"
)
PREVIEW = version.DeletionPreview(
    versions=(version.GoingVersion(model_id=MODEL, model_name="digits", model_version="0.0.1"),),
    kept=(KEPT,),
    objects=3,
    bytes=76_543,
    by_reference=(MODEL,),
)


def verification(state: str, *damaged: version.DamagedFile) -> version.VerificationView:
    values: dict[str, Any] = {
        "verification_id": uid(70),
        "model_id": MODEL,
        "state": state,
        "checked_bytes": 76_543,
        "total_bytes": 76_543,
        "intact": None if state != "succeeded" else not damaged,
        "damaged": damaged,
        "reason": "storage is away" if state == "failed" else None,
        "created_at": NOW,
        "finished_at": None,
    }
    return version.VerificationView(**values)


DAMAGED = version.DamagedFile(
    artifact_id=uid(10), path="model/数字.onnx", reason="digest", message="its SHA-256 is another one"
)


def audit(state: str, **fields: Any) -> version.AuditView:
    values: dict[str, Any] = {
        "audit_id": uid(71),
        "state": state,
        "repair": False,
        "objects": 12,
        "versions": 3,
        "stray_objects": 0,
        "stray_bytes": 0,
        "strays": (),
        "incomplete": (),
        "repaired": False,
        "reason": None,
        "created_at": NOW,
        "finished_at": None,
    }
    return version.AuditView(**values | fields)


TEMPLATE = templates.TemplateView(
    template_id="onnx",
    template_name="ONNX-通用",
    description="any ONNX model",
    model_type="ONNX",
    runtime=None,
    model_algorithm="predict_analysis",
    infer_format="undefined",
    infer_format_fixed=False,
    template_inputs=(templates.TemplateInputView(input_id="model_folder", label="the folder with the *.onnx"),),
    keywords=("onnx", "通用"),
    built_in=True,
    engine="ONNX Runtime",
    python="python3.12",
    processors=("cpu", "gpu"),
    created_at=None,
    created_by=None,
)
TEMPLATES = templates.TemplateList(total_count=1, count=1, templates=(TEMPLATE,))
MODES = templates.ModeList(
    modes=(
        templates.ModeView(infer_format="undefined", description="anything", batch=False, apis=()),
        templates.ModeView(infer_format="predictive-analysis", description="rows in, rows out", batch=True, apis=()),
    )
)
RUNTIMES = templates.RuntimeList(
    total_count=1,
    count=1,
    runtimes=(
        templates.RuntimeView(
            runtime="tf2.1-python3.7",
            model_type="TensorFlow",
            engine="TensorFlow",
            engine_version="2.1",
            python="3.7",
            processors=("cpu", "gpu"),
        ),
    ),
)
DRY_RUN = imports.RuleDryRun(
    looked_at=2,
    taken=1,
    verdicts=tuple(
        imports.RuleVerdict(
            training_job_id=uid(80 + number),
            job_name="digits-mlp",
            job_version=f"V00{number}",
            metrics={"accuracy": 0.9 + number / 100},
            received_at=NOW,
            taken=number > 1,
            reason=None if number > 1 else "accuracy 0.91 does not reach 0.92",
        )
        for number in (2, 1)
    ),
)
