"""What the register answers, with the flat fields that clients of ModelArts read, in the types that they read them in.

Made of the service's own JSON: docs/api.md, "For clients of ModelArts".
"""

import json
from typing import Any

from modelyard_contracts.calls.version import Specification, VersionRow

View = dict[str, Any]


def model(view: View) -> View:
    asked, package = view.pop("asked", None) or {}, view.pop("config") or {}
    metrics = {name: value for name, value in (package.get("metrics") or {}).items() if value is not None}
    training = view.get("training") or {}
    return {
        **view,
        **_flat(view),
        "package_config": package or None,
        "config": asked.get("initial_config") or (_text(package) if package else None),
        "runtime": package.get("runtime"),
        "model_algorithm": package.get("model_algorithm"),
        "model_metrics": asked.get("model_metrics") or _text(metrics),
        "apis": _text(package.get("apis") or []),
        "dependencies": package.get("dependencies") or [],
        "health": _texts(package["health"]) if package.get("health") else None,
        "source_location": asked.get("source_location") or _place(view["source"]),
        "source_copy": asked.get("source_copy") or _copied(view["source"]),
        "source_job_id": asked.get("source_job_id") or training.get("job_name"),
        "source_job_version": asked.get("source_job_version") or training.get("job_version"),
        "execution_code": asked.get("execution_code"),
        "image_address": _image_of(view).get("reference"),
        "schema_doc": None,
        "model_labels": view["labels"],
        "labels_map": {"labels": view["labels"]},
    }


def page_of_templates(page: View) -> View:
    return {**page, "templates": [template(each) for each in page["templates"]]}


def template(view: View) -> View:
    labels = {"theme": view["theme"], "engine": view["engine"], "environment": view["runtime"]}
    inputs = [
        {**each, "input_type": "folder", "name_en": each["label"], "description_en": each["description"]}
        for each in view["template_inputs"]
    ]
    arch = "AARCH64" if "aarch64" in (view["runtime"] or "") else "X86_64"
    named = {"template_name_en": view["template_name"], "description_en": view["description"]}
    return {**view, **named, "arch": arch, "template_labels": labels, "template_inputs": inputs}


def _flat(view: View) -> View:
    """What a row of a list has of these fields, it has from the service."""
    return {
        "owner": view["created_by"],
        "tenant": view["project"],
        "specification": Specification.model_validate(view["specification"]).texts(),
        "model_source": "auto" if view["source_type"] == "auto" else "custom",
        "publishable_flag": view["model_status"] == "published",
        "tunable": VersionRow.model_fields["tunable"].default,
        "market_flag": VersionRow.model_fields["market_flag"].default,
    }


def _image_of(view: View) -> View:
    inspections = (artifact["inspection"] for artifact in view["artifacts"] if artifact["kind"] == "source")
    return next((inspection.get("image") or {} for inspection in inspections), {})


def _place(source: View) -> str | None:
    match source["kind"]:
        case "object-storage":
            return _uri(source["location"])
        case "template":
            return _uri(source["template_inputs"][0]["location"])
        case "image":
            return str(source["reference"])
    return None


def _uri(location: View) -> str:
    return f"s3://{location['bucket']}/{location['prefix']}"


def _copied(source: View) -> str:
    """An image is pinned where it lies."""
    return "false" if source["kind"] == "image" or source.get("source_copy") is False else "true"


def _texts(fields: View) -> View:
    """Numbers as their clients have them."""
    return {name: f"{value:.15g}" if isinstance(value, int | float) else value for name, value in fields.items()}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
