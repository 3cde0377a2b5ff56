"""`modelyard training …`: training jobs announce themselves, and one can look at what came of it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from shlex import quote
from typing import Annotated

import typer

from modelyard.cli.session import AsJson, client_of, facts, json_value, number, out, show, show_rows
from modelyard.client import Client, Reply
from modelyard.errors import Refused

training = typer.Typer(no_args_is_help=True, help="What training jobs say, and what came of it.")


class Status(StrEnum):
    completed = "completed"
    failed = "failed"
    stopped = "stopped"


@training.command(
    "complete", epilog="Example: modelyard training complete --job-name digits --output s3://training/digits/V001/"
)
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
    if (repository is None) != (commit is None):
        raise typer.BadParameter("--repository and --commit belong together")
    if dataset_digest and not dataset_uri:
        raise typer.BadParameter("--dataset-digest needs --dataset-uri")
    job = client_of(context).training.complete(
        job_name,
        output,
        job_version=job_version,
        job_id=job_id,
        status=status.value,
        framework=framework,
        metrics=dict(map(number, metric or [])),
        parameters=dict(map(json_value, parameter or [])),
        dataset={"uri": dataset_uri, "digest": dataset_digest} if dataset_uri else None,
        code={"repository": repository, "commit": commit} if repository and commit else None,
        event_id=event_id,
    )
    show(job, as_json, _render_job)


def _render_job(job: Reply, names: Mapping[str, str] = {}) -> None:
    """`names` of the versions that came of it, by id."""
    said = job["training"]
    rows = [("id", job["training_job_id"]), ("status", job["status"])]
    rows += [("metrics", metrics_line(said["metrics"]))] if said["metrics"] else []
    rows += [("warning", warning) for warning in said.get("warnings", ())]
    rows.append(("output", f"s3://{job['output']['bucket']}/{job['output']['prefix']}"))
    made = [("version", names.get(found["model_id"], found["model_id"])) for found in job["imports"]]
    made += [("refused", found.get("reason") or json.dumps(found)) for found in job["refusals"]]
    job_and_run = f"{quote(said['job_name'])} {said['job_version']}"
    look = [("look again", f"modelyard training show {job_and_run}")]
    look += [("without a rule", f"modelyard import training {job_and_run} --name NAME")]
    note = not made and job["status"] == "completed"
    rows += [("version", "none so far: rules take a moment")] if note else []
    out.print(facts(f"{said['job_name']} {said['job_version']}", rows + made))
    for does, command in look if note else ():
        out.print(f"{does}: {command}", highlight=False, markup=False)


def metrics_line(metrics: dict[str, float]) -> str:
    """`accuracy=0.97, f1=0.96`."""
    return ", ".join(f"{name}={value:g}" for name, value in metrics.items())


@training.command("list", epilog="Example: modelyard training list --job-name 'digits-*' --status completed")
def list_jobs(
    context: typer.Context,
    job_name: Annotated[str | None, typer.Option(help="Only of this job; a pattern when it holds * or ?.")] = None,
    job_version: Annotated[str | None, typer.Option(help="Only this run: V001, V002, …")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those that ended so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List the training runs that have announced themselves, newest first."""
    reply = client_of(context).training.list(
        job_name=job_name,
        job_version=job_version,
        status=status.value if status else None,
        limit=limit,
        offset=offset,
    )
    show(reply, as_json, _render_jobs)


def _render_jobs(reply: Reply) -> None:
    rows = [
        (
            f"{job['training']['job_name']} {job['training']['job_version']}",
            metrics_line(job["training"]["metrics"]) if job["status"] == "completed" else job["status"],
            len(job["imports"]),
            job["training_job_id"],
        )
        for job in reply["training_jobs"]
    ]
    title = f"{reply['count']} of {reply['total_count']} training runs"
    show_rows(
        title,
        ("job", "outcome", "by rules>", "id"),
        rows,
        "No training run like that has announced itself; see 'modelyard training complete --help'.",
    )


@training.command("show", epilog="Example: modelyard training show digits-nightly V003")
def show_job(
    context: typer.Context,
    training_job: Annotated[str, typer.Argument(help="Name of the job, or the id of a run.")],
    job_version: Annotated[str | None, typer.Argument(help="The run: V001, V002, …; default: the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one run: which rules took it, which refused it and why."""
    client = client_of(context)
    job = client.training.show(training_job, job_version)
    show(job, as_json, lambda job: _render_job(job, _names(client, job)))


def _names(client: Client, job: Reply) -> dict[str, str]:
    """Of the versions that are there still."""
    names = {}
    for made in job["imports"]:
        with suppress(Refused):
            found = client.models.show(made["model_id"])
            names[made["model_id"]] = f"{found['model_name']} {found['model_version']}, {found['model_status']}"
    return names


def register(app: typer.Typer) -> None:
    app.add_typer(training, name="training")
