"""`modelyard training …` and `modelyard rules …`: training jobs announce themselves, rules import what they made."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from modelyard.cli.session import AsJson, client_of, facts, json_value, number, out, show, table
from modelyard.client import Client, Reply, at
from modelyard.references import dataset_id, rule_id

EVENT_TYPE = "modelyard.evt.training.completed.v1"

training = typer.Typer(no_args_is_help=True, help="What training jobs say, and what came of it.")
rules = typer.Typer(no_args_is_help=True, help="Which completed runs become versions by themselves.")


class Status(StrEnum):
    completed = "completed"
    failed = "failed"
    stopped = "stopped"


@training.command("complete")
def complete(
    context: typer.Context,
    job_name: Annotated[str, typer.Option(help="What import rules match on.")],
    output: Annotated[str, typer.Option(help="s3://bucket/job/V001/ with the model below it in model/.")],
    job_version: Annotated[str, typer.Option(help="V001, V002, …")] = "V001",
    job_id: Annotated[str | None, typer.Option(help="The job's own id; its name when omitted.")] = None,
    status: Annotated[Status, typer.Option(help="How it ended.")] = Status.completed,
    framework: Annotated[str | None, typer.Option(help="E.g. scikit-learn 1.7.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="name=number; repeat.")] = None,
    parameter: Annotated[list[str] | None, typer.Option(help="name=value; repeat.")] = None,
    dataset_uri: Annotated[str | None, typer.Option(help="What it was trained on.")] = None,
    dataset_digest: Annotated[str | None, typer.Option(help="Of that data.")] = None,
    repository: Annotated[str | None, typer.Option(help="Of the training code.")] = None,
    commit: Annotated[str | None, typer.Option(help="Of the training code.")] = None,
    event_id: Annotated[str | None, typer.Option(help="The same id again is harmless.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say that a training job has ended; matching rules import its model."""
    bucket, _, prefix = output.removeprefix("s3://").partition("/")
    if not output.startswith("s3://") or not bucket or not prefix:
        raise typer.BadParameter("--output needs s3://bucket/folder/")
    if (repository is None) != (commit is None):
        raise typer.BadParameter("--repository and --commit belong together")
    if dataset_digest and not dataset_uri:
        raise typer.BadParameter("--dataset-digest needs --dataset-uri")
    client, now = client_of(context), datetime.now(UTC).isoformat()
    data: dict[str, Any] = {
        "job_id": job_id or job_name,
        "job_name": job_name,
        "job_version": job_version,
        "status": status.value,
        "output": {"bucket": bucket, "prefix": prefix if prefix.endswith("/") else prefix + "/"},
        "framework": framework,
        "metrics": dict(map(number, metric or [])),
        "parameters": dict(map(json_value, parameter or [])),
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


def _render_job(job: Reply) -> None:
    said = job["training"]
    rows = [("id", job["training_job_id"]), ("status", job["status"])]
    rows += [("metrics", _metrics(said["metrics"]))] if said["metrics"] else []
    rows.append(("output", f"s3://{job['output']['bucket']}/{job['output']['prefix']}"))
    made = [("version", found["model_id"]) for found in job["imports"]]
    made += [("refused", found.get("reason") or json.dumps(found)) for found in job["refusals"]]
    note = [] if made else [("version", "none yet; see 'modelyard rules list'")]
    out.print(facts(f"{said['job_name']} {said['job_version']}", rows + made + note))


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in metrics.items())


