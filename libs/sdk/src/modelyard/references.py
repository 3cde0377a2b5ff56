"""What people type for a model, artifact, dataset or rule, turned into ids."""

import re

from modelyard.client import Client, at
from modelyard.errors import NotFoundHere, Reply

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def model_id(client: Client, text: str) -> str:
    """An id, `name` (its newest version number), `name:1.0.0`, or `name@alias`. Raises NotFoundHere."""
    if _ID.fullmatch(text):
        return text
    name, _, alias = text.partition("@")
    if alias:
        for found in client.get(at("model-names", name, "aliases"))["aliases"]:
            if found["alias"] == alias:
                return str(found["model_id"])
        raise NotFoundHere(f"{name!r} has no alias {alias!r}; see 'modelyard models alias {name}'")
    name, _, version = text.partition(":")
    query = {"model_name": name, "exact_match": True, "sort_by": "model_version", "order": "desc", "limit": 1}
    models = client.get("models", **query, model_version=version or None)["models"]
    if not models:
        raise NotFoundHere(f"no model {text!r} in project {client.connection.project!r}; see 'modelyard models list'")
    return str(models[0]["model_id"])


def artifact_id(model: Reply, text: str | None) -> str | None:
    """An artifact's id or its target (`openvino-fp16`); of several conversions to one target the newest."""
    if text is None:
        return None
    for artifact in reversed(model["artifacts"]):
        if text in (artifact["artifact_id"], artifact["target"]):
            return str(artifact["artifact_id"])
    have = ", ".join(artifact["target"] for artifact in model["artifacts"]) or "none"
    raise NotFoundHere(f"{model['model_name']} {model['model_version']} has no artifact {text!r}; it has: {have}")


def dataset_id(client: Client, text: str) -> str:
    """An id or the exact name. Raises NotFoundHere."""
    if _ID.fullmatch(text):
        return text
    found = client.get("datasets", name=text)["datasets"]
    if not found:
        project = client.connection.project
        raise NotFoundHere(f"no dataset {text!r} in project {project!r}; see 'modelyard datasets list'")
    return str(found[0]["dataset_id"])


def rule_id(client: Client, text: str) -> str:
    """An id, or a name that only one rule has. Raises NotFoundHere."""
    if _ID.fullmatch(text):
        return text
    found = [rule["rule_id"] for rule in client.get("import-rules")["rules"] if rule["name"] == text]
    if len(found) == 1:
        return str(found[0])
    several = f"several rules are named {text!r}, give the id of one: {', '.join(found)}"
    raise NotFoundHere(several if found else f"no rule {text!r}; see 'modelyard rules list'")
