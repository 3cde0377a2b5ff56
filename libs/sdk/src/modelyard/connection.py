"""Where the gateway is and who is calling: `connection.json`, the environment, or what `modelyard login` has kept."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelyard.errors import ConnectionNotFound

_LOGIN = "set MODELYARD_URL and MODELYARD_TOKEN, or run 'modelyard login URL' once"
_START = "start a local stack with 'modelyard up --data DIR' and pass --connection DIR/connection.json, "


def has_stack() -> bool:
    """Whether there is a `modelyard up` here: a client alone does not have it."""
    return find_spec("modelyard_local") is not None


def next_step() -> str:
    return (_START if has_stack() else "pass --connection FILE with a connection.json, ") + _LOGIN


@dataclass(frozen=True, slots=True)
class Connection:
    """`details` is the whole file: NATS and S3 addresses for those who publish events or fill buckets. `origin` says
    for people where it was found."""

    url: str
    token: str = field(repr=False)
    project: str
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)
    origin: str = "the program"


def find_connection(file: Path | str | None = None, project: str | None = None) -> Connection:
    """`file`, else MODELYARD_CONNECTION, else MODELYARD_URL with MODELYARD_TOKEN, else what `modelyard login` has kept;
    the project may be chosen apart, or by MODELYARD_PROJECT. Raises ConnectionNotFound. Empty variables count as unset.
    """
    project = project or os.environ.get("MODELYARD_PROJECT")
    if file is None and (named := os.environ.get("MODELYARD_CONNECTION")):
        file = Path(named)
    if file is not None:
        return _from_file(Path(file), project, str(file))
    url, token = (os.environ.get(name, "").strip() for name in ("MODELYARD_URL", "MODELYARD_TOKEN"))
    if url and token:
        return Connection(url, token, project or "default", origin="MODELYARD_URL and MODELYARD_TOKEN")
    # A URL without a token is an oversight; the token that was kept belongs to another address.
    if not url and not token and (kept := kept_file()).is_file():
        return _from_file(kept, project, f"'modelyard login': {kept}")
    if url or token:
        given, missing = ("MODELYARD_URL", "MODELYARD_TOKEN") if url else ("MODELYARD_TOKEN", "MODELYARD_URL")
        raise ConnectionNotFound(f"{given} is set and {missing} is not: both belong together")
    raise ConnectionNotFound(f"no gateway is named: {next_step()}")


def connection_in(file: Path) -> Connection:
    """What this file says, whatever the environment says. Raises ConnectionNotFound."""
    return _from_file(file, None, str(file), "it holds gateway_url, token and project of the connection that is meant")


def kept_file() -> Path:
    """Where `modelyard login` keeps what it was told, in XDG_CONFIG_HOME or ~/.config."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "modelyard" / "connection.json"


def keep(connection: Connection) -> Path:
    """For later commands, readable by this user alone; the file."""
    from tempfile import NamedTemporaryFile

    file = kept_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = {"gateway_url": connection.url, "token": connection.token, "project": connection.project}
    with NamedTemporaryFile("w", dir=file.parent, delete=False) as beside:  # with mode 0600 from the first byte on
        json.dump(said, beside)
    Path(beside.name).replace(file)
    return file


def _from_file(file: Path, project: str | None, origin: str, advice: str | None = None) -> Connection:
    try:
        details = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConnectionNotFound(f"{file} cannot be read ({error.strerror}): {advice or next_step()}") from error
    except ValueError as error:
        raise ConnectionNotFound(f"{file} is not a connection file: it holds no JSON ({error})") from error
    names = ("gateway_url", "token", "project")
    missing = [name for name in names if not isinstance(details, dict) or not isinstance(details.get(name), str)]
    if missing:
        raise ConnectionNotFound(f"{file} is not a connection file: it lacks {', '.join(missing)}")
    return Connection(details["gateway_url"], details["token"], project or details["project"], details, origin)
