"""`modelyard import …`: every way in."""

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modelyard.cli.model_tables import render_model
from modelyard.cli.models import docs
from modelyard.cli.progress import Transfer, following
from modelyard.cli.session import AsJson, NoWait, client_of, notes, pair, show, size
from modelyard.cli.templates import json_file
from modelyard.client import Client, Reply
from modelyard.errors import Refused, TaskFailed
from modelyard.resources.imports import Details


class _SourceFirst(TyperGroup):
    """`import s3://…` and `import FOLDER` without naming the way: it can be seen."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        close = get_close_matches(args[0], self.commands, n=1, cutoff=0.8) if args else []
        if close and close[0] != args[0] and not Path(args[0]).exists():
            raise typer.BadParameter(f"there is no {args[0]!r} here and no such way in; did you mean {close[0]!r}?")
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["storage" if any(word.startswith("s3://") for word in args) else "upload", *args]
        return super().parse_args(ctx, args)


group = typer.Typer(
    cls=_SourceFirst,
    no_args_is_help=True,
    help="Bring in a model: from a bucket, this machine, a training run, a template or a container image. "
    "'import s3://…' and 'import FOLDER' work without naming the way.",
)
Name = Annotated[str, typer.Option(help="Model name: letters, digits, Chinese characters, - and _.")]
Version = Annotated[str | None, typer.Option(help="N.N.N; the next free number when omitted.")]
Description = Annotated[str, typer.Option(help="At most 100 characters.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="At most 5; repeat the option.")]
Docs = Annotated[list[str] | None, typer.Option("--doc", help="name=https://… of a page about it, at most 3; repeat.")]


def _details(version: str | None, description: str, labels: list[str] | None, links: list[str] | None) -> Details:
    details: Details = {"description": description, "labels": labels or []}
    if version:
        details["model_version"] = version
    if links:
        details["model_docs"] = docs(links)
    return details


@group.command("storage", epilog="Example: modelyard import storage s3://training/digits/V001/ --name digits")
def storage(
    context: typer.Context,
    location: Annotated[str, typer.Argument(help="s3://bucket/folder/ with the package (docs/package.md).")],
    name: Name,
    by_reference: Annotated[
        bool, typer.Option("--by-reference", help="Copy nothing: pin the objects where they lie.")
    ] = False,
    version: Version = None,
    description: Description = "",
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in a package from a bucket: copied, or by reference."""
    if not location.startswith("s3://"):
        raise typer.BadParameter(f"{location!r} is not s3://bucket/folder/; 'import upload' takes a local folder")
    details = _details(version, description, label, doc)
    client = client_of(context)
    made = client.imports.storage(name, location, by_reference=by_reference, **details)
    finish(client, made, no_wait, as_json)


@group.command("upload", epilog="Example: modelyard import upload ./digits --name digits")
def upload(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="A folder with config.json and the model (docs/package.md), or one model file.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Model name; that of the folder or of the file when omitted.")
    ] = None,
    model_type: Annotated[
        str | None, typer.Option("--type", help="Of one file: its model_type; by its ending when omitted.")
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", help="Of one file: its model_algorithm; predict_analysis when omitted.")
    ] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Files that begin with a dot go too, .git never.")] = False,
    version: Version = None,
    description: Description = "",
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in a package from this machine. After a break the same command goes on: nothing is sent twice."""
    details = _details(version, description, label, doc)
    client = client_of(context)
    with Transfer(f"uploading {folder.name}") as transfer:
        made = client.imports.upload(
            name or _called(folder),
            folder,
            hidden=hidden,
            model_type=model_type,
            algorithm=algorithm,
            progress=transfer,
            begun=transfer.begun,
            chosen=transfer.chosen,
            **details,
        )
    finish(client, made, no_wait, as_json)


def _called(folder: Path) -> str:
    """What it is called, as far as a model may be called so. Raises BadParameter."""
    there = folder.resolve()
    called = re.sub(r"[^\w-]+", "-", there.name if there.is_dir() else there.stem).strip("-")
    if not called:
        raise typer.BadParameter(f"{folder} says no name: give one with --name")
    notes.print(f"named {called!r}, as it is called here (--name)", highlight=False, markup=False)
    return called


@group.command("training", epilog="Example: modelyard import training digits-mlp V003 --name digits")
def training(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="Job name, or a run's id from 'training list'.")],
    run: Annotated[str | None, typer.Argument(help="V001, V002, …; needed when several runs have finished.")] = None,
    name: Annotated[str | None, typer.Option(help="Model name; the job's name when omitted.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="Of several runs the newest.")] = False,
    version: Version = None,
    description: Description = "",
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in what a finished training run has made, with its metrics, parameters, dataset and code."""
    details = _details(version, description, label, doc)
    client = client_of(context)
    finish(client, client.imports.training(name, job, run, latest=latest, **details), no_wait, as_json)


