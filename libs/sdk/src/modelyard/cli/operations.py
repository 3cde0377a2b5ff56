"""`modelyard events`, `dlq …`, `tokens …`, `access-keys …`, `projects …`: what an operator looks at."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from modelyard.cli.session import (
    AsJson,
    client_of,
    facts,
    json_text,
    local,
    moment,
    out,
    plain,
    show,
    show_rows,
    table,
    zone,
)
from modelyard.client import Client, Reply
from modelyard.errors import GatewayUnreachable, Refused

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: messages that no retry could settle.")
tokens = typer.Typer(no_args_is_help=True, help="Access tokens of this project.")
access_keys = typer.Typer(
    no_args_is_help=True, help="Access keys of this project: what clients of Huawei Cloud sign their requests with."
)
projects = typer.Typer(no_args_is_help=True, help="Projects of this yard.")
Sequence = Annotated[int, typer.Argument(help="Number from 'dlq list'.")]
KeyName = Annotated[str, typer.Argument(help="Whose key it is: a person, a script.")]
TokenName = Annotated[str, typer.Argument(help="Whose token it is: a person, a script.")]


class Role(StrEnum):
    reader = "reader"
    writer = "writer"
    publisher = "publisher"
    admin = "admin"


def events(context: typer.Context, as_json: AsJson = False) -> None:
    """Follow what the services say, live, until Ctrl-C. With --json one event per line."""
    client = client_of(context)
    telling = Telling(client)
    for kind, event in client.events():
        if as_json:
            typer.echo(json_text(event))  # flushes, so that a pipe sees it at once
        else:
            at = local(datetime.fromisoformat(event["time"]))
            said = f"[dim]{at:%H:%M:%S}[/dim] [bold]{plain(_fact(kind)):<30}[/bold]"
            out.print(f"{said} {telling(event['data'])}", highlight=False, soft_wrap=True)


def _fact(subject: str) -> str:
    """`modelyard.evt.version.published.v1` → `version.published`."""
    shortened = subject.removeprefix("modelyard.").removeprefix("evt.")
    name, _, revision = shortened.rpartition(".")
    return name if revision.startswith("v") and revision[1:].isdigit() else shortened


class Telling:
    """The few facts of an event that a person wants on one line, safe to print. Most events know a version by its id
    only: each is looked up once, unless an event has named it before."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names: dict[str, str] = {}

    def __call__(self, data: Reply) -> str:
        wanted = ("job_name", "target", "version", "title", "reason")
        facts = [self._name(data)] if data.get("model_id") or data.get("model_name") else []
        facts += [str(data[name]) for name in wanted if data.get(name) is not None]
        if (score := data.get("score")) is not None:
            facts.append(f"{data.get('metric', 'score')} {score:.4f}")
        if (accuracy := (data.get("metrics") or {}).get("accuracy")) is not None:
            facts.append(f"accuracy {accuracy:.4f}")
        return plain("  ".join(facts))

    def _name(self, data: Reply) -> str:
        identifier = str(data.get("model_id") or "")
        if data.get("model_name"):
            self._names[identifier] = " ".join(
                str(data[part]) for part in ("model_name", "model_version") if data.get(part)
            )
        elif identifier not in self._names:
            try:
                found = self._client.models.show(identifier)
                self._names[identifier] = f"{found['model_name']} {found['model_version']}"
            except (Refused, GatewayUnreachable):  # it is gone, or cannot be asked now
                self._names[identifier] = f"model {identifier}"
        return self._names[identifier]


@dlq.command("list", epilog="Example: modelyard dlq list")
def list_letters(context: typer.Context, as_json: AsJson = False) -> None:
    """List the dead letters, oldest first."""
    show(client_of(context).dead_letters.list(), as_json, _render_letters)


def _render_letters(reply: Reply) -> None:
    rows = [
        (
            letter["sequence"],
            local(datetime.fromisoformat(letter["time"])).strftime("%Y-%m-%d %H:%M"),
            letter["consumer"],
            _fact(letter["subject"]),
            letter["reason"],
        )
        for letter in reply["dead_letters"]
    ]
    columns = ("#>", f"given up ({zone()})", "consumer", "subject", "reason")
    show_rows(f"Dead letters: {len(rows)}", columns, rows, "No dead letters.")


@dlq.command("show", epilog="Example: modelyard dlq show 7")
def show_letter(context: typer.Context, sequence: Sequence, as_json: AsJson = False) -> None:
    """Show one dead letter with its message."""
    reply = client_of(context).dead_letters.show(sequence)
    show(reply, as_json, lambda letter: out.print(facts(f"Dead letter {sequence}", letter.items())))


@dlq.command("replay", epilog="Example: modelyard dlq replay 7")
def replay(context: typer.Context, sequence: Sequence, as_json: AsJson = False) -> None:
    """Send a dead letter again to where it came from."""
    client_of(context).dead_letters.replay(sequence)
    show({"replayed": sequence}, as_json, lambda _: out.print(f"dead letter {sequence} is on its way again."))


