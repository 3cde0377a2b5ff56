"""Files come from the store and are verified; after a broken line, or tomorrow, only what is missing comes again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from modelyard.errors import GatewayUnreachable, Reply, TaskFailed
from modelyard.transfer.folders import inside
from modelyard.transfer.line import (
    CHUNK,
    Begun,
    Line,
    Progress,
    cut,
    in_parallel,
    not_told,
    opened,
    patiently,
    refused,
)

GO_ON = "run the same command again to go on: what has arrived is not fetched again"
_PARTIAL = 206


class Spoiled(TaskFailed):
    """What arrived is another file than the manifest promises."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: what arrived is not what the manifest promises; nothing was kept")


@dataclass(slots=True)
class Growing:
    """One file: where it goes, and beside that where it grows; `part` is named after path and content.

    `arrived` bytes of it are there and went through `hasher`.
    """

    path: str
    size: int
    sha256: str
    target: Path
    part: Path
    arrived: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    finished: bool = False

    def look(self) -> int:
        """Bytes that an earlier call has brought."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def read_again(self) -> None:
        """Takes what an earlier call has brought as the beginning; more than the whole is no beginning."""
        if self.look() > self.size:
            self.part.unlink()
        if self.part.is_file():
            with self.part.open("rb") as file:
                self.hasher, self.arrived = hashlib.file_digest(file, "sha256"), self.look()

    def start_over(self) -> int:
        """Bytes that were of no use."""
        lost, self.arrived, self.hasher = self.arrived, 0, hashlib.sha256()
        self.part.unlink(missing_ok=True)
        return lost

    def is_right(self) -> bool:
        return self.arrived == self.size and self.hasher.hexdigest() == self.sha256

    def is_there(self) -> bool:
        """Whether an earlier call has finished it."""
        if not self.target.is_file() or self.target.stat().st_size != self.size:
            return False
        with self.target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


@dataclass(slots=True)
class Links:
    """URLs by path. `again` asks for fresh ones where somebody can."""

    urls: dict[str, str]
    again: Callable[[], Reply] | None = None
    lock: Lock = field(default_factory=Lock)

    def renew(self, path: str) -> None:
        before = self.urls[path]
        with self.lock:
            if self.again is not None and self.urls[path] == before:
                self.urls = {link["path"]: link["url"] for link in self.again()["files"]}


def download(
    links: Reply,
    folder: Path,
    progress: Progress,
    begun: Begun = not_told,
    again: Callable[[], Reply] | None = None,
) -> list[Path]:
    """Fetch every file of a `…/files` reply below `folder` and verify each digest. All of them appear, or none.

    `again` asks for fresh links when the old ones have expired. Raises TaskFailed naming the file, for a wrong digest
    too, and GatewayUnreachable. What a broken line has brought so far stays in hidden `.part` files for the next call.
    """
    wanted = [_wanted(folder, link) for link in links["files"]]
    begun(sum(each.size for each in wanted), sum(min(each.look(), each.size) for each in wanted))
    known = Links({link["path"]: link["url"] for link in links["files"]}, again)
    try:
        with opened() as line:
            in_parallel(line, partial(_bring, line, known, progress), wanted)
    except Spoiled:
        for each in wanted:
            each.part.unlink(missing_ok=True)
        raise
    except (TaskFailed, GatewayUnreachable) as error:
        raise type(error)(f"{error}; {GO_ON}") from error
    return [each.target if each.finished else each.part.replace(each.target) for each in wanted]


def _wanted(folder: Path, link: Reply) -> Growing:
    target = inside(folder, link["path"])
    name = hashlib.sha256(f"{link['path']}\n{link['sha256']}".encode()).hexdigest()[:24]
    return Growing(link["path"], link["size"], link["sha256"], target, target.with_name(f".{name}.part"))


def _bring(line: Line, links: Links, progress: Progress, file: Growing) -> None:
    line.check()
    if file.is_there():
        file.finished = True
        progress(file.size - min(file.look(), file.size))
        file.part.unlink(missing_ok=True)
        return
    file.part.parent.mkdir(parents=True, exist_ok=True)
    file.read_again()
    resumed = file.arrived > 0
    _whole(line, links, progress, file)
    if resumed and not file.is_right():  # what lay there was no beginning of this file
        progress(-file.start_over())
        _whole(line, links, progress, file)
    if not file.is_right():
        raise Spoiled(file.path)


def _whole(line: Line, links: Links, progress: Progress, file: Growing) -> None:
    patiently(line.ended, partial(_fetch, line, links, progress, file), progress, partial(links.renew, file.path))


def _fetch(line: Line, links: Links, progress: Progress, file: Growing) -> None:
    """Appends to what is there. Raises Broken; what it brought stays."""
    if file.arrived == file.size and file.part.is_file():
        return
    before, url, headers = file.arrived, links.urls[file.path], {"Accept-Encoding": "identity"}
    if before:
        headers["Range"] = f"bytes={before}-"
    try:
        with line.http.stream("GET", url, headers=headers) as response:
            if not response.is_success:
                raise refused(file.path, response, "send")
            if before and response.status_code != _PARTIAL:  # all of it, whatever was asked for
                progress(-file.start_over())
            _append(line, response, progress, file)
    except httpx.HTTPError as error:
        raise cut(file.path, error, "send", url, kept=file.arrived > before) from error


def _append(line: Line, response: httpx.Response, progress: Progress, file: Growing) -> None:
    with file.part.open("ab", CHUNK) as growing:
        for chunk in response.iter_raw():  # as they come: joining them to larger ones would copy each
            line.check()
            if file.arrived + len(chunk) > file.size:
                raise Spoiled(file.path)
            growing.write(chunk)
            file.hasher.update(chunk)
            file.arrived += len(chunk)
            progress(len(chunk))


def save_plots(plots: Sequence[Reply], folder: Path) -> list[Path]:
    """Fetch the plots and tables of an evaluation's result. Raises TaskFailed naming the plot, GatewayUnreachable."""
    endings = {"image/png": "png", "image/svg+xml": "svg", "text/csv": "csv"}
    saved = []
    with opened() as line:
        for plot in plots:
            name = f"{plot['name']}.{endings.get(plot['media_type'], 'bin')}"
            target = inside(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_small(line, name, plot))
            saved.append(target)
    return saved


def _small(line: Line, name: str, plot: dict[str, Any]) -> bytes:
    try:
        response = line.http.get(plot["url"])
    except httpx.HTTPError as error:
        raise cut(name, error, "send", plot["url"]).reason from error
    if not response.is_success:
        raise refused(name, response, "send").reason
    return response.content
