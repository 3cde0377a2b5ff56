"""Bytes between a folder and the object store, by presigned URLs: nothing large passes through the gateway."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import IO, Any

import httpx

from modelyard.client import Client
from modelyard.errors import GatewayUnreachable, NotFoundHere, TaskFailed

CHUNK = 1 << 20
PARALLEL = 4
Progress = Callable[[int], None]


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """(relative path, file) of every regular file, hidden ones left out. Symlinks are not followed."""
    if not folder.is_dir():
        raise NotFoundHere(f"{folder} is not a folder")
    found = [
        (path.relative_to(folder).as_posix(), path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in _parts(path, folder))
    ]
    if not found:
        raise NotFoundHere(f"{folder} holds no files")
    return found


def _parts(path: Path, folder: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts


def upload(client: Client, folder: Path, progress: Progress) -> str:
    """Send a folder; `progress` hears the bytes of each chunk. Returns the upload's id, complete and verified."""
    files = dict(files_below(folder))
    ticket = client.post(
        "uploads", {"files": [{"path": name, "size": path.stat().st_size} for name, path in files.items()]}
    )
    with httpx.Client(timeout=httpx.Timeout(30, write=300, read=300)) as http, ThreadPoolExecutor(PARALLEL) as pool:
        sent = [
            (
                target["path"],
                [pool.submit(_put, http, files[target["path"]], slot, progress) for slot in _slots(target)],
            )
            for target in ticket["files"]
        ]
        etags = [(name, [future.result() for future in futures]) for name, futures in sent]
    completed = [{"path": name, "etags": tags if len(tags) > 1 else []} for name, tags in etags]
    client.post(f"uploads/{ticket['upload_id']}/complete", completed)
    return str(ticket["upload_id"])


def _slots(target: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    """(URL, offset, length) of each part; length None sends the whole file."""
    size = target["part_size"]
    if size is None:
        return [(target["urls"][0], 0, None)]
    return [(url, number * size, size) for number, url in enumerate(target["urls"])]


def _put(http: httpx.Client, path: Path, slot: tuple[str, int, int | None], progress: Progress) -> str:
    url, offset, length = slot
    whole = path.stat().st_size
    size = whole if length is None else min(length, whole - offset)
    with path.open("rb") as file:
        file.seek(offset)
        try:
            response = http.put(url, content=_pieces(file, size, progress), headers={"Content-Length": str(size)})
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            raise TaskFailed(f"{path.name}: storage answered {error.response.status_code}") from error
        except httpx.HTTPError as error:
            raise GatewayUnreachable(f"{path.name}: storage did not take it: {error}") from error
    return str(response.headers.get("etag", "")).strip('"')


def _pieces(file: IO[bytes], size: int, progress: Progress) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(CHUNK, size))):
        size -= len(piece)
        yield piece
        progress(len(piece))


def download(links: dict[str, Any], folder: Path, progress: Progress) -> list[Path]:
    """Fetch every file of a `…/files` reply below `folder` and verify each digest. Raises TaskFailed on a mismatch."""
    with httpx.Client(timeout=httpx.Timeout(30, read=300)) as http, ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(lambda link: _fetch(http, link, folder, progress), links["files"]))


def _fetch(http: httpx.Client, link: dict[str, Any], folder: Path, progress: Progress) -> Path:
    relative = PurePosixPath(link["path"])
    if relative.is_absolute() or ".." in relative.parts:
        raise TaskFailed(f"the server names a path outside the folder: {link['path']!r}")
    target = folder.joinpath(*relative.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    digest = hashlib.sha256()
    try:
        with http.stream("GET", link["url"]) as response, partial.open("wb") as file:
            response.raise_for_status()
            for piece in response.iter_bytes(CHUNK):
                digest.update(piece)
                file.write(piece)
                progress(len(piece))
    except httpx.HTTPError as error:
        partial.unlink(missing_ok=True)
        raise GatewayUnreachable(f"{link['path']}: storage did not send it: {error}") from error
    if digest.hexdigest() != link["sha256"]:
        partial.unlink()
        raise TaskFailed(f"{link['path']}: what arrived has another SHA-256 than the manifest says; nothing was kept")
    return partial.replace(target)
