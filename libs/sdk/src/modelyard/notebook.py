"""One call in, one call out: `modelyard.save` and `modelyard.load`, for notebooks and short scripts."""

import sys
import warnings
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, Unpack

from modelyard.client import Client, Reply
from modelyard.connection import Connection, connection_in, find_connection
from modelyard.loading import LoadedModel
from modelyard.resources.imports import Details
from modelyard.transfer import Contents


def save(
    name: str,
    folder: str | Path,
    *,
    hidden: bool = False,
    model_type: str | None = None,
    algorithm: str | None = None,
    connection: Connection | Path | str | None = None,
    **details: Unpack[Details],
) -> Reply:
    """Import a package of this machine (docs/package.md), or one model file, and wait; the published version.

    What of the folder is not sent is warned of before anything moves, and stands in `left_out` of the reply; with
    `hidden` files that begin with a dot go too. Of one file `model_type` follows from its ending, and `algorithm` is
    predict_analysis.

    Raises NotFoundHere when the folder is no package, Refused naming field and rule, TaskFailed with every problem that
    was found in it, and ConnectionNotFound. The same call again goes on where a broken line has left it.
    """
    with Client(_chosen(connection)) as client, _Line(f"importing {name}") as line:
        made = client.imports.upload(
            name,
            Path(folder),
            hidden=hidden,
            model_type=model_type,
            algorithm=algorithm,
            progress=line,
            begun=line.begun,
            chosen=line.chosen,
            **details,
        )
        published = client.imports.wait(made["model_id"], lambda reply: line.say(str(reply["model_status"])))
        return {**published, "left_out": made["left_out"], "notes": made["notes"]}


def load(model: str, *, target: str | None = None, connection: Connection | Path | str | None = None) -> LoadedModel:
    """`Client.load` with the connection that the command line would use, or `connection`, which may be the path of a
    connection.json."""
    with Client(_chosen(connection)) as client, _Line(f"loading {model}") as line:
        return client.load(model, target=target, progress=line, begun=line.begun)


def _chosen(connection: Connection | Path | str | None) -> Connection:
    """Raises ConnectionNotFound."""
    if connection is None:
        return find_connection()
    return connection if isinstance(connection, Connection) else connection_in(Path(connection))


class _Line:
    """One line on standard error that is written over again; silent where nobody watches."""

    def __init__(self, text: str) -> None:
        self._text, self._lock = text, Lock()
        self._moved = self._total = self._longest = 0
        self._watched = sys.stderr.isatty() or "ipykernel" in sys.modules

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._longest:
            sys.stderr.write("\n")

    def chosen(self, contents: Contents) -> None:
        if self._watched and contents.notes:
            sys.stderr.write("\n".join(contents.notes) + "\n")
        if contents.left_out:  # nobody would notice it otherwise
            warnings.warn(contents.notice() or "", stacklevel=4)

    def begun(self, total: int, arrived: int) -> None:
        self._total, self._moved = total, arrived

    def __call__(self, count: int) -> None:
        with self._lock:  # several threads move bytes
            self._moved += count
            self.say(f"{self._moved / 2**20:.1f} of {self._total / 2**20:.1f} MiB")

    def say(self, state: str) -> None:
        if self._watched:
            line = f"{self._text}: {state}"
            self._longest = max(self._longest, len(line))
            sys.stderr.write("\r" + line.ljust(self._longest))
            sys.stderr.flush()
