"""`modelyard import`: bring in a model from a local folder or a bucket."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.models import render_model
from modelyard.cli.session import AsJson, NoWait, client_of, send, show, wait_and_show
from modelyard.client import Reply, at
from modelyard.errors import NotFoundHere


def import_model(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A local package folder, or s3://bucket/folder/.")],
    name: Annotated[str, typer.Option(help="Model name: letters, digits, Chinese characters, - and _.")],
    version: Annotated[str | None, typer.Option(help="N.N.N; the next free number when omitted.")] = None,
    description: Annotated[str, typer.Option(help="At most 100 characters.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="At most 5; repeat the option.")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in a model package: a folder with config.json and the model (docs/package.md)."""
    client = client_of(context)
    body: dict[str, Any] = {"model_name": name, "description": description, "labels": label or []}
    if version:
        body["model_version"] = version
    if source.startswith("s3://"):
        body["source_location"] = source
    else:
        body["upload_id"] = send(client, _package(Path(source)))
    path = at("models", client.post("models", body)["model_id"])

    def read() -> Reply:
        return client.get(path)

    if no_wait:
        show(read(), as_json, render_model)
    else:
        wait_and_show(client, f"importing {name}", read, "model_status", as_json, render_model)


def _package(folder: Path) -> Path:
    if not folder.is_dir():
        raise NotFoundHere(f"{folder} is not a folder")
    if not (folder / "config.json").is_file() and not (folder / "model" / "config.json").is_file():
        raise NotFoundHere(f"{folder} is no model package: it has neither config.json nor model/config.json")
    return folder


def register(app: typer.Typer) -> None:
    app.command("import")(import_model)
