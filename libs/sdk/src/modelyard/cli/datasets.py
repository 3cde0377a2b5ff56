"""`modelyard datasets …`: what models are measured on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.session import AsJson, client_of, out, show, size, table, transfer_bar
from modelyard.client import Client, Reply
from modelyard.references import dataset_id
from modelyard.transfer import files_below, upload

group = typer.Typer(no_args_is_help=True, help="Register and list datasets.")


@group.command("add")
def add(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="local folder, or s3://bucket/folder/")],
    name: Annotated[str, typer.Option(help="letters, digits, Chinese characters, - and _")],
    kind: Annotated[
        str, typer.Option(help="image-folder (one folder per class) or npz (arrays x and y)")
    ] = "image-folder",
    hidden: Annotated[bool, typer.Option("--hidden", help="only competitions may use it")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a dataset: from a bucket, where it stays, or uploaded from a local folder."""
    client = client_of(context)
    body: dict[str, Any] = {"name": name, "kind": kind, "hidden": hidden}
    body |= (
        {"source_location": source} if source.startswith("s3://") else {"upload_id": _uploaded(client, Path(source))}
    )
    show(client.post("datasets", body), as_json, _render_one)


def _uploaded(client: Client, folder: Path) -> str:
    bar, advance = transfer_bar(f"uploading {folder.name}", sum(path.stat().st_size for _, path in files_below(folder)))
    with bar:
        return upload(client, folder, advance)


def _render_one(dataset: Reply) -> None:
    rows = [(name, dataset[name]) for name in ("dataset_id", "kind", "samples", "digest", "hidden")]
    rows.append(("classes", ", ".join(f"{name} ({count})" for name, count in dataset["classes"].items())))
    out.print(table(dataset["name"], ("fact", "value"), rows))


@group.command("list")
def list_datasets(context: typer.Context, as_json: AsJson = False) -> None:
    """Datasets of this project."""
    show(client_of(context).get("datasets"), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            row["name"],
            row["kind"],
            row["samples"],
            len(row["classes"]),
            size(row["size"]),
            "hidden" if row["hidden"] else "",
            row["dataset_id"],
        )
        for row in reply["datasets"]
    ]
    out.print(table("Datasets", ("name", "kind", "samples>", "classes>", "size>", "", "id"), rows))


@group.command("show")
def show_dataset(context: typer.Context, dataset: str, as_json: AsJson = False) -> None:
    """One dataset with its classes."""
    client = client_of(context)
    show(client.get(f"datasets/{dataset_id(client, dataset)}"), as_json, _render_one)


@group.command("delete")
def delete(context: typer.Context, dataset: str, as_json: AsJson = False) -> None:
    """Forget a dataset; its files stay."""
    client = client_of(context)
    client.delete(f"datasets/{dataset_id(client, dataset)}")
    show({"deleted": dataset}, as_json, lambda _: out.print(f"{dataset} is forgotten; its files stay."))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="datasets")
