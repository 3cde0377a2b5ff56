"""What people type for a model, artifact, dataset or rule, turned into ids."""

import logging
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final

from modelyard.client import Client
from modelyard.errors import NotFoundHere, Reply

log = logging.getLogger("modelyard")
_LOOKED_AT: Final = 1000  # versions whose names are compared with one that is not there
IS_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def model_id(client: Client, text: str) -> str:
    """An id, `name` (its newest published version), `name:1.0.0`, or `name@alias`. Raises NotFoundHere.

    A name's newer versions that are not published are passed over, with a warning in the log. Where none is published
    it means the newest.
    """
    if IS_ID.fullmatch(text):
        return text
    if not re.match(r"[^:@]", text):
        raise NotFoundHere(f"no model {text!r}: it is named by name, name:1.0.0, name@alias or id")
    name, _, alias = text.partition("@")
    if alias:
        held = client.aliases.list(name)["aliases"]
        for found in held:
            if found["alias"] == alias:
                return str(found["model_id"])
        raise no_alias(client, name, alias, held)
    name, _, version = text.partition(":")
    newest = _newest(client, name, model_version=version or None)
    if newest is None:
        raise no_version(client, text, name)
    if not version and newest["model_status"] != "published":
        usable = _newest(client, name, model_status="published")
        if usable is not None:
            passed, taken = f"{name} {newest['model_version']} is {newest['model_status']}", usable["model_version"]
            log.warning("%s; taking %s, the newest published version", passed, taken)
            return str(usable["model_id"])
    return str(newest["model_id"])


def known_name(client: Client, name: str) -> None:
    """Raises NotFoundHere where no version has it."""
    if _newest(client, name) is None:
        raise no_version(client, name, name)


def no_version(client: Client, text: str, name: str) -> NotFoundHere:
    """Of this name, or none of the number that `text` says, with what is there."""
    project = client.connection.project
    if found := _archived(client, text):
        brings = f"'modelyard models restore {text}' brings it back"
        if end := found.get("expires_at"):
            return NotFoundHere(f"{text!r} was deleted; until {day(end)} {brings}")
        return NotFoundHere(f"{text!r} is archived; {brings}")
    return NotFoundHere(f"no model {text!r} in project {project!r}; {_other(client, name)}see 'modelyard models list'")


def no_alias(client: Client, name: str, alias: str, held: Sequence[Reply]) -> NotFoundHere:
    if not held and _newest(client, name) is None:
        return no_version(client, f"{name}@{alias}", name)
    aliases = meant(alias, (found["alias"] for found in held))
    return NotFoundHere(f"{name!r} has no alias {alias!r}; {aliases}see 'modelyard aliases list {name}'")


def archived_id(client: Client, text: str) -> str | None:
    """An id, or `name:1.0.0` of an archived version; None where none is archived under it."""
    if IS_ID.fullmatch(text):
        return text
    found = _archived(client, text)
    return str(found["model_id"]) if found else None


def _archived(client: Client, text: str) -> Reply | None:
    """`name:1.0.0`"""
    name, _, version = text.partition(":")
    if not version:
        return None
    page = client.models.list(model_name=name, exact_match=True, model_version=version, archived=True, limit=1)
    return next((found for found in page["models"] if found["model_version"] == version), None)


