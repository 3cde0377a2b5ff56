"""What people type for a model, artifact, dataset or rule, turned into ids."""

import re

from modelyard.client import Client
from modelyard.errors import NotFoundHere, Reply

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def model_id(client: Client, text: str) -> str:
    """An id, `name` (its newest version number), `name:1.0.0`, or `name@alias`. Raises NotFoundHere."""
    if _ID.fullmatch(text):
        return text
    name, _, alias = text.partition("@")
    if alias:
        for found in client.aliases.list(name)["aliases"]:
            if found["alias"] == alias:
                return str(found["model_id"])
        raise NotFoundHere(f"{name!r} has no alias {alias!r}; see 'modelyard models alias {name}'")
    name, _, version = text.partition(":")
    models = client.models.list(
        model_name=name,
        exact_match=True,
        model_version=version or None,
        sort_by="model_version",
        order="desc",
        limit=1,
    )["models"]
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


def template_id(client: Client, text: str) -> str:
    """The id of a template, or a name that only one has. Raises NotFoundHere."""
    templates = client.templates.list()["templates"]
    if any(found["template_id"] == text for found in templates):
        return text
    found = [template["template_id"] for template in templates if template["template_name"] == text]
    if len(found) == 1:
        return str(found[0])
    several = f"several templates are named {text!r}, give the id of one: {', '.join(found)}"
    raise NotFoundHere(several if found else f"no template {text!r}; see 'modelyard templates list'")


def training_run(client: Client, job: str, version: str | None, *, latest: bool = False) -> Reply:
    """The finished run of a job by its name, or any by its id; `latest` takes the newest of several.

    Raises NotFoundHere with the choices when there are several, or with how the others ended when none has finished.
    """
    if _ID.fullmatch(job):
        return client.training.show(job)
    runs = client.training.list(job_name=job, job_version=version)["training_jobs"]
    finished: list[Reply] = [run for run in runs if run["status"] == "completed"]
    wanted = f"{job!r} {version}" if version else repr(job)
    if not runs:
        raise NotFoundHere(f"no training run of {wanted} has announced itself; see 'modelyard training list'")
    if not finished:
        ended = ", ".join(f"{run['training']['job_version']} {run['status']}" for run in runs)
        raise NotFoundHere(f"no run of {wanted} has finished well: {ended}")
    if len(finished) > 1 and not latest:
        choices = "\n".join(f"  {_choice(run)}" for run in finished[:20])
        raise NotFoundHere(
            f"{wanted} has {len(finished)} finished runs; name its version, its id, or --latest\n{choices}"
        )
    return finished[0]


def _choice(run: Reply) -> str:
    said = run["training"]
    metrics = " ".join(f"{name}={value:g}" for name, value in said["metrics"].items())
    return f"{said['job_name']} {said['job_version']}  {run['training_job_id']}  {metrics}".rstrip()


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
    found = [rule["rule_id"] for rule in client.rules.list()["rules"] if rule["name"] == text]
    if len(found) == 1:
        return str(found[0])
    several = f"several rules are named {text!r}, give the id of one: {', '.join(found)}"
    raise NotFoundHere(several if found else f"no rule {text!r}; see 'modelyard rules list'")
