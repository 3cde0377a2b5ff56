"""`modelyard models …`: the register."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from modelyard.cli.session import AsJson, client_of, facts, fetch, out, show, size, table
from modelyard.client import Reply, at
from modelyard.errors import TaskFailed
from modelyard.references import artifact_id, model_id

group = typer.Typer(no_args_is_help=True, help="List, show, download and delete versions; aliases and lineage.")
Model = Annotated[str, typer.Argument(help="Id, name (its newest version), name:1.0.0 or name@alias.")]


class Status(StrEnum):
    publishing = "publishing"
    published = "published"
    failed = "failed"


class SortBy(StrEnum):
    create_at = "create_at"
    model_version = "model_version"
    model_size = "model_size"


class Order(StrEnum):
    desc = "desc"
    asc = "asc"


@group.command("list")
def list_models(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Part of the model name.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    sort_by: Annotated[SortBy, typer.Option(help="By time, by number or by size.")] = SortBy.create_at,
    order: Annotated[Order, typer.Option(help="Descending or ascending.")] = Order.desc,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the versions of this project, newest first."""
    reply = client_of(context).get(
        "models", model_name=name, model_status=status, sort_by=sort_by, order=order, limit=limit
    )
    show(reply, as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            model["model_name"],
            model["model_version"],
            model["model_status"],
            model["model_type"],
            size(model["model_size"]),
            ", ".join(model["aliases"]),
        )
        for model in reply["models"]
    ]
    title = f"{reply['count']} of {reply['total_count']} versions"
    out.print(table(title, ("name", "version", "status", "type", "size>", "aliases"), rows))


