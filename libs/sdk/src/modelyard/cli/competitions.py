"""`modelyard competitions …`: open one, see who leads."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from modelyard.cli.session import AsJson, client_of, out, show, table
from modelyard.client import Reply
from modelyard.references import dataset_id

group = typer.Typer(no_args_is_help=True, help="Entries are scored on data the entrant never sees.")


@group.command("create")
def create(
    context: typer.Context,
    title: Annotated[str, typer.Option()],
    dataset: Annotated[str, typer.Option(help="a hidden dataset")],
    deadline: Annotated[datetime, typer.Option(help="UTC, e.g. 2027-01-31T12:00:00")],
    metric: Annotated[str, typer.Option(help="accuracy, precision, recall, f1 or auc")] = "accuracy",
    entries_per_day: Annotated[int, typer.Option(min=1, max=1000)] = 5,
    as_json: AsJson = False,
) -> None:
    """Open a competition."""
    client = client_of(context)
    body = {
        "title": title,
        "dataset_id": dataset_id(client, dataset),
        "metric": metric,
        "deadline": int(deadline.replace(tzinfo=UTC).timestamp() * 1000),
        "entries_per_day": entries_per_day,
    }
    show(client.post("competitions", body), as_json, _render_one)


def _moment(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _render_one(competition: Reply) -> None:
    rows = [(name, competition[name]) for name in ("competition_id", "metric", "entries_per_day", "entries", "open")]
    rows.append(("deadline", _moment(competition["deadline"])))
    out.print(table(competition["title"], ("fact", "value"), rows))


@group.command("list")
def list_competitions(context: typer.Context, as_json: AsJson = False) -> None:
    """Competitions of all projects, newest first."""
    show(client_of(context).get("competitions"), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    rows = [
        (
            row["title"],
            row["metric"],
            _moment(row["deadline"]),
            "open" if row["open"] else "closed",
            row["entries"],
            row["competition_id"],
        )
        for row in reply["competitions"]
    ]
    out.print(table("Competitions", ("title", "metric", "deadline", "", "entries>", "id"), rows))


@group.command("show")
def show_competition(context: typer.Context, competition: str, as_json: AsJson = False) -> None:
    """One competition."""
    show(client_of(context).get(f"competitions/{competition}"), as_json, _render_one)


@group.command("leaderboard")
def leaderboard(context: typer.Context, competition: str, as_json: AsJson = False) -> None:
    """Scored entries, best first."""
    show(client_of(context).get(f"competitions/{competition}/leaderboard"), as_json, render_leaderboard)


def render_leaderboard(reply: Reply) -> None:
    rows = [
        (
            row["rank"],
            f"{row['model_name']} {row['model_version']}",
            row["project"],
            f"{row['score']:.4f}",
            _moment(row["submitted_at"]),
        )
        for row in reply["rows"]
    ]
    out.print(table(f"{reply['title']}: {reply['metric']}", ("rank>", "model", "project", "score>", "submitted"), rows))


def render_entry(entry: Reply) -> None:
    score = f"{entry['score']:.4f}" if entry["score"] is not None else None
    rows = [("entry", entry["entry_id"]), ("state", entry["state"]), ("score", score), ("reason", entry["reason"])]
    out.print(table(f"Entry of {entry['model_name']} {entry['model_version']}", ("fact", "value"), rows))


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="competitions")
