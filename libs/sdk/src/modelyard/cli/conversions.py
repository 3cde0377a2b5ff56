"""`modelyard convert` and `modelyard conversions …`: refit a version for a chip, with proof."""

import json
from typing import Annotated, Any

import typer

from modelyard.cli.models import Model, artifacts_table
from modelyard.cli.session import AsJson, NoWait, client_of, out, show, table, wait
from modelyard.client import Reply
from modelyard.references import dataset_id, model_id

group = typer.Typer(no_args_is_help=True, help="What can be made, what was made, and the logs of it.")


def convert(
    context: typer.Context,
    model: Model,
    to: Annotated[str, typer.Option(help="target, e.g. openvino-fp16; see 'modelyard conversions targets'")],
    option: Annotated[list[str] | None, typer.Option(help="name=value of the target's options; repeat")] = None,
    calibration: Annotated[str | None, typer.Option(help="dataset for calibration and parity")] = None,
    max_rel_error: Annotated[float | None, typer.Option(help="widen the tolerance")] = None,
    min_cosine: Annotated[float, typer.Option(help="with --max-rel-error")] = 0.99,
    min_top1_agreement: Annotated[float, typer.Option(help="with --max-rel-error")] = 0.98,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Convert a version; the result is proved against the source and benchmarked beside it."""
    client = client_of(context)
    order: dict[str, Any] = {"target": to, "options": dict(_option(text) for text in option or [])}
    if calibration:
        order["calibration_dataset_id"] = dataset_id(client, calibration)
    if max_rel_error is not None:
        order["tolerance"] = {
            "max_rel_error": max_rel_error,
            "min_cosine": min_cosine,
            "min_top1_agreement": min_top1_agreement,
        }
    made = client.post("conversions", {"model_id": model_id(client, model), "order": order})

    def read() -> Reply:
        return client.get(f"conversions/{made['conversion_id']}")

    reply = made if no_wait else wait(client, f"converting to {to}", read, "state")
    show(reply, as_json, render_conversion)


def _option(text: str) -> tuple[str, Any]:
    name, given, value = text.partition("=")
    if not given:
        raise typer.BadParameter(f"{text!r} is not name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def render_conversion(conversion: Reply) -> None:
    rows = [
        (name, conversion[name]) for name in ("conversion_id", "state", "progress", "reason") if conversion.get(name)
    ]
    title = f"{conversion['model_name']} {conversion['model_version']} → {conversion['order']['target']}"
    out.print(table(title, ("fact", "value"), rows))
    if (conversion.get("artifact") or {}).get("target"):
        out.print(artifacts_table([conversion["artifact"]]))


@group.command("targets")
def targets(context: typer.Context, as_json: AsJson = False) -> None:
    """What can be made from what, and whether a worker offers it now."""
    show(client_of(context).get("conversion-targets"), as_json, _render_targets)


def _render_targets(reply: Reply) -> None:
    rows = [
        (
            found["target"],
            ", ".join(found["source_formats"]),
            "yes" if found["offered"] else "no worker",
            ", ".join(found["options_schema"].get("properties", {})),
            found["description"],
        )
        for found in reply["targets"]
    ]
    out.print(table("Conversion targets", ("target", "from", "offered", "options", "what it does"), rows))


@group.command("list")
def list_conversions(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="only of this version")] = None,
    state: Annotated[str | None, typer.Option(help="initialising, running, succeeded or failed")] = None,
    as_json: AsJson = False,
) -> None:
    """Conversions of this project, newest first."""
    client = client_of(context)
    identifier = model_id(client, model) if model else None
    show(client.get("conversions", model_id=identifier, state=state), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            f"{row['model_name']} {row['model_version']}",
            row["order"]["target"],
            row["state"],
            row["reason"],
            row["conversion_id"],
        )
        for row in reply["conversions"]
    ]
    title = f"{reply['count']} of {reply['total_count']} conversions"
    out.print(table(title, ("model", "target", "state", "reason", "id"), rows))


@group.command("show")
def show_conversion(context: typer.Context, conversion: str, as_json: AsJson = False) -> None:
    """State, proof and benchmark of one conversion."""
    show(client_of(context).get(f"conversions/{conversion}"), as_json, render_conversion)


@group.command("log")
def log(
    context: typer.Context,
    conversion: str,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="until it ends")] = False,
    as_json: AsJson = False,
) -> None:
    """The log of a conversion, also while it runs."""
    client = client_of(context)
    piece = client.get(f"conversions/{conversion}/log")
    show(piece, as_json, lambda reply: typer.echo(reply["text"], nl=False))
    if follow and not as_json and not piece["complete"]:
        for _ in client.events(f"conversions/{conversion}/progress"):
            piece = client.get(f"conversions/{conversion}/log", offset=piece["next_offset"])
            typer.echo(piece["text"], nl=False)


@group.command("delete")
def delete(context: typer.Context, conversion: list[str], as_json: AsJson = False) -> None:
    """Forget finished conversions. The artifact of a successful one stays with its version."""
    reply = client_of(context).post("conversions/delete", {"conversion_ids": conversion})
    show(reply, as_json, _render_deleted)


def _render_deleted(reply: Reply) -> None:
    rows = [(gone, "deleted") for gone in reply["deleted"]]
    rows += [(kept, f"kept: {why}") for kept, why in reply["refused"].items()]
    out.print(table("Deletion", ("conversion", "result"), rows))


def register(app: typer.Typer) -> None:
    app.command("convert")(convert)
    app.add_typer(group, name="conversions")
