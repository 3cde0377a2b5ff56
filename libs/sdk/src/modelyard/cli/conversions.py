"""`modelyard convert` and `modelyard conversions …`: refit a version for a chip, with proof."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.model_tables import artifacts_table
from modelyard.cli.models import Model
from modelyard.cli.progress import fetch, wait_and_show
from modelyard.cli.proof_tables import render_proof
from modelyard.cli.session import AsJson, NoWait, client_of, facts, json_value, moment, out, show, table
from modelyard.client import Client, Reply, at
from modelyard.references import dataset_id, model_id

group = typer.Typer(no_args_is_help=True, help="What can be made, what was made, and the logs of it.")
Conversion = Annotated[str, typer.Argument(help="Id from 'conversions list'.")]


def convert(
    context: typer.Context,
    model: Model,
    to: Annotated[str, typer.Option(help="Target, e.g. openvino-fp16; see 'modelyard conversions targets'.")],
    option: Annotated[list[str] | None, typer.Option(help="name=value of the target's options; repeat.")] = None,
    calibration: Annotated[str | None, typer.Option(help="Dataset for calibration and parity.")] = None,
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
    order: dict[str, Any] = {"target": to, "options": dict(map(json_value, option or []))}
    if calibration:
        order["calibration_dataset_id"] = dataset_id(client, calibration)
    if tolerance:
        order["tolerance"] = _tolerance(client, to, tolerance)
    made = client.post("conversions", {"model_id": model_id(client, model), "order": order})

    def read() -> Reply:
        return client.get(at("conversions", made["conversion_id"]))

    if no_wait:
        show(made, as_json, render_conversion)
    else:
        wait_and_show(client, f"converting to {to}", read, "state", as_json, render_conversion)


def _tolerance(client: Client, target: str, given: list[str]) -> dict[str, Any]:
    """The target's own with `given` over it."""
    rows = {row["target"]: row for row in client.get("conversion-targets")["targets"]}
    if target not in rows:
        raise typer.BadParameter(f"there is no target {target}; known are {', '.join(rows)}", param_hint="--to")
    found: dict[str, Any] = {**rows[target]["default_tolerance"]}
    for name, value in map(json_value, given):
        of, _, rest = name.partition(".")
        which, _, bound = rest.rpartition(".")
        if of in ("roles", "outputs") and which:
            found[of] = {**found.get(of, {})}
            found[of][which] = {**found[of].get(which, {}), bound: value}
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
    show(client_of(context).get("conversion-targets"), as_json, _render_targets)


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
    model: Annotated[str | None, typer.Option(help="Only of this version.")] = None,
    state: Annotated[str | None, typer.Option(help="initialising, running, succeeded or failed.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the conversions of this project, newest first."""
    client = client_of(context)
    identifier = model_id(client, model) if model else None
    show(client.get("conversions", model_id=identifier, state=state), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (f"{row['model_name']} {row['model_version']}", row["order"]["target"], row["state"], row["conversion_id"])
        for row in reply["conversions"]
    ]
    title = f"{reply['count']} of {reply['total_count']} conversions"
    out.print(table(title, ("model", "target", "state", "id"), rows))


@group.command("show", epilog="Example: modelyard conversions show CONVERSION")
def show_conversion(context: typer.Context, conversion: Conversion, as_json: AsJson = False) -> None:
    """Show state, proof and benchmark of one conversion."""
    show(client_of(context).get(at("conversions", conversion)), as_json, render_conversion)


@group.command("log", epilog="Example: modelyard conversions log CONVERSION --follow")
def log(
    context: typer.Context,
    conversion: Conversion,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the log of a conversion, also while it runs."""
    client = client_of(context)
    path = at("conversions", conversion, "log")
    piece = client.get(path)
    if not follow or piece["complete"]:
        show(piece, as_json, lambda reply: typer.echo(reply["text"], nl=False))
        return
    if as_json:
        raise typer.BadParameter("--follow prints the log as it grows; it cannot be one JSON document")
    typer.echo(piece["text"], nl=False)
    for _ in client.events(at("conversions", conversion, "progress")):
        piece = client.get(path, offset=piece["next_offset"])
        typer.echo(piece["text"], nl=False)


@group.command("result", epilog="Example: modelyard conversions result CONVERSION --to ./failed")
def result(
    context: typer.Context,
    conversion: Conversion,
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Fetch a result that failed its proof, to look at it. One that passed: 'models download --artifact'."""
    client = client_of(context)
    fetch(lambda: client.get(at("conversions", conversion, "result")), f"result of {conversion}", to, as_json)


@group.command("delete", epilog="Example: modelyard conversions delete CONVERSION")
def delete(
    context: typer.Context,
    conversion: Annotated[list[str], typer.Argument(help="Ids from 'conversions list'.")],
    as_json: AsJson = False,
) -> None:
    """Forget finished conversions. The artifact of a successful one stays with its version."""
    reply = client_of(context).post("conversions/delete", {"conversion_ids": conversion})
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
