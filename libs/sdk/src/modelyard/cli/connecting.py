"""`modelyard status`, `whoami`, `login` and `logout`: which gateway this is, and who is calling."""

import os
import sys
from http.client import UNAUTHORIZED
from typing import Annotated

import typer

from modelyard.cli.session import AsJson, client_of, facts, notes, out, show
from modelyard.client import Client, Reply
from modelyard.connection import Connection, keep, kept_file
from modelyard.errors import Refused, TaskFailed

_GO_BEFORE = ("MODELYARD_CONNECTION", "MODELYARD_URL", "MODELYARD_TOKEN")


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say whether the gateway is there and ready, what is missing behind it, and whether it knows the token."""
    client = client_of(context)
    found = client.status()
    show(found, as_json, _render_status)
    if not found["ready"]:
        raise TaskFailed("the gateway is not ready")
    client.whoami()  # raises what every other command would


def _render_status(found: Reply) -> None:
    rows = [
        ("ready", "yes" if found["ready"] else "no"),
        ("version", found["version"]),
        ("latency", f"{found['latency_ms']:.1f} ms"),
        *found["checks"].items(),
    ]
    out.print(facts(found["url"], rows))


def whoami(context: typer.Context, as_json: AsJson = False) -> None:
    """Say whose token is used, in which project and role, and where it was found."""
    client = client_of(context)
    used = client.connection
    mine = {**client.whoami(), "url": used.url, "connection": used.origin}
    mine.pop("token", None)  # of a new one only, and never here
    show(mine, as_json, _render_whoami)
    if used.project != mine["project"]:
        raise TaskFailed(f"the chosen project is {used.project!r}, and this token is of {mine['project']!r}")


def _render_whoami(mine: Reply) -> None:
    rows = [(name, mine[key]) for name, key in (("project", "project"), ("role", "role"), ("gateway", "url"))]
    out.print(facts(mine["name"], [*rows, ("found in", mine["connection"])]))


def login(
    url: Annotated[str, typer.Argument(help="Of the gateway, e.g. https://yard.example.org.")],
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input instead of asking.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Keep URL and token for later commands. The token is asked for, and checked."""
    said = sys.stdin.readline() if token_stdin else typer.prompt("Token", hide_input=True, err=True)
    token = said.strip()
    if not token:
        raise typer.BadParameter("there is no token on standard input")
    address = url.rstrip("/")
    with Client(Connection(address, token, "")) as client:
        mine = _known(client)
    file = keep(Connection(address, token, mine["project"]))
    known = {"name": mine["name"], "project": mine["project"], "role": mine["role"], "url": address, "file": str(file)}
    show(known, as_json, _render_login)
    if before := [name for name in _GO_BEFORE if os.environ.get(name)]:
        notes.print(f"{' and '.join(before)} of the environment go before it", highlight=False, soft_wrap=True)


def _known(client: Client) -> Reply:
    """Whose token it is. Raises Refused."""
    try:
        return client.whoami()
    except Refused as refused:
        if refused.status != UNAUTHORIZED:
            raise
        message = f"{client.connection.url} does not know this token; nothing was kept. An admin makes one with "
        told = {"error_code": refused.code, "error_msg": message + "'modelyard tokens create NAME'"}
        raise Refused(refused.status, told) from refused


def _render_login(known: Reply) -> None:
    words = f"{known['name']} ({known['role']}) in project {known['project']}; kept in {known['file']}"
    out.print(words, highlight=False, markup=False)


def logout(as_json: AsJson = False) -> None:
    """Forget what login has kept. The token itself stays valid until it is revoked."""
    file = kept_file()
    there = file.is_file()
    file.unlink(missing_ok=True)
    words = f"{file} is removed; 'modelyard tokens revoke' ends the token itself" if there else "nothing was kept"
    show({"removed": str(file) if there else None}, as_json, lambda _: out.print(words, highlight=False, markup=False))


def register(app: typer.Typer) -> None:
    app.command("status", epilog="Example: modelyard status")(status)
    app.command("whoami", epilog="Example: modelyard whoami --json")(whoami)
    app.command("login", epilog="Example: modelyard login https://yard.example.org --token-stdin < token")(login)
    app.command("logout", epilog="Example: modelyard logout")(logout)
