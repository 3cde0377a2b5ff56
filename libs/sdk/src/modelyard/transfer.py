"""Bytes between a folder and the object store, by presigned URLs: nothing large passes through the gateway."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import IO, Any

import httpx

from modelyard.client import Client, at
from modelyard.errors import GatewayUnreachable, NotFoundHere, Reply, TaskFailed

CHUNK = 1 << 20
PARALLEL = 4
Progress = Callable[[int], None]


def files_below(folder: Path) -> dict[str, Path]:
    """Every regular file by its relative path, hidden ones left out. Symlinks are not followed. Raises NotFoundHere."""
    if not folder.is_dir():
        raise NotFoundHere(f"{folder} is not a folder")
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not _hidden(path.relative_to(folder))
    }
    if not found:
        raise NotFoundHere(f"{folder} holds no files")
    return found


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


@dataclass(frozen=True, slots=True)
class _Slice:
    """What goes to one URL: `size` bytes of a file from `offset`."""

    name: str
    path: Path
    url: str
    offset: int
    size: int


def upload(client: Client, folder: Path, progress: Progress) -> str:
    """Send a folder; `progress` hears the bytes of each chunk, from several threads. Returns the upload's id.

    Raises NotFoundHere, TaskFailed naming the file that storage did not take, GatewayUnreachable.
    """
    files = files_below(folder)
    sizes = {name: path.stat().st_size for name, path in files.items()}
    ticket = client.post("uploads", {"files": [{"path": name, "size": size} for name, size in sizes.items()]})
    with _storage() as http, _pool() as pool:  # the threads end before their connections do
        sent = {
            target["path"]: [pool.submit(_put, http, each, progress) for each in _slices(target, files, sizes)]
            for target in ticket["files"]
        }
        etags = {name: [future.result() for future in futures] for name, futures in sent.items()}
    whole = {target["path"] for target in ticket["files"] if target["part_size"] is None}
    completed = [{"path": name, "etags": [] if name in whole else tags} for name, tags in etags.items()]
    client.post(at("uploads", ticket["upload_id"], "complete"), completed)
    return str(ticket["upload_id"])


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """After the first failure, or Ctrl-C, nothing more is begun."""
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _storage() -> httpx.Client:
    """Like the gateway's client it goes straight there, whatever proxy the environment names."""
    timeout = httpx.Timeout(30, connect=5, write=300, read=300)
    return httpx.Client(timeout=timeout, transport=httpx.HTTPTransport(retries=2))


def _slices(target: Reply, files: dict[str, Path], sizes: dict[str, int]) -> list[_Slice]:
    name, part = target["path"], target["part_size"]
    if part is None:
        return [_Slice(name, files[name], target["urls"][0], 0, sizes[name])]
    return [
        _Slice(name, files[name], url, number * part, min(part, sizes[name] - number * part))
        for number, url in enumerate(target["urls"])
    ]


def _put(http: httpx.Client, piece: _Slice, progress: Progress) -> str:
    with piece.path.open("rb") as file:
        file.seek(piece.offset)
        content, length = _pieces(file, piece, progress), {"Content-Length": str(piece.size)}
        try:
            response = http.put(piece.url, content=content, headers=length)
        except httpx.HTTPError as error:
            raise GatewayUnreachable(f"{piece.name}: storage did not take it: {_words(error)}") from error
    if not response.is_success:
        raise TaskFailed(f"{piece.name}: storage did not take it (HTTP {response.status_code})")
    return str(response.headers.get("etag", "")).strip('"')


def _pieces(file: IO[bytes], piece: _Slice, progress: Progress) -> Iterator[bytes]:
    left = piece.size
    while left > 0:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise TaskFailed(f"{piece.name} became shorter while it was sent; send it again")
        left -= len(chunk)
        yield chunk
        progress(len(chunk))


def download(links: Reply, folder: Path, progress: Progress) -> list[Path]:
    """Fetch every file of a `…/files` reply below `folder` and verify each digest. All of them appear, or none.

    Raises TaskFailed naming the file, for a wrong digest too, and GatewayUnreachable.
    """
    wanted = [(link, _inside(folder, link["path"])) for link in links["files"]]
    partial = [target.with_name(f".{token_hex(8)}.part") for _, target in wanted]
    try:
        with _storage() as http, _pool() as pool:  # the threads end before their connections do
            jobs = [
                pool.submit(_fetch, http, link, path, progress) for (link, _), path in zip(wanted, partial, strict=True)
            ]
            for job in jobs:
                job.result()
        return [path.replace(target) for path, (_, target) in zip(partial, wanted, strict=True)]
    finally:
        for path in partial:
            path.unlink(missing_ok=True)


def save_plots(plots: Sequence[Reply], folder: Path) -> list[Path]:
    """Fetch the plots and tables of an evaluation's result. Raises TaskFailed naming the plot, GatewayUnreachable."""
    endings = {"image/png": "png", "image/svg+xml": "svg", "text/csv": "csv"}
    saved = []
    with _storage() as http:
        for plot in plots:
            name = f"{plot['name']}.{endings.get(plot['media_type'], 'bin')}"
            target = _inside(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                response = http.get(plot["url"])
            except httpx.HTTPError as error:
                raise GatewayUnreachable(f"{name}: storage did not send it: {_words(error)}") from error
            _check_sent(name, response)
            target.write_bytes(response.content)
            saved.append(target)
    return saved


def _inside(folder: Path, path: str) -> Path:
    """Where a file goes. What the server says is not trusted. Raises TaskFailed."""
    parts = PurePosixPath(path).parts
    harmless = bool(parts) and "\\" not in path and min(path) >= " "
    target = folder.joinpath(*parts)
    if not harmless or ".." in parts or not target.resolve().is_relative_to(folder.resolve()):
        raise TaskFailed(f"the server names a path that leads out of the folder: {path!r}; nothing was fetched")
    return target


def _fetch(http: httpx.Client, link: Reply, path: Path, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    try:
        with http.stream("GET", link["url"], headers={"Accept-Encoding": "identity"}) as response:
            _check_sent(link["path"], response)
            with path.open("wb") as file:
                for piece in response.iter_raw(CHUNK):
                    size += len(piece)
                    if size > link["size"]:
                        break  # whatever follows, it is not the file
                    digest.update(piece)
                    file.write(piece)
                    progress(len(piece))
    except httpx.HTTPError as error:
        raise GatewayUnreachable(f"{link['path']}: storage did not send it: {_words(error)}") from error
    if size != link["size"] or digest.hexdigest() != link["sha256"]:
        raise TaskFailed(f"{link['path']}: what arrived is not what the manifest promises; nothing was kept")


def _check_sent(name: str, response: httpx.Response) -> None:
    if not response.is_success:
        raise TaskFailed(f"{name}: storage did not send it (HTTP {response.status_code}); links work for a while only")


def _words(error: Any) -> str:
    """Never with the URL: who has a presigned URL has the file."""
    return str(error) or type(error).__name__
