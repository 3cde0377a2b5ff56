"""`modelyard templates …`, `runtimes` and `infer-formats`: what an import can lean on instead of a config.json."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from modelyard.cli.session import AsJson, client_of, facts, out, show, show_rows, table
from modelyard.client import Reply

group = typer.Typer(no_args_is_help=True, help="Templates: engine, runtime and input/output mode, fixed once.")
runtimes = typer.Typer(no_args_is_help=True, help="Runtimes that a config.json may name.")
Template = Annotated[str, typer.Argument(help="Id, or a name that only one template has.")]
Type = Annotated[str | None, typer.Option("--type", help="Only of this model type, e.g. ONNX.")]


@group.command("list", epilog="Example: modelyard templates list --type PyTorch --environment gpu")
def list_templates(
    context: typer.Context,
    model_type: Type = None,
    engine: Annotated[str | None, typer.Option(help="Only of this engine.")] = None,
    environment: Annotated[str | None, typer.Option(help="A Python version or a processor: py36, gpu.")] = None,
    keyword: Annotated[str | None, typer.Option(help="Part of name, description or keywords.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the built-in templates and those of this project."""
    reply = client_of(context).templates.list(
        model_type=model_type, engine=engine, environment=environment, keyword=keyword
    )
    show(reply, as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            found["template_id"],
            found["model_type"],
            found["infer_format"] + (" (fixed)" if found["infer_format_fixed"] else ""),
            ", ".join(each["input_id"] for each in found["template_inputs"]),
        )
        for found in reply["templates"]
    ]
    title = f"{reply['count']} of {reply['total_count']} templates"
    show_rows(
        title,
        ("template", "type", "mode", "inputs"),
        rows,
        "No such templates; 'modelyard templates list' without options shows all.",
    )


@group.command("show", epilog="Example: modelyard templates show onnx")
def show_template(context: typer.Context, template: Template, as_json: AsJson = False) -> None:
    """Show one template with its inputs: what `import template` needs."""
    show(client_of(context).templates.show(template), as_json, _render_one)


def _render_one(found: Reply) -> None:
    rows: list[tuple[str, Any]] = [
        ("id", found["template_id"]),
        ("type", found["model_type"]),
        ("runtime", found["runtime"]),
        ("mode", found["infer_format"] + (", fixed" if found["infer_format_fixed"] else ", replaceable")),
        ("algorithm", found["model_algorithm"]),
        ("environment", ", ".join(filter(None, (found["python"], *found["processors"])))),
        ("description", found["description"]),
        ("keywords", ", ".join(found["keywords"])),
        ("made by", "built in" if found["built_in"] else found["created_by"]),
    ]
    out.print(facts(found["template_name"], rows))
    out.print()
    out.print(_inputs(found["template_inputs"]))


def _inputs(inputs: list[Reply]) -> Table:
    rows = [
        (each["input_id"], each["label"], each["folder"], "yes" if each["required"] else "no", each["description"])
        for each in inputs
    ]
    return table("Inputs", ("input", "label", "goes to", "needed", "what"), rows)


@group.command("create", epilog="Example: modelyard templates create template.json  (docs/import.md shows one)")
def create(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON: template_name, model_type, infer_format, template_inputs, …")],
    as_json: AsJson = False,
) -> None:
    """Make a template of this project's own."""
    show(client_of(context).templates.create(json_file(file)), as_json, _render_one)


def json_file(file: Path) -> dict[str, Any]:
    """Raises BadParameter when it holds no JSON object, OSError when it cannot be read."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise typer.BadParameter(f"{file} holds no JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{file} holds no JSON object")
    return found


@group.command("delete", epilog="Example: modelyard templates delete my-template")
def delete(context: typer.Context, template: Template, as_json: AsJson = False) -> None:
    """Delete a template of this project's own. Versions that came by it stay."""
    client_of(context).templates.delete(template)
    done = f"template {template} is deleted; versions that came by it stay."
    show({"deleted": template}, as_json, lambda _: out.print(done, markup=False, highlight=False))


@runtimes.command("list", epilog="Example: modelyard runtimes list --type TensorFlow")
def list_runtimes(context: typer.Context, model_type: Type = None, as_json: AsJson = False) -> None:
    """List the runtimes, each for one model type."""
    show(client_of(context).templates.runtimes(model_type=model_type), as_json, _render_runtimes)


def _render_runtimes(reply: Reply) -> None:
    rows = [
        (
            found["runtime"],
            found["model_type"],
            f"{found['engine']} {found['engine_version'] or ''}",
            found["python"],
            ", ".join(found["processors"]),
        )
        for found in reply["runtimes"]
    ]
    out.print(table(f"{len(rows)} runtimes", ("runtime", "type", "engine", "Python", "processors"), rows))


def infer_formats(context: typer.Context, as_json: AsJson = False) -> None:
    """List the input/output modes; the JSON holds the schema of each request and response."""
    show(client_of(context).templates.infer_formats(), as_json, _render_modes)


def _render_modes(reply: Reply) -> None:
    rows = [(mode["infer_format"], "yes" if mode["batch"] else "no", mode["description"]) for mode in reply["modes"]]
    out.print(table("Input/output modes", ("mode", "batch", "what"), rows))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="templates")
    app.add_typer(runtimes, name="runtimes")
    app.command("infer-formats", epilog="Example: modelyard infer-formats --json")(infer_formats)
