"""`modelyard models compare`: what is better, what is different, and what breaks callers."""

from typing import Annotated, Any

import typer

from modelyard.cli.models import group
from modelyard.cli.session import AsJson, client_of, out, show, size, table
from modelyard.client import Reply

_DIGEST = len("sha256:") + 12


@group.command("compare", epilog="Example: modelyard models compare digits@champion digits:0.0.4")
def compare(
    context: typer.Context,
    models: Annotated[list[str], typer.Argument(help="2 to 20 versions; the first is what the others are held to.")],
    as_json: AsJson = False,
) -> None:
    """Compare versions: metrics, signature, size, operators, parameters, dataset and code."""
    if len(models) < 2:
        raise typer.BadParameter("name at least two versions")
    show(client_of(context).models.compare(models), as_json, render_comparison)


def render_comparison(reply: Reply) -> None:
    versions = reply["versions"]
    rows = [
        (
            letter,
            f"{each['model_name']} {each['model_version']}",
            each["format"] or each["model_type"],
            size(each["model_size"]),
            f"{each['parameter_count']:,}" if each["parameter_count"] else None,
        )
        for letter, each in zip(_letters(), versions, strict=False)
    ]
    out.print(table("Versions", ("", "version", "format", "size>", "parameters>"), rows))
    if reply["signature_changes"]:
        out.print()
        out.print(table("Signature", ("version", "part", "name", "breaks", "what"), _signature(reply)))
    if differs := reply["differences"]:
        columns = ("difference", *(f"{letter}>" for letter, _ in zip(_letters(), versions, strict=False)))
        out.print()
        changed = [(each["subject"], *(_short(each["subject"], value) for value in each["values"])) for each in differs]
        out.print(table("Differences", columns, changed))
    if not reply["signature_changes"] and not reply["differences"]:
        out.print("They do not differ in anything that is known of them.", highlight=False)


def _letters() -> str:
    return "ABCDEFGHIJKLMNOPQRST"


def _signature(reply: Reply) -> list[tuple[Any, ...]]:
    letters = {each["model_id"]: letter for letter, each in zip(_letters(), reply["versions"], strict=False)}
    return [
        (
            letters.get(change["model_id"], change["model_id"]),
            change["part"],
            change["name"],
            "yes" if change["breaking"] else "no",
            change["message"],
        )
        for change in reply["signature_changes"]
    ]


def _short(subject: str, value: Any) -> str | None:
    if value is None:
        return None
    if subject == "size":
        return size(value)
    if subject == "content":  # two digests differ early
        return f"{value[:_DIGEST]}…"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def register(app: typer.Typer) -> None:
    """It belongs to `models`."""
