"""Where the gateway is and who is calling: `connection.json`, or MODELYARD_URL and MODELYARD_TOKEN."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.errors import ConnectionNotFound

NEXT_STEP = (
    "start a local stack with 'modelyard up --data DIR' and pass --connection DIR/connection.json, "
    "or set MODELYARD_URL and MODELYARD_TOKEN"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """`details` is the whole file: NATS and S3 addresses for those who publish events or fill buckets."""

    url: str
    token: str = field(repr=False)
    project: str
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)


def find_connection(file: Path | None = None, project: str | None = None) -> Connection:
    """`file`, else MODELYARD_CONNECTION, else MODELYARD_URL with MODELYARD_TOKEN; the project may be chosen apart, or
    by MODELYARD_PROJECT. Raises ConnectionNotFound. Empty variables count as unset."""
    project = project or os.environ.get("MODELYARD_PROJECT")
    if file is None and (named := os.environ.get("MODELYARD_CONNECTION")):
        file = Path(named)
    if file is not None:
        return _from_file(file, project)
    url, token = (os.environ.get(name, "").strip() for name in ("MODELYARD_URL", "MODELYARD_TOKEN"))
    if not url or not token:
        raise ConnectionNotFound(f"no gateway is named: {NEXT_STEP}")
    return Connection(url, token, project or "default")


def _from_file(file: Path, project: str | None) -> Connection:
    try:
        details = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConnectionNotFound(f"{file} cannot be read ({error.strerror}): {NEXT_STEP}") from error
    except ValueError as error:
        raise ConnectionNotFound(f"{file} is not a connection file: it holds no JSON ({error})") from error
    names = ("gateway_url", "token", "project")
    missing = [name for name in names if not isinstance(details, dict) or not isinstance(details.get(name), str)]
    if missing:
        raise ConnectionNotFound(f"{file} is not a connection file: it lacks {', '.join(missing)}")
    return Connection(details["gateway_url"], details["token"], project or details["project"], details)