@group.command(
    "template",
    epilog="Example: modelyard import template onnx --input model_folder=s3://training/onnx/ --name digits",
)
def template(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="Id or name, from 'templates list'.")],
    name: Name,
    given: Annotated[
        list[str], typer.Option("--input", help="input=s3://bucket/folder/, for each input of the template.")
    ],
    mode: Annotated[str | None, typer.Option(help="Another input/output mode, from 'infer-formats'.")] = None,
    version: Version = None,
    description: Description = "",
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in files without a config.json: the template says what they are."""
    details = _details(version, description, label, doc)
    inputs = dict(map(pair, given))
    client = client_of(context)
    finish(client, client.imports.template(name, template, inputs, infer_format=mode, **details), no_wait, as_json)


@group.command("image", epilog="Example: modelyard import image ghcr.io/team/app:1.4 --config config.json --name app")
def image(
    context: typer.Context,
    reference: Annotated[str, typer.Argument(help="registry/repository:tag, or …@sha256:…")],
    name: Name,
    config: Annotated[str, typer.Option(help="config.json: a local file, or s3://bucket/folder/config.json.")],
    platform: Annotated[str | None, typer.Option(help="linux/amd64 when omitted; linux/arm64, …")] = None,
    version: Version = None,
    description: Description = "",
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Bring in a container image by its digest; its layers stay in the registry."""
    details = _details(version, description, label, doc)
    wanted: dict[str, Any] | str = config if config.startswith("s3://") else json_file(Path(config))
    client = client_of(context)
    finish(client, client.imports.image(name, reference, wanted, platform=platform, **details), no_wait, as_json)


def finish(client: Client, made: Reply, no_wait: bool, as_json: bool) -> None:
    """Follow the import. What was refused is shown as well: it says everything that is wrong."""
    identifier = made["model_id"]
    sent = {name: made[name] for name in ("left_out", "notes") if name in made}
    if no_wait:
        show(client.models.show(identifier) | sent, as_json, render_model)
        return
    text = f"importing {made['model_name']} {made['model_version']}"
    try:
        with following(text, _note(client, identifier)) as tell:
            reply = client.imports.wait(identifier, tell)
    except TaskFailed as failed:
        show((failed.reply or {}) | sent, as_json, render_model)
        if as_json:
            raise
        raise TaskFailed(f"{made['model_name']} {made['model_version']} was not imported") from failed
    show(reply | sent, as_json, render_model)


def _note(client: Client, identifier: str) -> Callable[[Reply], str]:
    """How many bytes are there, where somebody is looking."""

    def note(model: Reply) -> str:
        if model["model_status"] != "publishing" or notes.quiet:
            return str(model["model_status"])
        try:
            view = client.imports.show(identifier)
        except Refused:  # it has not begun
            return "waiting"
        if reason := view.get("waits_for"):
            return f"tries again, {view['attempt']} so far: {reason}"
        if not view.get("total_bytes"):
            return str(view["state"])
        return f"{size(view['copied_bytes'])} of {size(view['total_bytes'])}"

    return note


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="import")
