"""A version as a folder of this machine. What was brought once stays in the user's cache, named after its digest."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import NotUsable, Reply, TaskFailed
from modelyard.references import artifact_id
from modelyard.transfer import download
from modelyard.transfer.line import Begun, Progress

if TYPE_CHECKING:
    from modelyard.client import Client
    from modelyard.running import Runner

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MODEL = "model/"  # of a package: where the model lies, beside calibration data and logs


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`path` is the folder with the model's files; it belongs to the cache, so nothing in it is to be changed.

    `digest` is the artifact's, `config` its config.json, None where it has none.
    """

    path: Path
    model_id: str
    name: str
    version: str
    format: str
    digest: str
    config: dict[str, Any] | None

    def runner(self) -> "Runner":
        """Ready to be called with arrays. Raises NotUsable where no runtime is installed, or none runs this format."""
        from modelyard.running import runner

        return runner(self.path, self.format)


def cache_folder() -> Path:
    """MODELYARD_CACHE, else where the user's caches are."""
    if named := os.environ.get("MODELYARD_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard"


def load(
    client: "Client", model: str, target: str | None, cache: Path | None, progress: Progress, begun: Begun
) -> LoadedModel:
    """See `Client.load`."""
    found = client.models.show(model)
    _check(found)
    chosen = artifact_id(found, target or "source")
    artifact = next(each for each in found["artifacts"] if each["artifact_id"] == chosen)
    digest = _DIGEST.fullmatch(artifact["digest"])
    if digest is None:
        raise TaskFailed(f"the server names no digest but {artifact['digest']!r}; nothing was fetched")

    def read() -> Reply:
        return _of_the_model(client.models.files(found["model_id"], chosen))

    def bring(folder: Path) -> None:
        download(read(), folder, progress, begun, read)

    entry = (cache or cache_folder()) / "models" / digest[1]
    if not entry.is_dir():
        _keep(entry, bring)
    path = entry / _MODEL if (entry / _MODEL).is_dir() else entry
    return LoadedModel(
        path,
        found["model_id"],
        found["model_name"],
        found["model_version"],
        artifact["format"],
        artifact["digest"],
        _config(path / "config.json"),
    )


def _check(found: Reply) -> None:
    named = f"{found['model_name']} {found['model_version']}"
    if found["model_status"] == "failed":
        raise TaskFailed(f"{named} was not imported: {(found['failure'] or {}).get('reason')}", found)
    if found["model_status"] != "published":
        wait = f"client.imports.wait({found['model_id']!r})"
        raise NotUsable(f"{named} is not published yet, it is {found['model_status']}; {wait} waits for it")


def _of_the_model(links: Reply) -> Reply:
    """Without calibration data and logs, which nobody runs."""
    return {**links, "files": [link for link in links["files"] if link["path"].startswith(_MODEL)] or links["files"]}


def _keep(entry: Path, bring: Callable[[Path], None]) -> None:
    """Fills `entry`, which appears whole or not at all; what a broken line has brought stays hidden for the next call.

    Two processes want the same: the second waits, and finds it there.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    lock = entry.with_name(f".{entry.name}.lock")
    with _alone(lock):
        if not entry.is_dir():
            growing = entry.with_name(f".{entry.name}.part")
            bring(growing)
            growing.rename(entry)
    with suppress(OSError):  # who waits for it still has it open, and needs it no more
        lock.unlink()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process or thread at a time; the system lets go of it when the holder dies."""
    with lock.open("a") as held:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(held.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _config(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return found if isinstance(found, dict) else None
