"""`modelyard events`, `dlq …`, `tokens …`, `projects …`: what an operator looks at."""

from typing import Annotated

import typer

from modelyard.cli.session import AsJson, client_of, out, show, table
from modelyard.client import Reply

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: messages that no retry could settle.")
tokens = typer.Typer(no_args_is_help=True, help="Access tokens of this project.")
projects = typer.Typer(no_args_is_help=True, help="Projects of this yard.")
Sequence = Annotated[int, typer.Argument(help="sequence number from 'dlq list'")]


def events(context: typer.Context, as_json: AsJson = False) -> None:
    """Follow what the services say, live, until Ctrl-C."""
    for kind, event in client_of(context).events():
        if as_json:
            show(event, True, lambda _: None)
        else:
            fact = kind.removeprefix("modelyard.evt.").removesuffix(".v1")
            out.print(
                f"[dim]{event['time'][11:23]}[/dim] [bold]{fact:<32}[/bold] {summary(event['data'])}", highlight=False
            )


def summary(data: Reply) -> str:
    """The few facts of an event that a person wants on one line."""
    wanted = ("model_name", "model_version", "job_name", "target", "version", "title", "score", "reason", "model_id")
    facts = [str(data[name]) for name in wanted if data.get(name) is not None]
    if accuracy := (data.get("metrics") or {}).get("accuracy"):
        facts.append(f"accuracy {accuracy:.4f}")
    return "  ".join(facts).replace("[", r"\[")


@dlq.command("list")
def list_letters(context: typer.Context, as_json: AsJson = False) -> None:
    """Oldest first."""
    show(client_of(context).get("dead-letters"), as_json, _render_letters)


def _render_letters(reply: Reply) -> None:
    rows = [
        (
            letter["sequence"],
            letter["time"][:19],
            letter["consumer"],
            letter["subject"],
            letter["deliveries"],
            letter["reason"],
        )
        for letter in reply["dead_letters"]
    ]
    columns = ("#>", "given up at", "consumer", "subject", "tries>", "reason")
    out.print(table(f"{len(rows)} dead letters", columns, rows))


@dlq.command("show")
def show_letter(context: typer.Context, sequence: Sequence, as_json: AsJson = False) -> None:
    """One dead letter with its message."""
    reply = client_of(context).get(f"dead-letters/{sequence}")
    show(reply, as_json, lambda letter: out.print(table(f"Dead letter {sequence}", ("fact", "value"), letter.items())))


@dlq.command("replay")
def replay(context: typer.Context, sequence: Sequence, as_json: AsJson = False) -> None:
    """Send it again to where it came from."""
    client_of(context).post(f"dead-letters/{sequence}/replay", {})
    show({"replayed": sequence}, as_json, lambda _: out.print(f"dead letter {sequence} is on its way again."))


@dlq.command("drop")
def drop(context: typer.Context, sequence: Sequence, as_json: AsJson = False) -> None:
    """Forget it for good."""
    client_of(context).delete(f"dead-letters/{sequence}")
    show({"dropped": sequence}, as_json, lambda _: out.print(f"dead letter {sequence} is dropped."))


@tokens.command("create")
def create_token(
    context: typer.Context,
    name: str,
    role: Annotated[str, typer.Option(help="reader, writer, publisher or admin")] = "reader",
    as_json: AsJson = False,
) -> None:
    """Make a token. It is shown once."""
    reply = client_of(context).post("tokens", {"name": name, "role": role})
    show(reply, as_json, lambda made: typer.echo(made["token"]))


@tokens.command("list")
def list_tokens(context: typer.Context, as_json: AsJson = False) -> None:
    """Names and roles; never the secrets."""
    show(client_of(context).get("tokens"), as_json, _render_tokens)


def _render_tokens(reply: Reply) -> None:
    rows = [(token["name"], token["role"], token["created_by"]) for token in reply["tokens"]]
    out.print(table("Tokens", ("name", "role", "made by"), rows))


@tokens.command("revoke")
def revoke_token(context: typer.Context, name: str, as_json: AsJson = False) -> None:
    """It stops working at once."""
    client_of(context).delete(f"tokens/{name}")
    show({"revoked": name}, as_json, lambda _: out.print(f"token {name} is revoked."))


@projects.command("create")
def create_project(context: typer.Context, project: str, as_json: AsJson = False) -> None:
    """Make a project and print its first admin token. Only the operator may."""
    reply = client_of(context).server("projects", {"project_id": project})
    show(reply, as_json, lambda made: typer.echo(made["token"]))


def register(app: typer.Typer) -> None:
    app.command("events")(events)
    app.add_typer(dlq, name="dlq")
    app.add_typer(tokens, name="tokens")
    app.add_typer(projects, name="projects")
