"""`modelyard models files`, `download` and `verify`: the bytes of a version."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli import completing
from modelyard.cli.models import Model, group
from modelyard.cli.progress import fetch, following
from modelyard.cli.session import AsJson, client_of, facts, out, show, size, table
from modelyard.client import Reply
from modelyard.errors import TaskFailed

Artifact = Annotated[
    str | None,
    typer.Option(
        help="Artifact id or target, e.g. openvino-fp16; default: the source.", autocompletion=completing.artifacts
    ),
]


@group.command("files", epilog="Example: modelyard models files digits --artifact openvino-fp16")
def files(context: typer.Context, model: Model, artifact: Artifact = None, as_json: AsJson = False) -> None:
    """List an artifact's files with size, digest and (in the JSON) a link that works for a while."""
    show(client_of(context).models.files(model, artifact), as_json, _render_files)


def _render_files(reply: Reply) -> None:
    rows = [(link["path"], size(link["size"]), link["sha256"][:16] + "…") for link in reply["files"]]
    out.print(table(f"Files: {len(rows)}", ("path", "size>", "SHA-256"), rows))
    out.print(f"digest {reply['digest']}", highlight=False)


@group.command("download", epilog="Example: modelyard models download digits@champion --to ./champion")
def download_model(
    context: typer.Context,
    model: Model,
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    artifact: Artifact = None,
    as_json: AsJson = False,
) -> None:
    """Fetch an artifact's files and verify each against the manifest. The same command again goes on after a break."""
    client = client_of(context)
    found = client.models.show(model)
    read = lambda: client.models.files(found["model_id"], artifact)  # noqa: E731 - asked again when links expire
    fetch(read, f"{found['model_name']} {found['model_version']}", to, as_json)


@group.command("verify", epilog="Example: modelyard models verify digits:0.0.1")
def verify(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """Read all files of a version again and compare them with its manifests. Exit code 1 when one is damaged."""
    client = client_of(context)
    with following(f"verifying {model}", _checked) as tell:
        view = client.models.verify(model, tell)
    show(view, as_json, _render_verification)
    if not view["intact"]:
        raise TaskFailed(f"{len(view['damaged'])} files of {model} are not what the manifest says")


def _checked(view: Reply) -> str:
    return f"{view['state']}, {size(view['checked_bytes'])} of {size(view['total_bytes'])}"


def _render_verification(view: Reply) -> None:
    rows = [
        ("files", "as the manifest says" if view["intact"] else f"{len(view['damaged'])} damaged"),
        ("read", size(view["checked_bytes"])),
    ]
    out.print(facts("Verification", rows))
    if view["damaged"]:
        damaged = [(each["path"], each["reason"], each["message"]) for each in view["damaged"]]
        out.print(table("Damaged", ("path", "what", "how"), damaged))


def register(app: typer.Typer) -> None:
    """They belong to `models`."""
