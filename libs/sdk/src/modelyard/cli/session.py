"""What every command shares: the client, the output form, and tables."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from modelyard.cli.facts import Facts
from modelyard.cli.terminal import Screen
from modelyard.connection import find_connection

if TYPE_CHECKING:
    from modelyard.client import Client

out = Screen(soft_wrap=True)
err = Screen(soft_wrap=True, stderr=True)
notes = Screen(stderr=True)  # how far something is; quiet with --json and --quiet
_WORDS = {"version", "status", "state", "type", "created", "target"}  # each cell is one
_ROOM_FOR_WORDS = 80  # columns
_ROOM_FOR_IDS = 60  # columns; an id has 36


def _for_programs(wanted: bool) -> bool:
    notes.quiet = notes.quiet or wanted
    return wanted


AsJson = Annotated[
    bool, typer.Option("--json", callback=_for_programs, help="Print the reply as JSON instead of a table.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return at once instead of waiting for the end.")]


@dataclass(frozen=True)
class Session:
    """What the global options say; a client is opened when a command needs one."""

    connection: Path | None
    project: str | None

    def client(self) -> "Client":
        from modelyard.client import Client  # and with it HTTP, which help needs not

        return Client(find_connection(self.connection, self.project))


def client_of(context: typer.Context) -> "Client":
    session: Session = context.obj
    client = session.client()
    context.call_on_close(client.close)
    return client


def show(reply: Any, as_json: bool, render: Callable[[Any], None]) -> None:
    """JSON goes to standard output unwrapped, so that it can be piped."""
    if as_json:
        typer.echo(json_text(reply, indent=2))
    else:
        render(reply)


def json_text(reply: Any, indent: int | None = None) -> str:
    """Everything is in it, whatever signs the stream has."""
    return json.dumps(reply, indent=indent, ensure_ascii=not out.is_unicode)


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
            no_wrap=(column == "id" and out.width >= _ROOM_FOR_IDS)  # ids are for copying
            or (column in _WORDS and out.width >= _ROOM_FOR_WORDS),
        )
    for row in rows:
        made.add_row(*(plain(_shown(cell)) for cell in row))
    return made


def show_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> None:
    """A table; where it would be empty, what `nothing` says."""
    if found := list(rows):
        out.print(table(title, columns, found))
    else:
        out.print(nothing, highlight=False, markup=False)


def _shown(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)


def plain(text: str) -> str:
    """What others wrote, without rich's markup and without characters that steer a terminal."""
    return escape(harmless(text))


def harmless(text: str) -> str:
    """Without characters that steer a terminal."""
    return "".join(sign if sign >= " " or sign == "\n" else "�" for sign in text)


def facts(title: str, rows: Iterable[tuple[str, Any]]) -> Facts:
    """One thing, fact by fact."""
    return Facts(harmless(title), [(harmless(name), harmless(_shown(value))) for name, value in rows])


def size(count: float | None) -> str | None:
    if count is None:
        return None
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def moment(instant: int) -> str:
    """`instant` in ms since 1970 UTC, in the time zone of this machine (TZ)."""
    return local(datetime.fromtimestamp(instant / 1000, UTC)).strftime("%Y-%m-%d %H:%M %Z")


def local(time: datetime) -> datetime:
    return time.astimezone()


def zone() -> str:
    """For the head of a column whose times leave it out."""
    return local(datetime.now(UTC)).strftime("%Z")


def instant(text: str) -> int:
    """`2026-11-22T10:00:00+01:00`, or ms since 1970, as ms. Without a zone it is that of this machine, as in what is
    shown. Raises BadParameter."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time like 2026-11-22T10:00 and no number of ms since 1970") from None
    return int(found.timestamp() * 1000)


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
        found = float(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not name=number") from None
    if not math.isfinite(found):
        raise typer.BadParameter(f"{text!r}: {value} is not a finite number")
    return name, found


def json_value(text: str) -> tuple[str, Any]:
    """`name=value`, where a value that is JSON keeps its type. Raises BadParameter."""
    name, value = pair(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
