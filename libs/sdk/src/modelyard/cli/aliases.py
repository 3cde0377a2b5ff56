"""`modelyard aliases …`: which version is in production, and which one was at a given time."""

from typing import Annotated

import typer

from modelyard.cli import completing
from modelyard.cli.models import group as models
from modelyard.cli.session import AsJson, client_of, facts, instant, moment, out, show, show_rows, table
from modelyard.client import Reply
from modelyard.references import known_name

group = typer.Typer(no_args_is_help=True, help="champion, staging, …: show, move and remove them; who held one when.")
Name = Annotated[str, typer.Argument(help="Model name.", autocompletion=completing.names)]
Alias = Annotated[str, typer.Argument(help="E.g. champion.", autocompletion=completing.aliases)]


@group.command("list", epilog="Example: modelyard aliases list digits")
def list_aliases(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """List the aliases of a name."""
    client = client_of(context)
    reply = client.aliases.list(name)
    if not reply["aliases"]:
        known_name(client, name)
    show(reply, as_json, _render_aliases)


@group.command("show", epilog="Example: modelyard aliases show digits champion --at 2026-11-22T10:00:00Z")
def show_alias(
    context: typer.Context,
    name: Name,
    alias: Alias,
    at: Annotated[
        str | None, typer.Option(help="E.g. 2027-01-31T12:00, with +01:00 behind it, or ms; default: now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which version holds an alias, or held it at a time."""
    when = instant(at) if at else None
    show(client_of(context).aliases.show(name, alias, instant=when), as_json, _render_alias)


@group.command("move", epilog="Example: modelyard aliases move digits champion 0.0.4")
def move(
    context: typer.Context,
    name: Name,
    alias: Alias,
    version: Annotated[str, typer.Argument(help="The version that shall hold it.")],
    as_json: AsJson = False,
) -> None:
    """Give an alias to a version: atomically, and recorded. Whoever holds it cannot be deleted."""
    client = client_of(context)
    client.aliases.move(name, alias, version)
    show(client.aliases.list(name), as_json, _render_aliases)


@group.command("remove", epilog="Example: modelyard aliases remove digits staging")
def remove(context: typer.Context, name: Name, alias: Alias, as_json: AsJson = False) -> None:
    """Remove an alias. Its history stays."""
    client = client_of(context)
    client.aliases.remove(name, alias)
    show(client.aliases.list(name), as_json, _render_aliases)


@group.command("history", epilog="Example: modelyard aliases history digits champion")
def history(context: typer.Context, name: Name, alias: Alias, as_json: AsJson = False) -> None:
    """Show every move of an alias, newest first: who, when, from where and to where."""
    show(client_of(context).aliases.history(name, alias), as_json, _render_history)


@models.command("alias", epilog="Example: modelyard models alias digits champion --version 0.0.4")
def alias(
    context: typer.Context,
    name: Name,
    alias: Annotated[str | None, typer.Argument(help="E.g. champion; without it all are listed.")] = None,
    version: Annotated[str | None, typer.Option(help="Version to point at.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias.")] = False,
    as_json: AsJson = False,
) -> None:
    """List, move or remove the aliases of a name; 'modelyard aliases' can do more."""
    if alias and remove == (version is not None):
        raise typer.BadParameter("give either --version N.N.N or --remove")
    if not alias and (remove or version):
        raise typer.BadParameter("name the alias")
    client = client_of(context)
    if alias and version:
        client.aliases.move(name, alias, version)
    elif alias:
        client.aliases.remove(name, alias)
    show(client.aliases.list(name), as_json, _render_aliases)


def _render_aliases(reply: Reply) -> None:
    rows = [
        (found["alias"], found["model_version"], found["moved_by"], moment(found["moved_at"]))
        for found in reply["aliases"]
    ]
    show_rows("Aliases", ("alias", "version", "moved by", "moved at"), rows, "It has no aliases.")


def _render_alias(held: Reply) -> None:
    rows = [
        ("version", f"{held['model_name']} {held['model_version']}"),
        ("id", held["model_id"]),
        ("since", moment(held["moved_at"])),
        ("moved by", held["moved_by"]),
    ]
    out.print(facts(held["alias"], rows))


def _render_history(reply: Reply) -> None:
    rows = [
        (
            move["move"],
            moment(move["at"]),
            move["by"],
            move["previous_model_version"],
            move["model_version"] or "removed",
        )
        for move in reply["moves"]
    ]
    out.print(table(f"{reply['model_name']}@{reply['alias']}", ("#>", "when", "by", "from", "to"), rows))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="aliases")