@dlq.command("drop", epilog="Example: modelyard dlq drop 7")
def drop(context: typer.Context, sequence: Sequence, as_json: AsJson = False) -> None:
    """Forget a dead letter for good."""
    client_of(context).dead_letters.drop(sequence)
    show({"dropped": sequence}, as_json, lambda _: out.print(f"dead letter {sequence} is dropped."))


@tokens.command("create", epilog="Example: modelyard tokens create laptop --role writer")
def create_token(
    context: typer.Context,
    name: TokenName,
    role: Annotated[Role, typer.Option(help="Each may do what those before it may.")] = Role.reader,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it. It is shown this once."""
    reply = client_of(context).tokens.create(name, role.value)
    show(reply, as_json, lambda made: typer.echo(made["token"]))


@tokens.command("list", epilog="Example: modelyard tokens list")
def list_tokens(context: typer.Context, as_json: AsJson = False) -> None:
    """List names and roles; never the secrets."""
    show(client_of(context).tokens.list(), as_json, _render_tokens)


def _render_tokens(reply: Reply) -> None:
    rows = [(token["name"], token["role"], token["created_by"]) for token in reply["tokens"]]
    out.print(table("Tokens", ("name", "role", "made by"), rows))


@tokens.command("revoke", epilog="Example: modelyard tokens revoke laptop")
def revoke_token(context: typer.Context, name: TokenName, as_json: AsJson = False) -> None:
    """Revoke a token. It stops working at once."""
    client_of(context).tokens.revoke(name)
    show({"revoked": name}, as_json, lambda _: out.print(f"token {name} is revoked.", markup=False))


@access_keys.command("create", epilog="Example: modelyard access-keys create terraform --role writer")
def create_access_key(
    context: typer.Context,
    name: KeyName,
    role: Annotated[Role, typer.Option(help="Each may do what those before it may.")] = Role.reader,
    as_json: AsJson = False,
) -> None:
    """Make an access key and print its pair: id and secret. The secret is shown this once."""
    show(client_of(context).access_keys.create(name, role.value), as_json, _say_pair)


def _say_pair(made: Reply) -> None:
    typer.echo(f"{made['access_key_id']} {made['secret_access_key']}")


@access_keys.command("list", epilog="Example: modelyard access-keys list")
def list_access_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """List names, roles, ids, and until when former pairs work; never the secrets."""
    show(client_of(context).access_keys.list(), as_json, _render_access_keys)


def _render_access_keys(reply: Reply) -> None:
    rows = [
        (
            key["name"],
            key["role"],
            key["access_key_id"],
            key["created_by"],
            ", ".join(f"{pair['access_key_id']} until {moment(pair['expires_at'])}" for pair in key["former"]),
        )
        for key in reply["access_keys"]
    ]
    show_rows(
        "Access keys",
        ("name", "role", "id", "made by", "works on"),
        rows,
        "No access keys; see 'modelyard access-keys create --help'.",
    )


@access_keys.command("rotate", epilog="Example: modelyard access-keys rotate terraform")
def rotate_access_key(
    context: typer.Context,
    name: KeyName,
    hours: Annotated[float, typer.Option(min=0, max=720, help="How long the former pair works on.")] = 24,
    at_once: Annotated[bool, typer.Option("--at-once", help="End every former pair now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new pair and print it. The former one works on for a while, so that clients can be moved."""
    seconds = 0 if at_once else round(hours * 3600)
    show(client_of(context).access_keys.rotate(name, former_seconds=seconds), as_json, _say_pair)


@access_keys.command("revoke", epilog="Example: modelyard access-keys revoke terraform")
def revoke_access_key(context: typer.Context, name: KeyName, as_json: AsJson = False) -> None:
    """Revoke an access key. All its pairs stop working at once."""
    client_of(context).access_keys.revoke(name)
    show({"revoked": name}, as_json, lambda _: out.print(f"access key {name} is revoked.", markup=False))


@projects.command("list", epilog="Example: modelyard projects list")
def list_projects(context: typer.Context, as_json: AsJson = False) -> None:
    """List all projects of this yard; for an admin of the operator's project."""
    show(client_of(context).projects.list(), as_json, _render_projects)


def _render_projects(reply: Reply) -> None:
    rows = [
        (project["project_id"], project["title"], moment(project["created_at"]), project["created_by"])
        for project in reply["projects"]
    ]
    out.print(table("Projects", ("project", "title", "created", "made by"), rows))


@projects.command("create", epilog="Example: modelyard projects create vision-team")
def create_project(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Lower-case letters, digits and -.")],
    as_json: AsJson = False,
) -> None:
    """Make a project and print its first admin token. Only the operator may."""
    reply = client_of(context).projects.create(project)
    show(reply, as_json, lambda made: typer.echo(made["token"]))


def register(app: typer.Typer) -> None:
    app.command("events", epilog="Example: modelyard events --json")(events)
    app.add_typer(dlq, name="dlq")
    app.add_typer(tokens, name="tokens")
    app.add_typer(access_keys, name="access-keys")
    app.add_typer(projects, name="projects")
