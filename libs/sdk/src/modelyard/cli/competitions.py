"""`modelyard competitions …`: open one, see who leads."""

from enum import StrEnum
from typing import Annotated

import typer

from modelyard.cli.session import AsJson, client_of, facts, instant, moment, out, show, show_rows, table, zone
from modelyard.client import Reply

group = typer.Typer(no_args_is_help=True, help="Entries are scored on data that the entrant never sees.")
Competition = Annotated[str, typer.Argument(help="Title, or id from 'competitions list'.")]


class Metric(StrEnum):
    accuracy = "accuracy"
    precision = "precision"
    recall = "recall"
    f1 = "f1"
    auc = "auc"


@group.command(
    "create", epilog="Example: modelyard competitions create --title Digits --dataset hidden --deadline 2027-01-31"
)
def create(
    context: typer.Context,
    title: Annotated[str, typer.Option(help="At most 100 characters.")],
    dataset: Annotated[str, typer.Option(help="A hidden dataset: name or id.")],
    deadline: Annotated[str, typer.Option(help="E.g. 2027-01-31T12:00, in your time zone, or …+00:00.")],
    description: Annotated[str, typer.Option(help="At most 1000 characters.")] = "",
    metric: Annotated[Metric, typer.Option(help="What decides.")] = Metric.accuracy,
    entries_per_day: Annotated[int, typer.Option(min=1, max=1000, help="Of each project.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Open a competition."""
    made = client_of(context).competitions.create(
        title,
        dataset,
        instant(deadline),
        description=description,
        metric=metric.value,
        entries_per_day=entries_per_day,
    )
    show(made, as_json, _render_one)


def _render_one(competition: Reply) -> None:
    rows = [
        ("id", competition["competition_id"]),
        ("state", "open" if competition["open"] else "closed"),
        ("deadline", moment(competition["deadline"])),
        ("metric", competition["metric"]),
        ("entries", competition["entries"]),
        ("entries per day", competition["entries_per_day"]),
        ("opened by", f"{competition['created_by']} ({competition['project']})"),
    ]
    rows += [("about", competition["description"])] if competition["description"] else []
    out.print(facts(competition["title"], rows))


@group.command("list", epilog="Example: modelyard competitions list")
def list_competitions(context: typer.Context, as_json: AsJson = False) -> None:
    """List the competitions of all projects, newest first."""
    show(client_of(context).competitions.list(), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            row["title"],
            moment(row["deadline"])[:16] if row["open"] else "closed",
            row["entries"],
            row["competition_id"],
        )
        for row in reply["competitions"]
    ]
    title = f"{reply['count']} of {reply['total_count']} competitions"
    show_rows(
        title,
        ("title", f"open until ({zone()})", "entries>", "id"),
        rows,
        "No competitions; see 'modelyard competitions create --help'.",
    )


@group.command("show", epilog="Example: modelyard competitions show COMPETITION")
def show_competition(context: typer.Context, competition: Competition, as_json: AsJson = False) -> None:
    """Show one competition."""
    show(client_of(context).competitions.show(competition), as_json, _render_one)


@group.command("leaderboard", epilog="Example: modelyard competitions leaderboard COMPETITION")
def leaderboard(context: typer.Context, competition: Competition, as_json: AsJson = False) -> None:
    """Show the scored entries, best first."""
    show(client_of(context).competitions.leaderboard(competition), as_json, render_leaderboard)


def render_leaderboard(reply: Reply) -> None:
    rows = [
        (
            row["rank"],
            f"{row['model_name']} {row['model_version']}",
            row["project"],
            f"{row['score']:.4f}",
            moment(row["submitted_at"])[:16],
        )
        for row in reply["rows"]
    ]
    columns = ("rank>", "model", "project", f"{reply['metric']}>", f"submitted ({zone()})")
    out.print(table(reply["title"], columns, rows))


def render_entry(entry: Reply) -> None:
    score = f"{entry['score']:.4f}" if entry["score"] is not None else None
    rows = [("id", entry["entry_id"]), ("state", entry["state"]), ("score", score)]
    rows += [("reason", entry["reason"])] if entry["reason"] else []
    out.print(facts(f"Entry of {entry['model_name']} {entry['model_version']}", rows))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="competitions")
