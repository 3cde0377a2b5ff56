"""The secrets of one local stack: drawn at the first start, kept in its folder (mode 0600), the same ever after."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelyard_contracts.permissions import IDENTITIES

_FILE = "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """`nats` maps each identity to its password. A folder of an earlier release has no `access_master_key` yet."""

    operator_token: str = field(repr=False)
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    nats: dict[str, str] = field(repr=False)
    access_master_key: str = field(repr=False)

    @classmethod
    def of(cls, data_dir: Path) -> "Credentials":
        """Those of the folder, or new ones kept there. Raises ValueError when the file is damaged."""
        path = data_dir / _FILE
        if not path.exists():
            write_private(path, json.dumps(asdict(cls._drawn())))
        try:
            known = json.loads(path.read_text("utf-8"))
            kept = cls(**{"access_master_key": secrets.token_urlsafe(32), **known})
            fits = set(kept.nats) == set(IDENTITIES)
        except (ValueError, TypeError):  # no JSON, or another object
            fits = False
        if not fits:
            raise ValueError(f"{path} is damaged or of another version; move it away and start again, with new secrets")
        if "access_master_key" not in known:
            write_private(path, json.dumps(asdict(kept)))
        return kept

    @classmethod
    def _drawn(cls) -> "Credentials":
        # nats.conf takes text that begins with a letter; hexadecimal digits alone could read as a number
        passwords = {identity: "n" + secrets.token_hex(20) for identity in IDENTITIES}
        return cls(
            "my_" + secrets.token_urlsafe(32),
            "MY" + secrets.token_hex(9).upper(),
            secrets.token_hex(20),
            passwords,
            secrets.token_urlsafe(32),
        )


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically; nobody else can ever read it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(path.name + ".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
