"""`modelyard models promote` and `models copy`: a version with all it has, in another project or under another name."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.imports import Docs, Labels, Version, finish
from modelyard.cli.models import Model, docs, group
from modelyard.cli.session import AsJson, NoWait, client_of
from modelyard.resources.imports import Details

Description = Annotated[str | None, typer.Option(help="At most 100 characters; the original's when omitted.")]


def _details(
    version: str | None, description: str | None, labels: list[str] | None, links: list[str] | None
) -> Details:
    """What is not given is the original's."""
    details: Details = {}
    if version:
        details["model_version"] = version
    if description is not None:
        details["description"] = description
    if labels:
        details["labels"] = labels
    if links:
        details["model_docs"] = docs(links)
    return details


@group.command("promote", epilog="Example: modelyard models promote digits@champion --to-connection production.json")
def promote(
    context: typer.Context,
    model: Model,
    to_connection: Annotated[
        Path, typer.Option(help="connection.json of the other project: its gateway_url, token (writer) and project.")
    ],
    name: Annotated[str | None, typer.Option(help="Its name there; the same when omitted.")] = None,
    version: Version = None,
    description: Description = None,
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Copy a version to another project of this yard, with artifacts, proofs and evaluations."""
    from modelyard.client import Client
    from modelyard.connection import connection_in

    source = client_of(context)
    target = Client(connection_in(to_connection))
    context.call_on_close(target.close)
    made = source.models.promote(model, target, name=name, **_details(version, description, label, doc))
    finish(target, made, no_wait, as_json)


@group.command("copy", epilog="Example: modelyard models copy digits:1.0.0 --name digits-eu")
def copy(
    context: typer.Context,
    model: Model,
    name: Annotated[str, typer.Option(help="The name of the copy.")],
    version: Version = None,
    description: Description = None,
    label: Labels = None,
    doc: Docs = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Copy a version to another name of this project, with artifacts, proofs and evaluations."""
    client = client_of(context)
    finish(client, client.models.copy(model, name, **_details(version, description, label, doc)), no_wait, as_json)


def register(app: typer.Typer) -> None:
    """It belongs to `models`."""
