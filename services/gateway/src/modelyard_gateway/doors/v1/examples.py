"""Request examples for the OpenAPI document; a test sends each one through its route."""

from typing import Annotated, Any, TypeAlias

from fastapi import Body
from pydantic import Field

from modelyard_contracts.calls import convert, evaluate, imports, publish, templates, version
from modelyard_contracts.catalogue import TRAINING_COMPLETED
from modelyard_gateway.doors.v1.schemas.rules import AsSaid
from modelyard_gateway.doors.v1.schemas.work import DatasetRequest, NextVersionRequest, SubmitRequest, TrainingEvent

_MODEL = "0197a3c0-0000-7000-8000-000000000001"
_DATASET = "0197a3c0-0000-7000-8000-000000000005"
_COMPETITION = "0197a3c0-0000-7000-8000-000000000009"


def _examples(*bodies: Any) -> Any:
    return Body(examples=list(bodies))


Upload: TypeAlias = Annotated[
    imports.BeginUpload,
    AsSaid,
    _examples({"files": [{"path": "model/config.json", "size": 481}, {"path": "model/digits.onnx", "size": 69338}]}),
]
Completed: TypeAlias = Annotated[
    list[imports.CompletedFile],
    AsSaid,
    Field(max_length=10_000),
    _examples([{"path": "model/config.json"}, {"path": "model/large.onnx", "etags": ["9b2c…", "77ab…"]}]),
]
Training: TypeAlias = Annotated[
    TrainingEvent,
    AsSaid,
    _examples(
        {
            "specversion": "1.0",
            "id": "digits-V001",
            "source": "training/digits",
            "type": TRAINING_COMPLETED.subject,
            "time": "2026-11-22T10:00:00Z",
            "subject": "digits-V001",
            "project": "default",
            "data": {
                "job_id": "digits",
                "job_name": "digits",
                "job_version": "V001",
                "status": "completed",
                "output": {"bucket": "training", "prefix": "digits/V001/"},
                "metrics": {"accuracy": 0.97},
                "dataset": {"uri": "s3://datasets/digits/", "digest": "sha256:9f86d081…"},
                "code": {"repository": "https://git.example/digits.git", "commit": "4f2c1d9"},
            },
        }
    ),
]
Rule: TypeAlias = Annotated[
    imports.CreateRule,
    AsSaid,
    _examples(
        {
            "name": "nightly",
            "job_name": "digits-*",
            "min_metrics": {"accuracy": 0.9},
            "model_name": "手写数字",
            "plan": {
                "convert": [{"target": "onnx-int8-static"}, {"target": "openvino-fp16"}],
                "evaluate": [{"dataset_id": _DATASET}],
                "publish": [{"channel": "gallery"}, {"channel": "competition", "competition_id": _COMPETITION}],
            },
        }
    ),
]
DryRun: TypeAlias = Annotated[
    imports.DryRunRule,
    AsSaid,
    _examples(
        {
            "name": "nightly",
            "job_name": "digits-*",
            "min_metrics": {"accuracy": 0.9},
            "model_name": "手写数字",
            "runs": 100,
        }
    ),
]
Template: TypeAlias = Annotated[
    templates.CreateTemplate,
    AsSaid,
    _examples(
        {
            "template_name": "我们的分类模板",
            "description": "image classifiers of this team",
            "model_type": "ONNX",
            "model_algorithm": "image_classification",
            "infer_format": "image-processing",
            "infer_format_fixed": True,
            "template_inputs": [{"input_id": "model_folder", "label": "Folder with one .onnx file"}],
            "keywords": ["vision"],
        }
    ),
]
Audit: TypeAlias = Annotated[version.StartAudit, AsSaid, _examples({}, {"repair": True})]
Conversion: TypeAlias = Annotated[
    convert.CreateConversion,
    AsSaid,
    _examples(
        {"model_id": _MODEL, "order": {"target": "openvino-fp16"}},
        {
            "model_id": _MODEL,
            "order": {
                "target": "onnx-int8-static",
                "tolerance": {"max_rel_error": 0.4, "min_cosine": 0.98, "min_top1_agreement": 0.95},
            },
        },
    ),
]
Dataset: TypeAlias = Annotated[
    DatasetRequest,
    AsSaid,
    _examples({"name": "held-out", "kind": "image-folder", "source_location": "s3://datasets/held-out/"}),
]
Evaluation: TypeAlias = Annotated[
    evaluate.CreateEvaluation, AsSaid, _examples({"model_id": _MODEL, "dataset_id": _DATASET})
]
NextVersion: TypeAlias = Annotated[NextVersionRequest, AsSaid, _examples({"dataset_id": _DATASET})]
Listing: TypeAlias = Annotated[publish.CreateListing, AsSaid, _examples({"model_id": _MODEL, "title": "手写数字 1.0"})]
Competition: TypeAlias = Annotated[
    publish.CreateCompetition,
    AsSaid,
    _examples({"title": "Unseen digits", "dataset_id": _DATASET, "metric": "accuracy", "deadline": 1900000000000}),
]
Entry: TypeAlias = Annotated[SubmitRequest, AsSaid, _examples({"model_id": _MODEL})]
