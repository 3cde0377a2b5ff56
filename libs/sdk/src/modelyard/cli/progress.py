"""How far something is: a bar on a terminal, now and then a line elsewhere, nothing with --json and --quiet."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from modelyard.cli.session import err, notes, out, plain, show, size, table
from modelyard.errors import Reply, TaskFailed
from modelyard.transfer import Contents, download

_EVERY = 5.0  # seconds between two lines where there is no terminal


class _Speed(ProgressColumn):
    """In the units of the bytes beside it, which rich's own does not know."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{size(speed)}/s" if speed else "", style="progress.data.speed")


class Transfer:
    """Bytes of many threads; give it to `upload` or `download` as `progress`, and its `begun`."""

    def __init__(self, text: str) -> None:
        self._text, self._lock = plain(text), Lock()
        self._total = self._moved = self._arrived = 0
        self._started = self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            _Speed(),
            TimeRemainingColumn(compact=True),
            console=notes,
            transient=True,
            expand=True,
            disable=notes.quiet or not notes.is_interactive,
        )
        self._task = self._bar.add_task(self._text, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        if isinstance(error, KeyboardInterrupt):
            words = "stopped; run the same command again to go on: what has arrived does not travel twice"
            err.print(words, style="red", highlight=False)
        elif error is None:
            seconds = time.monotonic() - self._started
            self._say(f"{self._text}: {size(self._total)} done in {seconds:.1f} s")

    def chosen(self, contents: Contents) -> None:
        """What is left out is said whatever is silent: nobody would notice it otherwise."""
        if notice := contents.notice():
            self._bar.stop()  # it would stand on the bar's line
            err.print(plain(notice), style="yellow", highlight=False)
            self._bar.start()

    def begun(self, total: int, arrived: int) -> None:
        with self._lock:
            self._total, self._moved, self._arrived = total, arrived, arrived
            self._bar.reset(self._task, total=total, completed=arrived)
        if arrived:
            self._say(f"{self._text}: going on, {size(arrived)} of {size(total)} are there already")

    def __call__(self, count: int) -> None:
        with self._lock:
            self._moved += count
            self._bar.update(self._task, completed=self._moved)
            if (now := time.monotonic()) - self._told >= _EVERY:
                self._told = now
                self._say(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        rate = (self._moved - self._arrived) / seconds
        left = f", {(self._total - self._moved) / rate:.0f} s left" if rate > 0 else ""
        return f"{self._text}: {size(self._moved)} of {size(self._total)}, {size(rate)}/s{left}"

    def _say(self, line: str) -> None:
        if not notes.is_interactive:
            notes.print(line, highlight=False, soft_wrap=True)


def fetch(read: Callable[[], Reply], name: str, folder: Path, as_json: bool) -> None:
    """Download the files of the `…/files` reply that `read` brings, and say what is there."""
    links = read()
    with Transfer(f"downloading {name}") as transfer:
        paths = download(links, folder, transfer, transfer.begun, read)
    reply = {"digest": links["digest"], "files": [str(path) for path in paths]}
    rows = [(path, size(link["size"])) for path, link in zip(paths, links["files"], strict=True)]

    def render(made: Reply) -> None:
        out.print(table("Downloaded and verified", ("file", "size>"), rows))
        out.print(f"digest {made['digest']}", highlight=False)

    show(reply, as_json, render)


@contextmanager
def following(text: str, note: Callable[[Reply], str]) -> Iterator[Callable[[Reply], None]]:
    """Give what it yields to something that follows a task: it shows `text` and what `note` says of each reply."""
    columns = SpinnerColumn("dots" if notes.is_unicode else "line"), TextColumn("{task.description}")
    shown = notes.is_interactive and not notes.quiet
    told, last = time.monotonic(), ""
    with Progress(*columns, console=notes, transient=True, disable=not shown) as spinner:
        task = spinner.add_task(plain(text), total=None)

        def tell(reply: Reply) -> None:
            nonlocal told, last
            line = plain(f"{text}: {note(reply)}")
            spinner.update(task, description=line)
            if not notes.is_interactive and line != last and time.monotonic() - told >= _EVERY:
                told, last = time.monotonic(), line
                notes.print(line, highlight=False, soft_wrap=True)

        yield tell


Follow = Callable[[Callable[[Reply], None]], Reply]
"""A resource's `wait` for one task; it tells each state."""


def wait(text: str, follow: Follow) -> Reply:
    """Follow a long task until it ends. Raises TaskFailed when it ends badly."""
    with following(text, _note) as tell:
        return follow(tell)


def _note(reply: Reply) -> str:
    if reply.get("samples"):
        return f"{reply['state']}, {reply['samples_done']} of {reply['samples']} samples"
    return str(reply.get("progress") or reply["state"])


def wait_and_show(text: str, follow: Follow, as_json: bool, render: Callable[[Reply], None]) -> None:
    """A task that ended badly is shown as well: it may hold the numbers that tell why."""
    try:
        reply = wait(text, follow)
    except TaskFailed as failed:
        show(failed.reply, as_json, render)
        raise
    show(reply, as_json, render)
