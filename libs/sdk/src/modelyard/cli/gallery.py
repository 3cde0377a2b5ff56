"""`modelyard publish` and `modelyard gallery …`: show a version to others."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from modelyard.cli import completing
from modelyard.cli.competitions import render_entry
from modelyard.cli.models import Model
from modelyard.cli.progress import fetch, wait_and_show
from modelyard.cli.session import AsJson, NoWait, client_of, out, show, show_rows
from modelyard.client import Reply

group = typer.Typer(no_args_is_help=True, help="What all projects have listed.")
Listing = Annotated[str, typer.Argument(help="Title, or id from 'gallery list'.")]


class Channel(StrEnum):
    gallery = "gallery"
    competition = "competition"


def publish(
    context: typer.Context,
    model: Model,
    to: Annotated[Channel, typer.Option(help="Where it shall appear.")],
    title: Annotated[str | None, typer.Option(help="Gallery: title of the listing.")] = None,
    description: Annotated[str, typer.Option(help="Gallery: text above the card, may be Markdown.")] = "",
    competition: Annotated[str | None, typer.Option(help="Competition: its title or id.")] = None,
    artifact: Annotated[
        str | None, typer.Option(help="Competition: artifact id or target.", autocompletion=completing.artifacts)
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Publish a version to the gallery, or enter it in a competition."""
    if to is Channel.competition and competition is None:
        raise typer.BadParameter("--to competition needs --competition ID; see 'modelyard competitions list'")
    if to is Channel.gallery and (competition or artifact):
        raise typer.BadParameter("--competition and --artifact belong to --to competition")
    client = client_of(context)
    if competition is None:
        show(client.gallery.publish(model, title=title, description=description), as_json, _render_listing)
        return
    entry = client.competitions.enter(competition, model, artifact=artifact)
    if no_wait:
        show(entry, as_json, render_entry)
    else:
        follow = partial(client.competitions.wait, entry["entry_id"])
        wait_and_show("scoring the entry", follow, as_json, render_entry)


def _render_listing(listing: Reply) -> None:
    """Rendered for people, as it is for files and pipes."""
    if out.is_watched:
        out.print(Markdown(listing["card"], hyperlinks=False), soft_wrap=False)
    else:
        typer.echo(listing["card"])
    out.print(f"listing {listing['listing_id']}", highlight=False, markup=False)


@group.command("list", epilog="Example: modelyard gallery list --text digits")
def list_listings(
    context: typer.Context,
    text: Annotated[str | None, typer.Option(help="Part of the title.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what all projects have published, newest first."""
    show(client_of(context).gallery.list(text=text), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (row["title"], f"{row['model_name']} {row['model_version']}", row["project"], row["listing_id"])
        for row in reply["listings"]
    ]
    title = f"{reply['count']} of {reply['total_count']} listings"
    show_rows(
        title,
        ("title", "model", "project", "id"),
        rows,
        "No such listings; 'modelyard publish MODEL --to gallery' makes one.",
    )


@group.command("show", epilog="Example: modelyard gallery show LISTING")
def show_listing(context: typer.Context, listing: Listing, as_json: AsJson = False) -> None:
    """Show a listing with its model card."""
    show(client_of(context).gallery.show(listing), as_json, _render_listing)


@group.command("download", epilog="Example: modelyard gallery download LISTING --to ./digits")
def download_listing(
    context: typer.Context,
    listing: Listing,
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Fetch a listed model and verify each file against the manifest."""
    client = client_of(context)
    fetch(lambda: client.gallery.files(listing), "the listed model", to, as_json)


@group.command("withdraw", epilog="Example: modelyard gallery withdraw LISTING")
def withdraw(context: typer.Context, listing: Listing, as_json: AsJson = False) -> None:
    """Take a listing out of the gallery."""
    client_of(context).gallery.withdraw(listing)
    show({"withdrawn": listing}, as_json, lambda _: out.print(f"{listing} is withdrawn.", markup=False))


def register(app: typer.Typer) -> None:
    app.command("publish", epilog="Example: modelyard publish digits --to gallery --title 'Handwritten digits'")(
        publish
    )
    app.add_typer(group, name="gallery")
