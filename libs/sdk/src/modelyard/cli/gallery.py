"""`modelyard publish` and `modelyard gallery …`: show a version to others."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from modelyard.cli.competitions import render_entry
from modelyard.cli.models import Model
from modelyard.cli.session import AsJson, NoWait, client_of, out, show, table, transfer_bar, wait
from modelyard.client import Reply
from modelyard.references import artifact_id, model_id
from modelyard.transfer import download

group = typer.Typer(no_args_is_help=True, help="What all projects have listed.")


class Channel(StrEnum):
    gallery = "gallery"
    competition = "competition"


def publish(
    context: typer.Context,
    model: Model,
    to: Annotated[Channel, typer.Option(help="where it shall appear")],
    title: Annotated[str | None, typer.Option(help="gallery: title of the listing")] = None,
    description: Annotated[str, typer.Option(help="gallery: text above the card")] = "",
    competition: Annotated[str | None, typer.Option(help="competition: its id")] = None,
    artifact: Annotated[str | None, typer.Option(help="competition: artifact id or target")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Publish a version to the gallery, or enter it in a competition."""
    client = client_of(context)
    identifier = model_id(client, model)
    if to is Channel.gallery:
        body = {"model_id": identifier, "title": title, "description": description}
        show(client.post("gallery", body), as_json, _render_listing)
        return
    if competition is None:
        raise typer.BadParameter("--to competition needs --competition ID; see 'modelyard competitions list'")
    chosen = artifact_id(client.get(f"models/{identifier}"), artifact)
    entry = client.post(f"competitions/{competition}/entries", {"model_id": identifier, "artifact_id": chosen})

    def read() -> Reply:
        return client.get(f"entries/{entry['entry_id']}")

    show(entry if no_wait else wait(client, "scoring the entry", read, "state"), as_json, render_entry)


def _render_listing(listing: Reply) -> None:
    out.print(Markdown(listing["card"]))
    out.print(f"listing {listing['listing_id']}", highlight=False)


@group.command("list")
def list_listings(
    context: typer.Context,
    text: Annotated[str | None, typer.Option(help="substring of the title")] = None,
    as_json: AsJson = False,
) -> None:
    """Listings of all projects, newest first."""
    show(client_of(context).get("gallery", text=text), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (row["title"], f"{row['model_name']} {row['model_version']}", row["project"], row["listing_id"])
        for row in reply["listings"]
    ]
    out.print(table("Gallery", ("title", "model", "project", "id"), rows))


@group.command("show")
def show_listing(context: typer.Context, listing: str, as_json: AsJson = False) -> None:
    """A listing with its model card."""
    show(client_of(context).get(f"gallery/{listing}"), as_json, _render_listing)


@group.command("download")
def download_listing(
    context: typer.Context,
    listing: str,
    to: Annotated[Path, typer.Option(help="folder to fill")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Fetch a listed model and verify it."""
    links = client_of(context).get(f"gallery/{listing}/files")
    bar, advance = transfer_bar("downloading", sum(link["size"] for link in links["files"]))
    with bar:
        paths = download(links, to, advance)
    reply = {"digest": links["digest"], "files": [str(path) for path in paths]}
    show(reply, as_json, lambda made: out.print(table(f"Verified {made['digest']}", ("file",), zip(made["files"]))))


@group.command("withdraw")
def withdraw(context: typer.Context, listing: str, as_json: AsJson = False) -> None:
    """Take a listing out of the gallery."""
    client_of(context).delete(f"gallery/{listing}")
    show({"withdrawn": listing}, as_json, lambda _: out.print(f"{listing} is withdrawn."))


def register(app: typer.Typer) -> None:
    app.command("publish")(publish)
    app.add_typer(group, name="gallery")
