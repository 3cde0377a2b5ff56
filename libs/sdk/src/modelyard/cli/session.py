"""What every command shares: the client, the output form, tables, progress and the way to wait for a long task."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn
from rich.table import Table

from modelyard.client import Client
from modelyard.connection import find_connection
from modelyard.errors import Reply, TaskFailed
from modelyard.transfer import download, files_below, upload

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the reply as JSON instead of a table.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return at once instead of waiting for the end.")]


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
    """Columns whose name ends with `>` are right-aligned. What is empty is shown as a dash."""
    made = Table(
        title=plain(title),
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        made.add_column(
            plain(column.removesuffix(">")),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",
            no_wrap=column in {"id", "fact"},  # ids are for copying
        )
    for row in rows:
        made.add_row(*(plain("–" if cell is None or cell == "" else str(cell)) for cell in row))
    return made


def plain(text: str) -> str:
    """What others wrote, without rich's markup and without characters that steer a terminal."""
    return escape("".join(sign if sign >= " " or sign == "\n" else "�" for sign in text))


def facts(title: str, rows: Iterable[tuple[str, Any]]) -> Table:
    """One thing, fact by fact."""
    made = table(title, ("fact", "value"), rows)
    made.show_header = False
    return made


def size(count: float | None) -> str | None:
    if count is None:
        return None
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def moment(instant: int) -> str:
    """`instant` in ms since 1970 UTC."""
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pair(text: str) -> tuple[str, str]:
    """`name=value`. Raises BadParameter."""
    name, given, value = text.partition("=")
    if not name or not given:
        raise typer.BadParameter(f"{text!r} is not name=value")
    return name, value


def number(text: str) -> tuple[str, float]:
    """`name=0.95`. Raises BadParameter."""
    name, value = pair(text)
    try:
        return name, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not name=number") from None


def json_value(text: str) -> tuple[str, Any]:
    """`name=value`, where a value that is JSON keeps its type. Raises BadParameter."""
    name, value = pair(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def transfer_bar(text: str, total: int) -> tuple[Progress, Callable[[int], None]]:
    """A progress bar in bytes on standard error; call the function with each chunk's length."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    task = bar.add_task(plain(text), total=total)
    return bar, lambda count: bar.advance(task, count)


def send(client: Client, folder: Path) -> str:
    """Upload a local folder with a progress bar; the upload's id."""
    total = sum(path.stat().st_size for path in files_below(folder).values())
    bar, advance = transfer_bar(f"uploading {folder.name}", total)
    with bar:
        return upload(client, folder, advance)


def fetch(links: Reply, name: str, folder: Path, as_json: bool) -> None:
    """Download the files of a `…/files` reply with a progress bar and say what is there."""
    bar, advance = transfer_bar(f"downloading {name}", sum(link["size"] for link in links["files"]))
    with bar:
        paths = download(links, folder, advance)
    reply = {"digest": links["digest"], "files": [str(path) for path in paths]}
    rows = [(path, size(link["size"])) for path, link in zip(paths, links["files"], strict=True)]

    def render(made: Reply) -> None:
        out.print(table("Downloaded and verified", ("file", "size>"), rows))
        out.print(f"digest {made['digest']}", highlight=False)

    show(reply, as_json, render)


def wait(client: Client, text: str, read: Callable[[], Reply], state: str) -> Reply:
    """Follow a long task with a spinner on standard error until it ends. Raises TaskFailed when it ends badly."""
    columns = SpinnerColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as spinner:
        task = spinner.add_task(plain(text), total=None)

        def tell(reply: Reply) -> None:
            spinner.update(task, description=plain(f"{text}: {_note(reply, state)}"))

        return client.follow(read, state, tell)


def _note(reply: Reply, state: str) -> str:
    if reply.get("samples"):
        return f"{reply[state]}, {reply['samples_done']} of {reply['samples']} samples"
    return str(reply.get("progress") or reply[state])


def wait_and_show(
    client: Client, text: str, read: Callable[[], Reply], state: str, as_json: bool, render: Callable[[Reply], None]
) -> None:
    """A task that ended badly is shown as well: it may hold the numbers that tell why."""
    try:
        reply = wait(client, text, read, state)
    except TaskFailed as failed:
        show(failed.reply, as_json, render)
        raise
    show(reply, as_json, render)
