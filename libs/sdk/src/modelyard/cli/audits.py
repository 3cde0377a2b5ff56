"""`modelyard audit`: whether bucket and register agree."""

from typing import Annotated

import typer

from modelyard.cli.progress import following
from modelyard.cli.session import AsJson, client_of, facts, out, show, size, table
from modelyard.client import Reply
from modelyard.errors import TaskFailed

_SHOWN = 20


def audit(
    context: typer.Context,
    repair: Annotated[bool, typer.Option("--repair", help="Remove strays, mark what is incomplete.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find objects that nobody knows and artifacts whose objects are gone. Exit code 1 while there are any."""
    client = client_of(context)
    with following("auditing", _seen) as tell:
        view = client.audits.run(repair=repair, on_change=tell)
    show(view, as_json, _render)
    if (view["stray_objects"] or view["incomplete"]) and not view["repaired"]:
        raise TaskFailed("bucket and register do not agree; 'modelyard audit --repair' puts it right")


def _seen(view: Reply) -> str:
    return f"{view['state']}, {view['versions']} versions, {view['objects']} objects"


def _render(view: Reply) -> None:
    rows = [
        ("looked at", f"{view['versions']} versions, {view['objects']} objects"),
        ("strays", f"{view['stray_objects']} objects, {size(view['stray_bytes'])}"),
        ("incomplete", len(view["incomplete"])),
        ("repaired", "yes" if view["repaired"] else "no"),
    ]
    out.print(facts("Audit", rows))
    if view["strays"]:
        out.print(table("Strays", ("object",), ((key,) for key in view["strays"][:_SHOWN])))
    if view["incomplete"]:
        damaged = [(each["artifact_id"], each["path"], each["message"]) for each in view["incomplete"][:_SHOWN]]
        out.print(table("Incomplete", ("artifact", "path", "how"), damaged))
    if max(len(view["strays"]), len(view["incomplete"])) > _SHOWN:
        out.print(f"Only the first {_SHOWN} are shown; more are in --json.", highlight=False)


def register(app: typer.Typer) -> None:
    app.command("audit", epilog="Example: modelyard audit --repair")(audit)
