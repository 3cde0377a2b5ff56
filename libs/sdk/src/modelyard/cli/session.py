"""What every command shares: the client, the output form, exit codes and the way to wait for a long task."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn
from rich.table import Table

from modelyard.client import Client, Reply
from modelyard.connection import find_connection

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="print the reply as JSON instead of a table")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="return at once instead of waiting for the end")]


@dataclass(frozen=True)
class Session:
    """What the global options say; a client is opened when a command needs one."""

    connection: Path | None
    project: str | None

    def client(self) -> Client:
        return Client(find_connection(self.connection, self.project))


def client_of(context: typer.Context) -> Client:
    session: Session = context.obj
    client = session.client()
    context.call_on_close(client.close)
    return client


def show(reply: Any, as_json: bool, render: Callable[[Any], None]) -> None:
    """JSON goes to standard output unwrapped, so that it can be piped."""
    if as_json:
        print(json.dumps(reply, indent=2, ensure_ascii=False))  # noqa: T201 - rich would wrap long lines
    else:
        render(reply)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Columns whose name ends with `>` are right-aligned."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(
            column.rstrip(">"),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",
            no_wrap=column == "id",  # ids are for copying
        )
    for row in rows:
        made.add_row(*("–" if cell is None or cell == "" else str(cell) for cell in row))
    return made


def size(count: float | None) -> str | None:
    if count is None:
        return None
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def transfer_bar(text: str, total: int | None) -> tuple[Progress, Callable[[int], None]]:
    """A progress bar in bytes on standard error; call the function with each chunk's length."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=err,
        transient=True,
    )
    task = bar.add_task(text, total=total)
    return bar, lambda count: bar.advance(task, count)


def wait(client: Client, text: str, read: Callable[[], Reply], state: str) -> Reply:
    """Follow a long task with a spinner on standard error until it ends."""
    spinner = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, transient=True)
    with spinner:
        task = spinner.add_task(text, total=None)

        def tell(reply: Reply) -> None:
            note = reply.get("progress") or reply[state]
            spinner.update(task, description=f"{text}: {note}")

        return client.follow(read, state, tell)