def day(instant: int) -> str:
    """`instant` in ms since 1970 UTC, as the command line shows it."""
    return datetime.fromtimestamp(instant / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def _newest(client: Client, name: str, **more: Any) -> Reply | None:
    page = client.models.list(model_name=name, exact_match=True, **more, sort_by="model_version", order="desc", limit=1)
    return page["models"][0] if page["models"] else None


def _other(client: Client, name: str) -> str:
    """What is there under that name, or a name like it."""
    if numbers := [
        found["model_version"] for found in client.models.list(model_name=name, exact_match=True, limit=5)["models"]
    ]:
        return f"{name!r} has {', '.join(numbers)}; "
    return meant(name, (found["model_name"] for found in client.models.list(limit=_LOOKED_AT)["models"]))


def meant(text: str, there: Iterable[str]) -> str:
    """`did you mean 'digits'? ` for what is nearly there, else nothing."""
    close = get_close_matches(text.casefold(), names := {each.casefold(): each for each in there}, n=3)
    return f"did you mean {' or '.join(repr(names[each]) for each in close)}? " if close else ""


def artifact_id(model: Reply, text: str | None) -> str | None:
    """An artifact's id or its target (`openvino-fp16`); of several conversions to one target the newest."""
    if text is None:
        return None
    found = [each for each in model["artifacts"] if text in (each["artifact_id"], each["target"])]
    if len(found) > 1:
        name = f"{model['model_name']} {model['model_version']}"
        log.warning(
            "%s has %d artifacts %s; taking the newest, of %s", name, len(found), text, day(found[-1]["created_at"])
        )
    if found:
        return str(found[-1]["artifact_id"])
    targets = list(dict.fromkeys(artifact["target"] for artifact in model["artifacts"]))
    others = f"{meant(text, targets)}it has: {', '.join(targets) or 'none'}"
    raise NotFoundHere(f"{model['model_name']} {model['model_version']} has no artifact {text!r}; {others}")


def template_id(client: Client, text: str) -> str:
    """The id of a template, or a name that only one has. Raises NotFoundHere."""
    templates = client.templates.list()["templates"]
    if any(found["template_id"] == text for found in templates):
        return text
    named = [(found["template_id"], found["template_name"]) for found in templates]
    return _only_one("template", "templates", text, named, ids=True)


def _only_one(what: str, group: str, text: str, named: Sequence[tuple[str, str]], *, ids: bool = False) -> str:
    """The id of the only one that is named so, of ids and names; `ids`: people type those too. Raises NotFoundHere."""
    found = [identifier for identifier, name in named if name == text]
    if len(found) == 1:
        return found[0]
    several = f"several {what}s are named {text!r}, give the id of one: {', '.join(found)}"
    others = meant(text, (each for pair in named for each in (pair if ids else pair[1:])))
    raise NotFoundHere(several if found else f"no {what} {text!r}; {others}see 'modelyard {group} list'")


def training_run(client: Client, job: str, version: str | None, *, latest: bool = False) -> Reply:
    """The finished run of a job by its name, or any by its id; `latest` takes the newest of several.

    Raises NotFoundHere with the choices when there are several, or with how the others ended when none has finished.
    """
    if IS_ID.fullmatch(job):
        return client.training.show(job)
    runs = client.training.list(job_name=job, job_version=version)["training_jobs"]
    finished: list[Reply] = [run for run in runs if run["status"] == "completed"]
    wanted = f"{job!r} {version}" if version else repr(job)
    if not runs:
        raise no_training(client, job, wanted)
    if not finished:
        ended = ", ".join(f"{run['training']['job_version']} {run['status']}" for run in runs)
        raise NotFoundHere(f"no run of {wanted} has finished well: {ended}")
    if len(finished) > 1 and not latest:
        choices = "\n".join(f"  {_choice(run)}" for run in finished[:20])
        say = "the id of one" if version else "its version, its id"
        raise NotFoundHere(f"{wanted} has {len(finished)} finished runs; name {say}, or --latest\n{choices}")
    return finished[0]


def no_training(client: Client, job: str, wanted: str) -> NotFoundHere:
    known = {run["training"]["job_name"] for run in client.training.list(limit=_LOOKED_AT)["training_jobs"]}
    hint = meant(job, known)
    return NotFoundHere(f"no training run of {wanted} has announced itself; {hint}see 'modelyard training list'")


def _choice(run: Reply) -> str:
    said = run["training"]
    metrics = " ".join(f"{name}={value:g}" for name, value in said["metrics"].items())
    return f"{said['job_name']} {said['job_version']}  {run['training_job_id']}  {metrics}".rstrip()


def dataset_id(client: Client, text: str) -> str:
    """An id or the exact name. Raises NotFoundHere."""
    if IS_ID.fullmatch(text):
        return text
    found = client.get("datasets", name=text)["datasets"]
    if not found:
        project = client.connection.project
        others = meant(text, (each["name"] for each in client.get("datasets", limit=_LOOKED_AT)["datasets"]))
        raise NotFoundHere(f"no dataset {text!r} in project {project!r}; {others}see 'modelyard datasets list'")
    return str(found[0]["dataset_id"])


def listing_id(client: Client, text: str) -> str:
    """An id, or a title that only one listing has. Raises NotFoundHere."""
    if IS_ID.fullmatch(text):
        return text
    listings = client.gallery.list(text=text)["listings"] or client.gallery.list()["listings"]
    return _only_one("listing", "gallery", text, [(each["listing_id"], each["title"]) for each in listings])


def competition_id(client: Client, text: str) -> str:
    """An id, or a title that only one competition has. Raises NotFoundHere."""
    if IS_ID.fullmatch(text):
        return text
    competitions = client.competitions.list()["competitions"]
    named = [(each["competition_id"], each["title"]) for each in competitions]
    return _only_one("competition", "competitions", text, named)


def no_name(what: str, group: str, text: str, there: Iterable[str]) -> NotFoundHere:
    return NotFoundHere(f"no {what} {text!r}; {meant(text, there)}see 'modelyard {group} list'")


def evaluation_id(text: str) -> str:
    """Raises NotFoundHere for what is no id."""
    if IS_ID.fullmatch(text):
        return text
    raise NotFoundHere(
        f"an evaluation goes by its id, and {text!r} is none; 'modelyard evaluations list --model MODEL' has the ids"
    )


def rule_id(client: Client, text: str) -> str:
    """An id, or a name that only one rule has. Raises NotFoundHere."""
    if IS_ID.fullmatch(text):
        return text
    named = [(rule["rule_id"], rule["name"]) for rule in client.rules.list()["rules"]]
    return _only_one("rule", "rules", text, named)
