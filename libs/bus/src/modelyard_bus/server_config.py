"""The text of nats.conf: JetStream, and one user per identity with exactly the permissions of the catalogue, in the
account of the yard or in one of its own.

Used by the local stack, by the deployment files and by tests, so that all of them run under the same rules.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard_contracts.permissions import IDENTITIES, OUTSIDE, YARD, Permissions, permissions_of


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A password that the server reads from its own environment. Letters first: it would read `123` as a number."""

    variable: str


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`passwords` for every identity, plain or bcrypt. `sync_interval`: "always" survives a power cut (one disk
    write per message), "2m" survives kill -9 only. `monitor_port`: HTTP on the same host, for health checks."""

    store: Path
    passwords: Mapping[str, str | FromEnvironment]
    host: str = "127.0.0.1"
    port: int = 4222
    sync_interval: str = "2m"
    monitor_port: int | None = None


def render(config: ServerConfig) -> str:
    """Raises ValueError when an identity has no password, or one that nats.conf cannot hold."""
    missing = [identity for identity in IDENTITIES if not config.passwords.get(identity)]
    if missing:
        raise ValueError(f"no password for {', '.join(missing)}")
    monitor = f"http: {_text(f'{config.host}:{config.monitor_port}')}\n" if config.monitor_port else ""
    accounts = (_yard(config.passwords), *(_outsider(identity, config.passwords) for identity in OUTSIDE))
    return (
        f"listen: {_text(f'{config.host}:{config.port}')}\n"
        f"{monitor}"
        "max_payload: 1MB\n"
        "jetstream {\n"
        f"  store_dir: {_text(str(config.store))}\n"
        f"  sync_interval: {_text(config.sync_interval)}\n"
        "}\n"
        f"accounts {{\n{''.join(accounts)}}}\n"
    )


def move_streams(store: Path) -> None:
    """Before the server starts: streams that an earlier release kept outside of any account become the yard's."""
    earlier, now = (store / "jetstream" / account for account in ("$G", YARD))
    if earlier.is_dir() and not now.exists():
        earlier.rename(now)


def _yard(passwords: Mapping[str, str | FromEnvironment]) -> str:
    exports = ", ".join(f"{{ service: {_text(heard)}, accounts: [{who}] }}" for who, heard in _heard_from_outside())
    inside = [identity for identity in IDENTITIES if identity not in OUTSIDE]
    return _account(YARD, f"    jetstream: enabled\n    exports: [{exports}]\n", inside, passwords)


def _outsider(identity: str, passwords: Mapping[str, str | FromEnvironment]) -> str:
    subjects = [heard for who, heard in _heard_from_outside() if who == identity]
    imports = ", ".join(f"{{ service: {{ account: {YARD}, subject: {_text(heard)} }} }}" for heard in subjects)
    return _account(identity, f"    imports: [{imports}]\n", [identity], passwords)


def _heard_from_outside() -> list[tuple[str, str]]:
    return [(identity, subject) for identity in OUTSIDE for subject in permissions_of(identity).publish]


def _account(name: str, shared: str, identities: Iterable[str], passwords: Mapping[str, str | FromEnvironment]) -> str:
    users = "".join(_user(identity, passwords[identity]) for identity in identities)
    return f"  {name}: {{\n{shared}    users: [\n{users}    ]\n  }}\n"


def _user(identity: str, password: str | FromEnvironment) -> str:
    permissions = permissions_of(identity)
    return (
        f"      {{ user: {_text(identity)}, password: {_password(password)}, permissions: {{\n"
        f"        publish: {{ allow: {_list(permissions.publish)}, deny: {_list(permissions.publish_denied)} }}\n"
        f"        subscribe: {_list(permissions.subscribe)}\n"
        f"{_answers(permissions)}"
        "      } }\n"
    )


def _answers(permissions: Permissions) -> str:
    return '        allow_responses: { max: 1, expires: "5m" }\n' if permissions.answers else ""


def _list(subjects: tuple[str, ...]) -> str:
    return "[" + ", ".join(_text(subject) for subject in subjects) + "]"


def _password(password: str | FromEnvironment) -> str:
    return f"${password.variable}" if isinstance(password, FromEnvironment) else _text(password)


def _text(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("only printable ASCII can stand in nats.conf")
    return json.dumps(value)
