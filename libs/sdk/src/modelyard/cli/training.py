"""`modelyard training …` and `modelyard rules …`: training jobs announce themselves, rules import what they made."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from modelyard.cli.session import AsJson, client_of, out, show, table
from modelyard.client import Reply
from modelyard.references import dataset_id

EVENT_TYPE = "modelyard.evt.training.completed.v1"

training = typer.Typer(no_args_is_help=True, help="What training jobs say, and what came of it.")
rules = typer.Typer(no_args_is_help=True, help="Which completed runs become versions by themselves.")


@training.command("complete")
def complete(
    context: typer.Context,
    job_name: Annotated[str, typer.Option(help="what import rules match on")],
    output: Annotated[str, typer.Option(help="s3://bucket/job/V001/, the model below it in model/")],
    job_version: Annotated[str, typer.Option(help="V001, V002, …")] = "V001",
    job_id: Annotated[str | None, typer.Option(help="the job's own id; its name when omitted")] = None,
    status: Annotated[str, typer.Option(help="completed, failed or stopped")] = "completed",
    framework: Annotated[str | None, typer.Option()] = None,
    metric: Annotated[list[str] | None, typer.Option(help="name=number; repeat")] = None,
    parameter: Annotated[list[str] | None, typer.Option(help="name=value; repeat")] = None,
    dataset_uri: Annotated[str | None, typer.Option()] = None,
    dataset_digest: Annotated[str | None, typer.Option()] = None,
    repository: Annotated[str | None, typer.Option(help="of the code")] = None,
    commit: Annotated[str | None, typer.Option(help="of the code")] = None,
    event_id: Annotated[str | None, typer.Option(help="the same id again is harmless")] = None,
    as_json: AsJson = False,
) -> None:
    """Say that a training job has ended; matching rules import its model."""
    client = client_of(context)
    bucket, _, prefix = output.removeprefix("s3://").partition("/")
    if not output.startswith("s3://") or not prefix:
        raise typer.BadParameter("--output needs s3://bucket/folder/")
    if (repository is None) != (commit is None):
        raise typer.BadParameter("--repository and --commit belong together")
    now = datetime.now(UTC).isoformat()
    data: dict[str, Any] = {
        "job_id": job_id or job_name,
        "job_name": job_name,
        "job_version": job_version,
        "status": status,
        "output": {"bucket": bucket, "prefix": prefix if prefix.endswith("/") else prefix + "/"},
        "framework": framework,
        "metrics": {name: float(value) for name, value in map(_pair, metric or [])},
        "parameters": dict(map(_value, parameter or [])),
        "dataset": {"uri": dataset_uri, "digest": dataset_digest} if dataset_uri else None,
        "code": {"repository": repository, "commit": commit} if repository else None,
        "finished_at": now,
    }
    event = {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": f"training/{job_name}",
        "type": EVENT_TYPE,
        "time": now,
        "subject": data["job_id"],
        "project": client.connection.project,
        "data": data,
    }
    show(client.post("training-jobs/events", event), as_json, _render_job)


def _pair(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not given:
        raise typer.BadParameter(f"{text!r} is not name=value")
    return name, value


def _value(text: str) -> tuple[str, Any]:
    name, value = _pair(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _render_job(job: Reply) -> None:
    made = [("version", found["model_id"]) for found in job["imports"]]
    made += [("refused", found.get("reason") or json.dumps(found)) for found in job["refusals"]]
    head = [("id", job["training_job_id"]), ("status", job["status"])]
    note = made or [("version", "none: no rule matches; see 'modelyard rules list'")]
    title = f"{job['training']['job_name']} {job['training']['job_version']}"
    out.print(table(title, ("fact", "value"), head + note))


@training.command("list")
def list_jobs(
    context: typer.Context,
    job_name: Annotated[str | None, typer.Option()] = None,
    as_json: AsJson = False,
) -> None:
    """Training jobs that have announced themselves, newest first."""
    show(client_of(context).get("training-jobs", job_name=job_name), as_json, _render_jobs)


def _render_jobs(reply: Reply) -> None:
    rows = [
        (
            f"{job['training']['job_name']} {job['training']['job_version']}",
            job["status"],
            ", ".join(f"{name}={value:g}" for name, value in job["training"]["metrics"].items()),
            len(job["imports"]),
            job["training_job_id"],
        )
        for job in reply["training_jobs"]
    ]
    out.print(table("Training jobs", ("job", "status", "metrics", "versions>", "id"), rows))


@training.command("show")
def show_job(context: typer.Context, training_job: str, as_json: AsJson = False) -> None:
    """One run: which rules took it, which refused it and why."""
    show(client_of(context).get(f"training-jobs/{training_job}"), as_json, _render_job)


@rules.command("create")
def create_rule(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="of the rule")],
    job_name: Annotated[str, typer.Option(help="glob, e.g. 'digits-*'")],
    model_name: Annotated[str, typer.Option(help="name of the versions it makes")],
    min_metric: Annotated[list[str] | None, typer.Option(help="name=number; repeat")] = None,
    convert: Annotated[list[str] | None, typer.Option(help="then convert to this target; repeat")] = None,
    evaluate: Annotated[list[str] | None, typer.Option(help="then evaluate on this dataset; repeat")] = None,
    gallery: Annotated[bool, typer.Option("--gallery", help="then list it in the gallery")] = False,
    competition: Annotated[list[str] | None, typer.Option(help="then enter this competition; repeat")] = None,
    plan: Annotated[Path | None, typer.Option(help="JSON file with the whole plan instead")] = None,
    as_json: AsJson = False,
) -> None:
    """From now on a completed run that matches becomes a version, and the plan follows by itself."""
    client = client_of(context)
    chosen: dict[str, Any] = {
        "convert": [{"target": target} for target in convert or []],
        "evaluate": [{"dataset_id": dataset_id(client, dataset)} for dataset in evaluate or []],
        "publish": [{"channel": "gallery"}] * gallery
        + [{"channel": "competition", "competition_id": identifier} for identifier in competition or []],
    }
    body = {
        "name": name,
        "job_name": job_name,
        "model_name": model_name,
        "min_metrics": {metric: float(value) for metric, value in map(_pair, min_metric or [])},
        "plan": json.loads(plan.read_text("utf-8")) if plan else chosen,
    }
    show(client.post("import-rules", body), as_json, lambda rule: _render_rules({"rules": [rule]}))


@rules.command("list")
def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """Import rules of this project."""
    show(client_of(context).get("import-rules"), as_json, _render_rules)


def _render_rules(reply: Reply) -> None:
    rows = [
        (
            rule["name"],
            rule["job_name"],
            ", ".join(f"{name}≥{value:g}" for name, value in rule["min_metrics"].items()),
            rule["model_name"],
            ", ".join(order["target"] for order in rule["plan"]["convert"]),
            ", ".join(order["channel"] for order in rule["plan"]["publish"]),
            rule["rule_id"],
        )
        for rule in reply["rules"]
    ]
    columns = ("rule", "job name", "metrics", "model", "converts to", "publishes to", "id")
    out.print(table("Import rules", columns, rows))


@rules.command("delete")
def delete_rule(context: typer.Context, rule: str, as_json: AsJson = False) -> None:
    """Versions that it has made stay."""
    client_of(context).delete(f"import-rules/{rule}")
    show({"deleted": rule}, as_json, lambda _: out.print(f"rule {rule} is deleted."))


def register(app: typer.Typer) -> None:
    app.add_typer(training, name="training")
    app.add_typer(rules, name="rules")
