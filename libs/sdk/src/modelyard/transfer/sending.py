"""A folder goes to the store in parts; after a broken line, or tomorrow, only what is missing goes again.

The same folder with the same files is the same upload: it is begun under a key made of them, and the store is asked
which parts it has.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import IO, Any

import httpx

from modelyard.errors import GatewayUnreachable, Refused, Reply, TaskFailed
from modelyard.gateway import Gateway, at
from modelyard.transfer.folders import Contents
from modelyard.transfer.line import (
    CHUNK,
    GO_ON,
    Begun,
    Broken,
    Line,
    Progress,
    cut,
    in_parallel,
    not_told,
    opened,
    patiently,
    refused,
)

_OFTEN = 1000  # uploads of one folder that have expired; each costs two requests
_AWAY = 503


class Expired(Exception):
    """The store has thrown away what had arrived."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file as it was when the upload was begun; `changed` in ns."""

    path: Path
    size: int
    changed: int


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` bytes of a file from `offset`; `part` counts from 1."""

    name: str
    part: int
    path: Path
    offset: int
    size: int


@dataclass(slots=True)
class Ticket:
    """One upload. `urls` holds what is missing, `etags` what is there, both by (path, part)."""

    upload_id: str
    whole: frozenset[str]
    state: str = "open"
    urls: dict[tuple[str, int], str] = field(default_factory=dict)
    etags: dict[tuple[str, int], str] = field(default_factory=dict)
    part_sizes: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def refresh(self, gateway: Gateway) -> None:
        """Raises Expired."""
        reply = gateway.get(at("uploads", self.upload_id, "parts"))
        if reply["state"] == "expired":
            raise Expired
        self.state = reply["state"]
        self.part_sizes = {file["path"]: file["part_size"] for file in reply["files"]}
        self.urls = _by_part(reply, "missing")
        self.etags |= _by_part(reply, "parts")


def _by_part(reply: Reply, what: str) -> dict[tuple[str, int], str]:
    return {(file["path"], int(part)): value for file in reply["files"] for part, value in file[what].items()}


def upload(gateway: Gateway, contents: Contents, progress: Progress, begun: Begun = not_told) -> str:
    """Send what the store does not have yet. Returns the upload's id.

    Raises TaskFailed naming the file that storage did not take, GatewayUnreachable. Whatever ends it,
    the next call goes on where it ended.
    """
    files = {name: _on_disk(path) for name, path in contents.files.items()}
    for _ in range(_OFTEN):
        ticket = _begin(gateway, contents.place, files)
        pieces = list(_missing(ticket, files))
        total = sum(file.size for file in files.values())
        begun(total, total - sum(piece.size for piece in pieces))
        try:
            _send(gateway, ticket, pieces, progress)
            _unchanged(files)
            _complete(gateway, ticket, files)
        except Expired:  # it lay longer than the store keeps uploads
            continue
        except (TaskFailed, GatewayUnreachable) as error:
            raise type(error)(f"{error}; {GO_ON}") from error
        return ticket.upload_id
    raise TaskFailed(f"the upload of {contents.place} expires as soon as it is begun")


def _on_disk(path: Path) -> OnDisk:
    found = path.stat()
    return OnDisk(path, found.st_size, found.st_mtime_ns)


def _begin(gateway: Gateway, place: Path, files: dict[str, OnDisk]) -> Ticket:
    """The upload of exactly these files: begun before, or now."""
    body = {"files": [{"path": name, "size": file.size} for name, file in files.items()]}
    entries = [[name, file.size, file.changed] for name, file in files.items()]
    known = json.dumps([gateway.connection.project, str(place.resolve()), entries])
    key = hashlib.sha256(known.encode("utf-8", "surrogateescape")).hexdigest()
    for generation in range(_OFTEN):
        reply = gateway.post("uploads", body, idempotency_key=f"{key}-{generation}")
        whole = frozenset(file["path"] for file in reply["files"] if file["part_size"] is None)
        ticket = Ticket(reply["upload_id"], whole)
        try:
            ticket.refresh(gateway)
        except Expired:
            continue
        return ticket
    raise TaskFailed(f"the upload of {place} expired {_OFTEN} times")


def _missing(ticket: Ticket, files: dict[str, OnDisk]) -> Iterator[Piece]:
    for name, part in sorted(ticket.urls):
        length, file = ticket.part_sizes[name], files[name]
        offset = (part - 1) * length
        yield Piece(
            name, part, file.path, offset, file.size if name in ticket.whole else min(length, file.size - offset)
        )


def _send(gateway: Gateway, ticket: Ticket, pieces: list[Piece], progress: Progress) -> None:
    with opened() as line:

        def send(piece: Piece) -> None:
            line.check()
            attempt = partial(_put, line, ticket, piece, progress)
            patiently(line.ended, attempt, progress, partial(_renew, gateway, ticket, piece))

        in_parallel(line, send, pieces)


def _renew(gateway: Gateway, ticket: Ticket, piece: Piece) -> None:
    """One thread asks for all: whoever waited finds another URL than the one that failed. Raises Expired."""
    before = ticket.urls.get((piece.name, piece.part))
    with ticket.lock:
        if ticket.urls.get((piece.name, piece.part)) == before:
            ticket.refresh(gateway)


def _put(line: Line, ticket: Ticket, piece: Piece, progress: Progress) -> None:
    url, moved = ticket.urls.get((piece.name, piece.part)), 0
    if url is None:  # it had arrived, and only the answer was lost
        progress(piece.size)
        return

    def heard(count: int) -> None:
        nonlocal moved
        line.check()
        moved += count
        progress(count)

    with piece.path.open("rb") as file:
        file.seek(piece.offset)
        try:
            headers = {"Content-Length": str(piece.size)}
            response = line.http.put(url, content=_chunks(file, piece, heard), headers=headers)
        except httpx.HTTPError as error:
            raise cut(piece.name, error, "take", url, moved) from error
        except BaseException:  # others gave up, and this part with them
            progress(-moved)
            raise
    if not response.is_success:
        raise refused(piece.name, response, "take", moved)
    ticket.etags[piece.name, piece.part] = str(response.headers.get("etag", "")).strip('"')


def _chunks(file: IO[bytes], piece: Piece, heard: Progress) -> Iterator[bytes]:
    left = piece.size
    while left > 0:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise TaskFailed(f"{piece.name} became shorter while it was sent")
        left -= len(chunk)
        yield chunk
        heard(len(chunk))


def _unchanged(files: dict[str, OnDisk]) -> None:
    """Parts of two states of a file make no file. Raises TaskFailed."""
    for name, file in files.items():
        if not file.path.exists() or _on_disk(file.path) != file:
            raise TaskFailed(f"{name} changed while it was sent")


def _complete(gateway: Gateway, ticket: Ticket, files: dict[str, OnDisk]) -> None:
    if ticket.state == "complete":
        return
    etags: dict[str, list[str]] = {name: [] for name in files}
    for name, part in sorted(ticket.etags):
        if name not in ticket.whole:
            etags[name].append(ticket.etags[name, part])
    body: list[Any] = [{"path": name, "etags": found} for name, found in etags.items()]

    def say() -> None:
        try:
            gateway.post(at("uploads", ticket.upload_id, "complete"), body)
        except GatewayUnreachable as error:
            raise Broken(error) from error
        except Refused as error:
            if error.status != _AWAY:
                raise
            raise Broken(TaskFailed(str(error))) from error

    patiently(Event(), say, lambda _: None, lambda: None)
