"""A version as the register answers it, for tests of what the gateway makes of it."""

from typing import Any

from modelyard_contracts.calls import version
from modelyard_contracts.shapes import Asked, Location, Plan, StorageSource

EVERY = ("real-time", "batch", "edge")


def a_version(**changed: Any) -> version.VersionView:
    fields: dict[str, Any] = {
        "model_id": "m",
        "model_name": "digits",
        "model_version": "0.0.1",
        "model_status": "published",
        "model_type": "ONNX",
        "model_size": 7,
        "description": "",
        "labels": (),
        "source_type": None,
        "workspace_id": None,
        "aliases": (),
        "create_at": 1,
        "created_by": "token:ann",
        "project": "default",
        "install_type": EVERY,
        "specification": version.Specification(),
        "source": StorageSource(location=Location(bucket="training", prefix="digits/V001/")),
        "model_docs": (),
        "config": None,
        "artifacts": (),
        "evaluations": (),
        "training": None,
        "plan": Plan(),
        "scan": None,
        "failure": None,
        "in_use": (),
        "updated_at": 1,
        "asked": Asked(),
    }
    return version.VersionView(**{**fields, **changed})
