"""`modelyard rules …`: which completed training runs become versions by themselves, and what then follows."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from modelyard.cli.session import AsJson, client_of, moment, number, out, show, show_rows, table
from modelyard.cli.training import metrics_line
from modelyard.client import Client, Reply
from modelyard.references import dataset_id

rules = typer.Typer(no_args_is_help=True, help="Which completed runs become versions by themselves.")


@rules.command(
    "create",
    epilog="Example: modelyard rules create --name nightly --job-name 'digits-*' --model-name digits --gallery",
)
def create_rule(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Of the rule.")],
    job_name: Annotated[str, typer.Option(help="Which jobs; a pattern like 'digits-*'.")],
    model_name: Annotated[str, typer.Option(help="Name of the versions it makes.")],
    min_metric: Annotated[list[str] | None, typer.Option(help="name=number that a run must reach; repeat.")] = None,
    convert: Annotated[list[str] | None, typer.Option(help="Then convert to this target; repeat.")] = None,
    evaluate: Annotated[list[str] | None, typer.Option(help="Then evaluate on this dataset; repeat.")] = None,
    gallery: Annotated[bool, typer.Option("--gallery", help="Then list it in the gallery.")] = False,
    competition: Annotated[list[str] | None, typer.Option(help="Then enter this competition; repeat.")] = None,
    plan: Annotated[Path | None, typer.Option(help="JSON file with the whole plan instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """From now on, make a version of every completed run that matches; the plan follows by itself."""
    if plan and (convert or evaluate or gallery or competition):
        raise typer.BadParameter("--plan holds the whole plan; leave out --convert, --evaluate and so on")
    client = client_of(context)
    publish: list[dict[str, str]] = [{"channel": "gallery"}] if gallery else []
    publish += [{"channel": "competition", "competition_id": identifier} for identifier in competition or []]
    body = {
        "name": name,
        "job_name": job_name,
        "model_name": model_name,
        "min_metrics": dict(map(number, min_metric or [])),
        "plan": _read_plan(plan) if plan else _plan(client, convert or [], evaluate or [], publish),
    }
    show(client.rules.create(body), as_json, lambda rule: _render_rules({"rules": [rule]}))


def _plan(client: Client, targets: list[str], datasets: list[str], publish: list[dict[str, str]]) -> Reply:
    return {
        "convert": [{"target": target} for target in targets],
        "evaluate": [{"dataset_id": dataset_id(client, dataset)} for dataset in datasets],
        "publish": publish,
    }


def _read_plan(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise typer.BadParameter(f"--plan {file} holds no JSON: {error}") from None


@rules.command("dry-run", epilog="Example: modelyard rules dry-run --job-name 'digits-*' --min-metric accuracy=0.95")
def dry_run(
    context: typer.Context,
    rule: Annotated[
        str | None, typer.Argument(help="Name or id of a rule there is; else say what it would be.")
    ] = None,
    job_name: Annotated[str | None, typer.Option(help="Which jobs; a pattern like 'digits-*'.")] = None,
    min_metric: Annotated[list[str] | None, typer.Option(help="name=number that a run must reach; repeat.")] = None,
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="Look at so many of the newest runs.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Show which past runs a rule would have taken, and what the others lacked. Nothing is imported."""
    if (rule is None) == (job_name is None):
        raise typer.BadParameter("name a rule, or give --job-name")
    client = client_of(context)
    body: dict[str, Any] = {"name": "dry-run", "job_name": job_name, "model_name": "dry-run", "min_metrics": {}}
    if rule is not None:
        found = client.rules.show(rule)
        body = {name: found[name] for name in ("name", "job_name", "model_name", "min_metrics")}
    body["min_metrics"] = body["min_metrics"] | dict(map(number, min_metric or []))
    show(client.rules.dry_run({**body, "runs": runs}), as_json, _render_dry_run)


def _render_dry_run(reply: Reply) -> None:
    rows = [
        (
            f"{verdict['job_name']} {verdict['job_version']}",
            moment(verdict["received_at"]),
            metrics_line(verdict["metrics"]),
            "taken" if verdict["taken"] else verdict["reason"],
        )
        for verdict in reply["verdicts"]
    ]
    title = f"{reply['taken']} of {reply['looked_at']} runs would have been taken"
    out.print(table(title, ("run", "said", "metrics", "verdict"), rows))


@rules.command("list", epilog="Example: modelyard rules list")
def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """List the import rules of this project."""
    show(client_of(context).rules.list(), as_json, _render_rules)


def _render_rules(reply: Reply) -> None:
    rows = [
        (
            rule["name"],
            rule["job_name"],
            ", ".join(f"{name} ≥ {value:g}" for name, value in rule["min_metrics"].items()),
            rule["model_name"],
            ", ".join(_steps(rule["plan"])),
        )
        for rule in reply["rules"]
    ]
    show_rows(
        f"Import rules: {len(rows)}",
        ("rule", "job", "if", "makes", "then"),
        rows,
        "No import rules; see 'modelyard rules create --help'.",
    )


def _steps(plan: Reply) -> list[str]:
    steps = [order["target"] for order in plan["convert"]]
    steps += ["evaluate"] if plan["evaluate"] else []
    return steps + [order["channel"] for order in plan["publish"]]


@rules.command("delete", epilog="Example: modelyard rules delete nightly")
def delete_rule(
    context: typer.Context, rule: Annotated[str, typer.Argument(help="Name or id.")], as_json: AsJson = False
) -> None:
    """Delete a rule. Versions that it has made stay."""
    client_of(context).rules.delete(rule)
    show({"deleted": rule}, as_json, lambda _: out.print(f"rule {rule} is deleted.", markup=False))


def register(app: typer.Typer) -> None:
    app.add_typer(rules, name="rules")
