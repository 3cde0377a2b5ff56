"""`modelyard models lineage` and `modelyard trace`: back to the data, and forward from it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.models import Model, group
from modelyard.cli.session import AsJson, client_of, out, show, show_rows
from modelyard.client import Reply
from modelyard.references import IS_ID, dataset_id, known_name
from modelyard.resources.lineage import Origin

Svg = Annotated[Path | None, typer.Option(help="Draw it into this file, e.g. lineage.svg.")]


@group.command("lineage", epilog="Example: modelyard models lineage digits --svg lineage.svg")
def lineage(context: typer.Context, model: Model, svg: Svg = None, as_json: AsJson = False) -> None:
    """Show where a version comes from and what was made of it."""
    client = client_of(context)
    _show(lambda: client.models.lineage(model), lambda: client.models.lineage_svg(model), svg, as_json)


def trace(
    context: typer.Context,
    training_job: Annotated[str | None, typer.Option(help="A job's id, or id/V001 for one run.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Digest or URI of what was trained on, or a dataset by name or id.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="Commit, or repository@commit.")] = None,
    name: Annotated[str | None, typer.Option(help="A model name.")] = None,
    svg: Svg = None,
    as_json: AsJson = False,
) -> None:
    """Show everything that was made from one dataset, commit, training job or under one name."""
    origin: Origin = {"training_job": training_job, "dataset": dataset, "code": code, "model_name": name}
    if sum(value is not None for value in origin.values()) != 1:
        raise typer.BadParameter("give exactly one of --training-job, --dataset, --code and --name")
    client = client_of(context)
    if dataset and re.fullmatch(r"[\w.-]+", dataset) and not IS_ID.fullmatch(dataset):  # neither digest nor URI
        origin["dataset"] = dataset_id(client, dataset)
    if name:
        known_name(client, name)
    _show(lambda: client.lineage.trace(**origin), lambda: client.lineage.trace_svg(**origin), svg, as_json)


def _show(read: Callable[[], Reply], draw: Callable[[], str], svg: Path | None, as_json: bool) -> None:
    if svg is None:
        show(read(), as_json, render_lineage)
        return
    svg.write_text(draw(), "utf-8")
    show({"file": str(svg)}, as_json, lambda made: out.print(f"drawn: {made['file']}", highlight=False, markup=False))


def render_lineage(reply: Reply) -> None:
    labels = _labels(reply)
    rows = [
        (labels.get(edge["source"], edge["source"]), edge["relation"], labels.get(edge["target"], edge["target"]))
        for edge in reply["edges"]
    ]
    show_rows("Lineage", ("from", "", "to"), rows, "Nothing here is known to be made of it.")


def _labels(reply: Reply) -> dict[str, str]:
    """By id; an artifact with its version, and a version with its project where there are several."""
    nodes = {node["id"]: node for node in reply["nodes"]}
    projects = {node["facts"]["project"] for node in nodes.values() if node["facts"].get("project")}
    labels = {}
    for identifier, node in nodes.items():
        said = node["label"] if node["label"].startswith(f"{node['kind']} ") else f"{node['kind']} {node['label']}"
        project = node["facts"].get("project") if len(projects) > 1 else None
        labels[identifier] = f"{said} of project {project}" if project else said
    for edge in reply["edges"]:
        if edge["relation"] == "holds" and {edge["source"], edge["target"]} <= nodes.keys():
            labels[edge["target"]] += f" of {nodes[edge['source']]['label']}"
    return labels


def register(app: typer.Typer) -> None:
    app.command("trace", epilog="Example: modelyard trace --dataset s3://datasets/digits/ --svg made-of-it.svg")(trace)
