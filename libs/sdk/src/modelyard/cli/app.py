"""The root of the command line: global options, the groups, and the translation of errors."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.lazy import Root, add_installed
from modelyard.cli.session import Session, err, notes, out
from modelyard.cli.terminal import begin
from modelyard.connection import has_stack
from modelyard.errors import GatewayUnreachable, ModelyardError, Refused, Reply, StorageUnreachable, TaskFailed

EXIT_TASK_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130
_BEFORE = ("--connection", "--project", "--quiet", "-q")
_NO_TEXT = "an argument holds bytes that are no text in this locale; names travel as UTF-8"

ASK_STACK = "Is the stack running? 'modelyard up --data DIR' starts one."
ASK_URL = "Is that the right address, and does this machine reach it?"
ASK_ADDRESS = "Does this machine reach that address? The services are told it: MODELYARD_S3_PUBLIC_ENDPOINT."

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Manage models after training: import, version, convert with proof, evaluate, publish.",
    epilog="Exit codes: 0 done, 1 the task failed, 2 wrong usage, 3 the gateway refused, 4 nobody answers.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("modelyard"))
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    connection: Annotated[
        Path | None,
        typer.Option(envvar="MODELYARD_CONNECTION", help="A connection.json, as 'modelyard up' writes it."),
    ] = None,
    project: Annotated[str | None, typer.Option(envvar="MODELYARD_PROJECT", help="The project to work in.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error, only errors.")] = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    notes.quiet = quiet
    context.obj = Session(connection, project)


def main() -> None:
    """Never returns: ends with one of the exit codes."""
    begin(out, err, notes)
    try:
        add_installed(app)
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more (`| head`). Python flushes once again at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_TASK_FAILED
    sys.exit(code)


def _run() -> int:
    try:
        app()
    except SystemExit as ended:
        if ended.code == EXIT_USAGE and (misplaced := [each for each in sys.argv[2:] if each in _BEFORE]):
            err.print(f"{misplaced[0]} stands before the command: modelyard {misplaced[0]} … COMMAND", highlight=False)
        return ended.code if isinstance(ended.code, int) else EXIT_TASK_FAILED
    except BrokenPipeError:
        raise
    except Refused as refused:
        _say(f"refused ({refused.code}): {refused}", refused.problems)
        if refused.correlation_id:
            err.print(f"  correlation id {refused.correlation_id}", highlight=False, markup=False, style="dim")
        return EXIT_REFUSED
    except TaskFailed as failed:
        _say(f"failed: {failed}", failed.problems)
        return EXIT_TASK_FAILED
    except GatewayUnreachable as unreachable:
        ask = ASK_STACK if has_stack() else ASK_URL
        _say(f"{unreachable}\n{ASK_ADDRESS if isinstance(unreachable, StorageUnreachable) else ask}")
        return EXIT_UNREACHABLE
    except (ModelyardError, OSError, UnicodeEncodeError) as error:
        _say(_NO_TEXT if isinstance(error, UnicodeEncodeError) else _words(error))
        return EXIT_USAGE
    return 0


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _say(text: str, problems: list[Reply] | None = None) -> None:
    err.print(text, style="red", highlight=False, markup=False)
    for problem in problems or []:
        place = " ".join(str(problem[name]) for name in ("file", "field") if problem.get(name)) or "request"
        message = str(problem.get("message"))
        line = f"{place}: {message}" if message not in text else place  # a single problem is often the whole text
        if line == "request" or line in text:
            continue
        err.print(f"  • {line}", highlight=False, markup=False)
