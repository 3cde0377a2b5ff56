"""`modelyard models …`: the register."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.session import AsJson, client_of, out, show, size, table, transfer_bar
from modelyard.client import Reply
from modelyard.errors import TaskFailed
from modelyard.references import artifact_id, model_id
from modelyard.transfer import download

group = typer.Typer(no_args_is_help=True, help="List, show, download and delete versions; aliases and lineage.")
Model = Annotated[str, typer.Argument(help="id, name, name:1.0.0 or name@alias")]


@group.command("list")
def list_models(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="substring of the model name")] = None,
    status: Annotated[str | None, typer.Option(help="publishing, published or failed")] = None,
    sort_by: Annotated[str, typer.Option(help="create_at, model_version or model_size")] = "create_at",
    order: Annotated[str, typer.Option(help="desc or asc")] = "desc",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Versions of this project, newest first."""
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
            model["model_id"],
        )
        for model in reply["models"]
    ]
    title = f"{reply['count']} of {reply['total_count']} versions"
    out.print(table(title, ("name", "version", "status", "type", "size>", "aliases", "id"), rows))


@group.command("show")
def show_model(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """One version: where it comes from, its artifacts with their proof, what it scored."""
    client = client_of(context)
    show(client.get(f"models/{model_id(client, model)}"), as_json, render_model)


def render_model(model: Reply) -> None:
    """Printed by every command that ends with a version."""
    head = [("id", model["model_id"]), ("status", model["model_status"]), ("type", model["model_type"])]
    if model.get("failure"):
        head.append(("reason", model["failure"].get("reason")))
        head += [("problem", _problem(problem)) for problem in model["failure"].get("problems", [])]
    head += [(name, model[name]) for name in ("description", "created_by") if model.get(name)]
    head += _training(model.get("training") or {})
    head += [("held by", "; ".join(model["in_use"]))] if model.get("in_use") else []
    out.print(table(f"{model['model_name']} {model['model_version']}", ("fact", "value"), head))
    if model["artifacts"]:
        out.print(artifacts_table(model["artifacts"]))
    if model["evaluations"]:
        out.print(_evaluations(model["evaluations"]))


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


def artifacts_table(artifacts: list[Reply]) -> Any:
    """Size, parity and latency side by side: what each conversion gained and what it cost."""
    rows = []
    for artifact in artifacts:
        parity, benchmark = artifact.get("parity") or {}, artifact.get("benchmark") or {}
        worst = max((output["max_rel_error"] for output in parity.get("outputs", [])), default=None)
        top1 = next((output for output in parity.get("outputs", []) if output.get("top1_agree") is not None), None)
        rows.append(
            (
                artifact["target"],
                artifact["format"],
                size(artifact["size"]),
                parity.get("verdict"),
                f"{worst:.2e}" if worst is not None else None,
                f"{top1['top1_agree']}/{parity['samples']}" if top1 else None,
                f"{benchmark['result']['median_ms']:.3f}" if benchmark else None,
                f"{benchmark['source']['median_ms']:.3f}" if benchmark else None,
                "noisy" if benchmark.get("noisy") else None,
            )
        )
    columns = (
        "artifact",
        "format",
        "size>",
        "parity",
        "rel. error>",
        "same class>",
        "median ms>",
        "source ms>",
        "note",
    )
    return table("Artifacts", columns, rows)


def _evaluations(evaluations: list[Reply]) -> Any:
    rows = [
        (
            found["version"],
            found["target"],
            found["samples"],
            *(
                f"{found['metrics'][name]:.4f}" if name in found["metrics"] else None
                for name in ("accuracy", "f1", "auc")
            ),
            found["evaluation_id"],
        )
        for found in evaluations
    ]
    return table("Evaluations", ("run", "artifact", "samples>", "accuracy>", "F1>", "AUC>", "evaluation"), rows)


@group.command("delete")
def delete_model(
    context: typer.Context,
    model: Model,
    cascade: Annotated[bool, typer.Option(help="every version of the name, 20 at most")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a version for good. One that is in use is kept, with the reason."""
    client = client_of(context)
    identifier = model_id(client, model)
    if not yes and not as_json:
        typer.confirm(f"Delete {model} and its artifacts for good?", abort=True)
    report = client.delete(f"models/{identifier}", cascade=cascade)
    show(report, as_json, _render_deleted)
    if report["delete_failed_list"]:
        raise TaskFailed(f"{len(report['delete_failed_list'])} kept")


def _render_deleted(report: Reply) -> None:
    rows = [(model, "deleted") for model in report["delete_success_list"]]
    rows += [(kept["model_id"], f"kept: {kept['error_msg']}") for kept in report["delete_failed_list"]]
    out.print(table("Deletion", ("version", "result"), rows))


@group.command("download")
def download_model(
    context: typer.Context,
    model: Model,
    to: Annotated[Path, typer.Option(help="folder to fill")] = Path(),
    artifact: Annotated[str | None, typer.Option(help="artifact id or target, e.g. openvino-fp16")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch an artifact's files and verify each against the manifest."""
    client = client_of(context)
    found = client.get(f"models/{model_id(client, model)}")
    links = client.get(f"models/{found['model_id']}/files", artifact_id=artifact_id(found, artifact))
    bar, advance = transfer_bar(f"downloading {found['model_name']}", sum(link["size"] for link in links["files"]))
    with bar:
        paths = download(links, to, advance)
    reply = {"digest": links["digest"], "files": [str(path) for path in paths]}
    show(reply, as_json, lambda made: out.print(table(f"Verified {made['digest']}", ("file",), zip(made["files"]))))


@group.command("lineage")
def lineage(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """Where a version comes from and what was made of it."""
    client = client_of(context)
    reply = client.get(f"models/{model_id(client, model)}/lineage")
    show(reply, as_json, render_lineage)


def render_lineage(reply: Reply) -> None:
    labels = {node["id"]: f"{node['kind']} {node['label']}" for node in reply["nodes"]}
    rows = [(labels[edge["source"]], edge["relation"], labels[edge["target"]]) for edge in reply["edges"]]
    out.print(table("Lineage", ("from", "", "to"), rows))


@group.command("alias")
def alias(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="model name")],
    alias: Annotated[str | None, typer.Argument(help="champion, staging, …; without it all are listed")] = None,
    version: Annotated[str | None, typer.Option(help="version to point at")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="remove the alias")] = False,
    as_json: AsJson = False,
) -> None:
    """List, move or remove the aliases of a name."""
    client = client_of(context)
    if alias and remove:
        client.delete(f"model-names/{name}/aliases/{alias}")
    elif alias and version:
        client.put(f"model-names/{name}/aliases/{alias}", {"model_version": version})
    elif alias:
        raise typer.BadParameter("give --version N.N.N or --remove")
    reply = client.get(f"model-names/{name}/aliases")
    show(reply, as_json, _render_aliases)


def _render_aliases(reply: Reply) -> None:
    rows = [(found["alias"], found["model_version"], found["moved_by"]) for found in reply["aliases"]]
    out.print(table("Aliases", ("alias", "version", "moved by"), rows))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="models")
