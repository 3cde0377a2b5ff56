"""`modelyard import`: bring in a model from a local folder or a bucket."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.models import render_model
from modelyard.cli.session import AsJson, NoWait, client_of, show, transfer_bar, wait
from modelyard.client import Client
from modelyard.errors import NotFoundHere
from modelyard.transfer import files_below, upload


def import_model(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="local package folder, or s3://bucket/folder/")],
    name: Annotated[str, typer.Option(help="model name: letters, digits, Chinese characters, - and _")],
    version: Annotated[str | None, typer.Option(help="N.N.N; the next free patch number when omitted")] = None,
    description: Annotated[str, typer.Option(help="at most 100 characters")] = "",
    label: Annotated[list[str] | None, typer.Option(help="at most 5; repeat the option")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in a model package (a folder with config.json and the model; see docs/package.md)."""
    client = client_of(context)
    body: dict[str, Any] = {"model_name": name, "description": description, "labels": label or []}
    if version:
        body["model_version"] = version
    body |= (
        {"source_location": source} if source.startswith("s3://") else {"upload_id": _uploaded(client, Path(source))}
    )
    model_id = client.post("models", body)["model_id"]

    def read() -> dict[str, Any]:
        return client.get(f"models/{model_id}")

    model = read() if no_wait else wait(client, f"importing {name}", read, "model_status")
    show(model, as_json, render_model)


def _uploaded(client: Client, folder: Path) -> str:
    if not (folder / "config.json").is_file() and not (folder / "model" / "config.json").is_file():
        raise NotFoundHere(f"{folder} is no model package: it has neither config.json nor model/config.json")
    total = sum(path.stat().st_size for _, path in files_below(folder))
    bar, advance = transfer_bar(f"uploading {folder.name}", total)
    with bar:
        return upload(client, folder, advance)


def register(app: typer.Typer) -> None:
    app.command("import")(import_model)