@training.command("list")
def list_jobs(
    context: typer.Context,
    job_name: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the training runs that have announced themselves, newest first."""
    show(client_of(context).get("training-jobs", job_name=job_name), as_json, _render_jobs)


def _render_jobs(reply: Reply) -> None:
    rows = [
        (
            f"{job['training']['job_name']} {job['training']['job_version']}",
            _metrics(job["training"]["metrics"]) if job["status"] == "completed" else job["status"],
            len(job["imports"]),
            job["training_job_id"],
        )
        for job in reply["training_jobs"]
    ]
    title = f"{reply['count']} of {reply['total_count']} training runs"
    out.print(table(title, ("job", "outcome", "made>", "id"), rows))


@training.command("show")
def show_job(
    context: typer.Context,
    training_job: Annotated[str, typer.Argument(help="Id from 'training list'.")],
    as_json: AsJson = False,
) -> None:
    """Show one run: which rules took it, which refused it and why."""
    show(client_of(context).get(at("training-jobs", training_job)), as_json, _render_job)


@rules.command("create")
def create_rule(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Of the rule.")],
    job_name: Annotated[str, typer.Option(help="Which jobs; a pattern like 'digits-*'.")],
    model_name: Annotated[str, typer.Option(help="Name of the versions it makes.")],
    min_metric: Annotated[list[str] | None, typer.Option(help="name=number that a run must reach; repeat.")] = None,
    convert: Annotated[list[str] | None, typer.Option(help="Then convert to this target; repeat.")] = None,
    evaluate: Annotated[list[str] | None, typer.Option(help="Then evaluate on this dataset; repeat.")] = None,
    gallery: Annotated[bool, typer.Option("--gallery", help="Then list it in the gallery.")] = False,
    competition: Annotated[list[str] | None, typer.Option(help="Then enter this competition; repeat.")] = None,
    plan: Annotated[Path | None, typer.Option(help="JSON file with the whole plan instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """From now on, make a version of every completed run that matches; the plan follows by itself."""
    if plan and (convert or evaluate or gallery or competition):
        raise typer.BadParameter("--plan holds the whole plan; leave out --convert, --evaluate and so on")
    client = client_of(context)
    publish: list[dict[str, str]] = [{"channel": "gallery"}] if gallery else []
    publish += [{"channel": "competition", "competition_id": identifier} for identifier in competition or []]
    body = {
        "name": name,
        "job_name": job_name,
        "model_name": model_name,
        "min_metrics": dict(map(number, min_metric or [])),
        "plan": _read_plan(plan) if plan else _plan(client, convert or [], evaluate or [], publish),
    }
    show(client.post("import-rules", body), as_json, lambda rule: _render_rules({"rules": [rule]}))


def _plan(client: Client, targets: list[str], datasets: list[str], publish: list[dict[str, str]]) -> Reply:
    return {
        "convert": [{"target": target} for target in targets],
        "evaluate": [{"dataset_id": dataset_id(client, dataset)} for dataset in datasets],
        "publish": publish,
    }


def _read_plan(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise typer.BadParameter(f"--plan {file} holds no JSON: {error}") from None


@rules.command("list")
def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """List the import rules of this project."""
    show(client_of(context).get("import-rules"), as_json, _render_rules)


def _render_rules(reply: Reply) -> None:
    rows = [
        (
            rule["name"],
            rule["job_name"],
            ", ".join(f"{name} ≥ {value:g}" for name, value in rule["min_metrics"].items()),
            rule["model_name"],
            ", ".join(_steps(rule["plan"])),
        )
        for rule in reply["rules"]
    ]
    out.print(table(f"Import rules: {len(rows)}", ("rule", "job", "if", "makes", "then"), rows))


def _steps(plan: Reply) -> list[str]:
    steps = [order["target"] for order in plan["convert"]]
    steps += ["evaluate"] if plan["evaluate"] else []
    return steps + [order["channel"] for order in plan["publish"]]


@rules.command("delete")
def delete_rule(
    context: typer.Context, rule: Annotated[str, typer.Argument(help="Name or id.")], as_json: AsJson = False
) -> None:
    """Delete a rule. Versions that it has made stay."""
    client = client_of(context)
    client.delete(at("import-rules", rule_id(client, rule)))
    show({"deleted": rule}, as_json, lambda _: out.print(f"rule {rule} is deleted.", markup=False))


def register(app: typer.Typer) -> None:
    app.add_typer(training, name="training")
    app.add_typer(rules, name="rules")