@group.command("show")
def show_model(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """Show one version: where it comes from, its artifacts with their proof, what it scored."""
    client = client_of(context)
    show(client.get(at("models", model_id(client, model))), as_json, render_model)


def render_model(model: Reply) -> None:
    """Printed by every command that ends with a version."""
    head = [("id", model["model_id"]), ("status", model["model_status"]), ("type", model["model_type"])]
    if model.get("failure"):
        head.append(("reason", model["failure"].get("reason")))
        head += [("problem", _problem(problem)) for problem in model["failure"].get("problems", [])]
    head += [("description", model["description"])] if model.get("description") else []
    head.append(("created by", model.get("created_by")))
    head += _training(model.get("training") or {})
    head += [("held by", "; ".join(model["in_use"]))] if model.get("in_use") else []
    out.print(facts(f"{model['model_name']} {model['model_version']}", head))
    if model["artifacts"]:
        out.print()
        out.print(artifacts_table(model["artifacts"]))
    for found in dict.fromkeys(evaluation["evaluation_id"] for evaluation in model["evaluations"]):
        out.print()
        out.print(_runs(found, [each for each in model["evaluations"] if each["evaluation_id"] == found]))


def _problem(problem: Reply) -> str:
    place = " ".join(part for part in (problem.get("file"), problem.get("field")) if part)
    return f"{place}: {problem.get('message')}"


def _training(training: Reply) -> list[tuple[str, Any]]:
    if not training:
        return []
    rows: list[tuple[str, Any]] = [("training job", f"{training['job_name']} {training['job_version']}")]
    if dataset := training.get("dataset"):
        rows.append(("dataset", f"{dataset['uri']} {dataset.get('digest') or ''}"))
    if code := training.get("code"):
        rows.append(("code", f"{code['repository']} @ {code['commit']}"))
    rows.append(("parameters", ", ".join(f"{name}={value}" for name, value in training["parameters"].items())))
    rows.append(("metrics", ", ".join(f"{name}={value:g}" for name, value in training["metrics"].items())))
    return rows


def artifacts_table(artifacts: list[Reply]) -> Table:
    """Size, parity and latency side by side: what each conversion gained and what it cost."""
    columns = ("artifact", "size>", "parity", "error>", "top-1>", "ms>", "source ms>")
    made = table("Artifacts", columns, [_artifact_row(artifact) for artifact in artifacts])
    if any((artifact.get("benchmark") or {}).get("noisy") for artifact in artifacts):
        made.caption = "* measured on a busy machine: do not trust it"
        made.caption_justify = "left"
    return made


def _artifact_row(artifact: Reply) -> tuple[Any, ...]:
    parity, benchmark = artifact.get("parity") or {}, artifact.get("benchmark") or {}
    outputs = parity.get("outputs", [])
    worst = max((output["max_rel_error"] for output in outputs), default=None)
    agreed = next((output["top1_agree"] for output in outputs if output.get("top1_agree") is not None), None)
    mark = "*" if benchmark.get("noisy") else ""
    return (
        artifact["target"],
        size(artifact["size"]),
        parity.get("verdict"),
        f"{worst:.1e}" if worst is not None else None,
        f"{agreed}/{parity['samples']}" if agreed is not None else None,
        f"{benchmark['result']['median_ms']:.3f}{mark}" if benchmark else None,
        f"{benchmark['source']['median_ms']:.3f}{mark}" if benchmark else None,
    )


def _runs(evaluation: str, runs: list[Reply]) -> Table:
    names = ("accuracy", "f1", "auc")
    rows = [
        (
            run["version"],
            run["target"],
            run["samples"],
            *(f"{run['metrics'][name]:.4f}" if name in run["metrics"] else None for name in names),
        )
        for run in runs
    ]
    return table(f"Evaluation {evaluation}", ("run", "artifact", "samples>", "accuracy>", "F1>", "AUC>"), rows)


@group.command("delete")
def delete_model(
    context: typer.Context,
    model: Model,
    cascade: Annotated[bool, typer.Option(help="Every version of the name, 20 at most.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a version for good. One that is in use is kept, with the reason."""
    client = client_of(context)
    identifier = model_id(client, model)
    if not yes:
        what = f"every version of {model}'s name" if cascade else model
        typer.confirm(f"Delete {what} with its artifacts for good?", abort=True, err=True)
    report = client.delete(at("models", identifier), cascade=cascade)
    show(report, as_json, _render_deleted)
    if report["delete_failed_list"]:
        raise TaskFailed(f"{len(report['delete_failed_list'])} of the versions could not be deleted")


def _render_deleted(report: Reply) -> None:
    rows = [(model, "deleted") for model in report["delete_success_list"]]
    rows += [(kept["model_id"], f"kept: {kept['error_message']}") for kept in report["delete_failed_list"]]
    out.print(table("Deletion", ("id", "result"), rows))


@group.command("download")
def download_model(
    context: typer.Context,
    model: Model,
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    artifact: Annotated[str | None, typer.Option(help="Artifact id or target, e.g. openvino-fp16.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch an artifact's files and verify each against the manifest."""
    client = client_of(context)
    found = client.get(at("models", model_id(client, model)))
    links = client.get(at("models", found["model_id"], "files"), artifact_id=artifact_id(found, artifact))
    fetch(links, f"{found['model_name']} {found['model_version']}", to, as_json)


@group.command("lineage")
def lineage(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """Show where a version comes from and what was made of it."""
    client = client_of(context)
    reply = client.get(at("models", model_id(client, model), "lineage"))
    show(reply, as_json, render_lineage)


def render_lineage(reply: Reply) -> None:
    labels = {node["id"]: f"{node['kind']} {node['label']}" for node in reply["nodes"]}
    rows = [
        (labels.get(edge["source"], edge["source"]), edge["relation"], labels.get(edge["target"], edge["target"]))
        for edge in reply["edges"]
    ]
    out.print(table("Lineage", ("from", "", "to"), rows))


@group.command("alias")
def alias(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Model name.")],
    alias: Annotated[str | None, typer.Argument(help="E.g. champion; without it all are listed.")] = None,
    version: Annotated[str | None, typer.Option(help="Version to point at.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
    as_json: AsJson = False,
) -> None:
    """List, move or remove the aliases of a name."""
    if alias and remove == (version is not None):
        raise typer.BadParameter("give either --version N.N.N or --remove")
    if not alias and (remove or version):
        raise typer.BadParameter("name the alias")
    client, path = client_of(context), at("model-names", name, "aliases")
    if alias and remove:
        client.delete(f"{path}/{at(alias)}")
    elif alias:
        client.put(f"{path}/{at(alias)}", {"model_version": version})
    show(client.get(path), as_json, _render_aliases)


def _render_aliases(reply: Reply) -> None:
    rows = [(found["alias"], found["model_version"], found["moved_by"]) for found in reply["aliases"]]
    out.print(table("Aliases", ("alias", "version", "moved by"), rows))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="models")
