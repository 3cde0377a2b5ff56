"""`modelyard datasets …`: what models are measured on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli import completing
from modelyard.cli.progress import Transfer
from modelyard.cli.session import AsJson, client_of, facts, out, show, show_rows, size
from modelyard.client import Reply

group = typer.Typer(no_args_is_help=True, help="Register, list and forget datasets.")
Dataset = Annotated[str, typer.Argument(help="Name or id.", autocompletion=completing.datasets)]


class Kind(StrEnum):
    image_folder = "image-folder"
    npz = "npz"


@group.command("add", epilog="Example: modelyard datasets add ./held-out --name held-out")
def add(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A local folder, or s3://bucket/folder/.")],
    name: Annotated[str, typer.Option(help="Letters, digits, Chinese characters, - and _.")],
    kind: Annotated[Kind, typer.Option(help="One folder per class, or one .npz with arrays x and y.")] = (
        Kind.image_folder
    ),
    hidden: Annotated[bool, typer.Option("--hidden", help="Only competitions may use it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register a dataset: from a bucket, where it stays, or uploaded from a local folder."""
    client = client_of(context)
    if source.startswith("s3://"):
        made = client.datasets.storage(name, source, kind=kind.value, hidden=hidden)
    else:
        folder = Path(source)
        with Transfer(f"uploading {folder.name}") as transfer:
            made = client.datasets.upload(
                name,
                folder,
                kind=kind.value,
                hidden=hidden,
                progress=transfer,
                begun=transfer.begun,
                chosen=transfer.chosen,
            )
    show(made, as_json, _render_one)


def _render_one(dataset: Reply) -> None:
    rows = [
        ("id", dataset["dataset_id"]),
        ("kind", dataset["kind"]),
        ("samples", dataset["samples"]),
        ("size", size(dataset["size"])),
        ("digest", dataset["digest"]),
        ("hidden", "yes" if dataset["hidden"] else "no"),
        ("classes", ", ".join(f"{name} ({count})" for name, count in dataset["classes"].items())),
    ]
    out.print(facts(dataset["name"], rows))


@group.command("list", epilog="Example: modelyard datasets list")
def list_datasets(context: typer.Context, as_json: AsJson = False) -> None:
    """List the datasets of this project."""
    show(client_of(context).datasets.list(), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            row["name"],
            row["kind"],
            row["samples"],
            len(row["classes"]),
            size(row["size"]),
            "yes" if row["hidden"] else "no",
        )
        for row in reply["datasets"]
    ]
    title = f"{reply['count']} of {reply['total_count']} datasets"
    show_rows(
        title,
        ("name", "kind", "samples>", "classes>", "size>", "hidden"),
        rows,
        "No datasets; see 'modelyard datasets add --help'.",
    )


@group.command("show", epilog="Example: modelyard datasets show held-out")
def show_dataset(context: typer.Context, dataset: Dataset, as_json: AsJson = False) -> None:
    """Show one dataset with its classes."""
    show(client_of(context).datasets.show(dataset), as_json, _render_one)


@group.command("delete", epilog="Example: modelyard datasets delete held-out")
def delete(
    context: typer.Context,
    dataset: Dataset,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a dataset; its files stay. One that an evaluation or an open competition uses is kept."""
    client = client_of(context)
    if not yes:
        found = client.datasets.show(dataset)
        use = " of competitions" if found["hidden"] else ""
        typer.confirm(f"Forget the dataset {found['name']}{use}, {found['samples']} samples?", abort=True, err=True)
    client.datasets.delete(dataset)
    show({"deleted": dataset}, as_json, lambda _: out.print(f"{dataset} is forgotten; its files stay.", markup=False))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="datasets")
