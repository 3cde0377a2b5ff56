"""`modelyard convert` and `modelyard conversions …`: refit a version for a chip, with proof."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli import completing
from modelyard.cli.model_tables import artifacts_table
from modelyard.cli.models import Model
from modelyard.cli.progress import fetch, wait_and_show
from modelyard.cli.proof_tables import render_proof
from modelyard.cli.session import AsJson, NoWait, client_of, facts, json_value, moment, out, show, show_rows, table
from modelyard.client import Reply

group = typer.Typer(no_args_is_help=True, help="What can be made, what was made, and the logs of it.")
Conversion = Annotated[str, typer.Argument(help="Id from 'conversions list'.")]


def convert(
    context: typer.Context,
    model: Model,
    to: Annotated[
        str,
        typer.Option(
            help="Target, e.g. openvino-fp16; see 'modelyard conversions targets'.", autocompletion=completing.targets
        ),
    ],
    option: Annotated[list[str] | None, typer.Option(help="name=value of the target's options; repeat.")] = None,
    calibration: Annotated[
        str | None, typer.Option(help="Dataset for calibration and parity.", autocompletion=completing.datasets)
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            help="name=value of the tolerance; repeat. For a role or an output: roles.boxes.max_rel_error=0.1, "
            "outputs.logits.min_top1_agreement=0.9."
        ),
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Convert a version; the result is proved against the source and benchmarked beside it."""
    client = client_of(context)
    made = client.conversions.create(
        model,
        to,
        options=dict(map(json_value, option or [])),
        tolerance=_tolerance(tolerance or []),
        calibration=calibration,
    )
    if no_wait:
        show(made, as_json, render_conversion)
    else:
        follow = partial(client.conversions.wait, made["conversion_id"])
        wait_and_show(f"converting to {to}", follow, as_json, render_conversion)


def _tolerance(given: list[str]) -> dict[str, Any]:
    """`roles.boxes.max_rel_error=0.1` → `{"roles": {"boxes": {"max_rel_error": 0.1}}}`."""
    found: dict[str, Any] = {}
    for name, value in map(json_value, given):
        of, _, rest = name.partition(".")
        which, _, bound = rest.rpartition(".")
        if of in ("roles", "outputs") and which:
            found.setdefault(of, {}).setdefault(which, {})[bound] = value
        else:
            found[name] = value
    return found


def render_conversion(conversion: Reply) -> None:
    rows = [("id", conversion["conversion_id"]), ("state", conversion["state"])]
    rows += [(name, conversion[name]) for name in ("progress", "reason") if conversion.get(name)]
    title = f"{conversion['model_name']} {conversion['model_version']} → {conversion['order']['target']}"
    out.print(facts(title, rows))
    artifact = conversion.get("artifact") or {}
    if artifact.get("target"):
        out.print()
        out.print(artifacts_table([artifact]))
    render_proof(artifact)
    if until := conversion.get("kept_until"):
        out.print()
        out.print(
            f"The result is kept until {moment(until)}: "
            f"modelyard conversions result {conversion['conversion_id']} --to FOLDER",
            highlight=False,
            soft_wrap=True,
        )


@group.command("targets", epilog="Example: modelyard conversions targets")
def targets(context: typer.Context, as_json: AsJson = False) -> None:
    """List what can be made from what, and whether a worker offers it now."""
    show(client_of(context).conversions.targets(), as_json, _render_targets)


def _render_targets(reply: Reply) -> None:
    rows = [
        (
            found["target"],
            ", ".join(found["source_formats"]),
            "yes" if found["offered"] else "no",
            ", ".join(found["options_schema"].get("properties", {})),
            found["description"],
        )
        for found in reply["targets"]
    ]
    out.print(table("Conversion targets", ("target", "from", "offered", "options", "what it does"), rows))


@group.command("list", epilog="Example: modelyard conversions list --model digits --state failed")
def list_conversions(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only of this version.", autocompletion=completing.models)] = None,
    state: Annotated[str | None, typer.Option(help="initialising, running, succeeded or failed.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the conversions of this project, newest first."""
    show(client_of(context).conversions.list(model=model, state=state), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (f"{row['model_name']} {row['model_version']}", row["order"]["target"], row["state"], row["conversion_id"])
        for row in reply["conversions"]
    ]
    title = f"{reply['count']} of {reply['total_count']} conversions"
    show_rows(
        title,
        ("model", "target", "state", "id"),
        rows,
        "No such conversions; 'modelyard convert MODEL --to TARGET' makes one.",
    )


@group.command("show", epilog="Example: modelyard conversions show CONVERSION")
def show_conversion(context: typer.Context, conversion: Conversion, as_json: AsJson = False) -> None:
    """Show state, proof and benchmark of one conversion."""
    show(client_of(context).conversions.show(conversion), as_json, render_conversion)


@group.command("log", epilog="Example: modelyard conversions log CONVERSION --follow")
def log(
    context: typer.Context,
    conversion: Conversion,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the log of a conversion, also while it runs."""
    client = client_of(context)
    if not follow or as_json:
        piece = client.conversions.log(conversion)
        if follow and not piece["complete"]:
            raise typer.BadParameter("--follow prints the log as it grows; it cannot be one JSON document")
        show(piece, as_json, lambda reply: typer.echo(reply["text"], nl=False))
        return
    for text in client.conversions.follow_log(conversion):
        typer.echo(text, nl=False)


@group.command("result", epilog="Example: modelyard conversions result CONVERSION --to ./failed")
def result(
    context: typer.Context,
    conversion: Conversion,
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Fetch a result that failed its proof, to look at it. One that passed: 'models download --artifact'."""
    client = client_of(context)
    fetch(lambda: client.conversions.result(conversion), f"result of {conversion}", to, as_json)


@group.command("delete", epilog="Example: modelyard conversions delete CONVERSION")
def delete(
    context: typer.Context,
    conversion: Annotated[list[str], typer.Argument(help="Ids from 'conversions list'.")],
    as_json: AsJson = False,
) -> None:
    """Forget finished conversions. The artifact of a successful one stays with its version."""
    reply = client_of(context).conversions.delete(conversion)
    show(reply, as_json, _render_deleted)


def _render_deleted(reply: Reply) -> None:
    rows = [(gone, "deleted") for gone in reply["deleted"]]
    rows += [(kept, f"kept: {why}") for kept, why in reply["refused"].items()]
    out.print(table("Deletion", ("id", "result"), rows))


def register(app: typer.Typer) -> None:
    app.command("convert", epilog="Example: modelyard convert digits --to onnx-int8-static --option per_channel=true")(
        convert
    )
    app.add_typer(group, name="conversions")
