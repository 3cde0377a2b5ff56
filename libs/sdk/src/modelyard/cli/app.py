"""The root of the command line: global options, the groups, and the translation of errors."""

import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli import (
    competitions,
    conversions,
    datasets,
    evaluations,
    gallery,
    imports,
    models,
    operations,
    training,
)
from modelyard.cli.session import Session, err
from modelyard.errors import GatewayUnreachable, ModelyardError, Refused, TaskFailed

EXIT_TASK_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_UNREACHABLE = 4

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Manage models after training: import, version, convert with proof, evaluate, publish. "
    "Exit codes: 0 done, 1 the task failed, 2 wrong usage, 3 the gateway refused, 4 nobody answers.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("modelyard"))
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    connection: Annotated[
        Path | None,
        typer.Option(envvar="MODELYARD_CONNECTION", help="connection.json that 'modelyard up' wrote"),
    ] = None,
    project: Annotated[str | None, typer.Option(envvar="MODELYARD_PROJECT", help="project to work in")] = None,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")] = False,
) -> None:
    context.obj = Session(connection, project)


for module in (imports, models, conversions, datasets, evaluations, gallery, competitions, training, operations):
    module.register(app)


def _add_installed_commands() -> None:
    """`up` and `demo` come with the package modelyard-local; a client alone does not have them."""
    for found in entry_points(group="modelyard.commands"):
        app.command(found.name)(found.load())


def main() -> None:
    _add_installed_commands()
    try:
        app()
    except Refused as refused:
        err.print(f"[red]refused[/red] ({refused.code}): {refused}", highlight=False)
        for problem in refused.problems:
            place = " ".join(part for part in (problem.get("file"), problem.get("field")) if part)
            err.print(f"  • {place or 'request'}: {problem['message']}", highlight=False, markup=False)
        if refused.correlation_id:
            err.print(f"  correlation id {refused.correlation_id}", highlight=False, style="dim")
        sys.exit(EXIT_REFUSED)
    except TaskFailed as failed:
        err.print(f"failed: {failed}", style="red", highlight=False, markup=False)
        sys.exit(EXIT_TASK_FAILED)
    except GatewayUnreachable as unreachable:
        err.print(
            f"{unreachable}\nIs the stack running? 'modelyard up --data DIR' starts one.", highlight=False, markup=False
        )
        sys.exit(EXIT_UNREACHABLE)
    except (ModelyardError, OSError) as error:
        err.print(str(error), style="red", highlight=False, markup=False)
        sys.exit(EXIT_USAGE)
