"""`modelyard models …`: the register."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from modelyard.cli import completing
from modelyard.cli.history_table import render_history
from modelyard.cli.model_tables import (
    names_under,
    render_deleted,
    render_deletion,
    render_model,
    render_page,
    version_of,
)
from modelyard.cli.session import AsJson, client_of, err, out, pair, show
from modelyard.client import Client, Reply
from modelyard.errors import TaskFailed
from modelyard.references import archived_id, meant, model_id
from modelyard.resources.models import Filters

group = typer.Typer(
    no_args_is_help=True, help="List, show, change, compare, verify, download, copy, promote and delete versions."
)
Model = Annotated[
    str,
    typer.Argument(
        help="Id, name (its newest published version), name:1.0.0 or name@alias.", autocompletion=completing.models
    ),
]


class Status(StrEnum):
    publishing = "publishing"
    published = "published"
    failed = "failed"


SORTED_BY = {"created": "create_at", "version": "model_version", "size": "model_size"}
"""What people say → what the gateway calls it; anything else is a metric."""


class Order(StrEnum):
    desc = "desc"
    asc = "asc"


@group.command(
    "list", epilog="Example: modelyard models list --where 'accuracy > 0.9 and label = nightly' --sort-by accuracy"
)
def list_models(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="Part of the model name.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="--name is the whole name.")] = False,
    version: Annotated[str | None, typer.Option(help="This number only.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    model_type: Annotated[str | None, typer.Option("--type", help="Only of this type, e.g. ONNX.")] = None,
    not_type: Annotated[str | None, typer.Option(help="Only of other types.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only those that carry this label; repeat for more.")] = None,
    description: Annotated[str | None, typer.Option(help="Part of the description.")] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="FIELD OPERATOR VALUE joined by and: any metric, name, version, status, type, label, tag.KEY, alias, "
            "author, description, created, size; ~ means contains."
        ),
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Those in the archive instead.")] = False,
    sort_by: Annotated[str, typer.Option(help="created, version, size, or a metric.")] = "created",
    order: Annotated[Order, typer.Option(help="Descending or ascending.")] = Order.desc,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many on a page.")] = 100,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before (see --json).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every page, one after the other.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the versions of this project, newest first."""
    if everything and cursor:
        raise typer.BadParameter("--all begins at the first page; leave out --cursor")
    filters: Filters = {
        "model_name": name,
        "exact_match": exact,
        "model_version": version,
        "model_status": status.value if status else None,
        "model_type": model_type,
        "not_model_type": not_type,
        "label": label,
        "description": description,
        "where": where and in_local_time(where),
        "archived": archived or None,
        "sort_by": _sorted_by(sort_by),
        "order": order.value,
        "limit": 1000 if everything else limit,
    }
    client = client_of(context)
    if everything:
        _show_all(client, filters, as_json)
        return
    page = client.models.list(cursor=cursor, **filters)
    show(page, as_json, lambda page: render_page(page, filters))
    by_metric = filters["sort_by"].startswith("metrics.")
    if (name or label or where or by_metric) and not as_json and not page["models"]:
        _hint(client, filters, f"{where or ''} and {sort_by} >")
    if not as_json and page.get("next_cursor"):
        out.print("There are more: --all shows every page.", highlight=False)


def in_local_time(where: str) -> str:
    """Days and times without a zone are those of this machine, as they are shown."""

    def zoned(found: re.Match[str]) -> str:
        try:
            offset = datetime.fromisoformat(found[2]).astimezone().strftime("%z")
        except ValueError:  # the gateway says so
            return found[0]
        return f"{found[1]}{found[2]}{offset[:3]}:{offset[3:]}"

    return re.sub(r"(\bcreated\s*[<>=]+\s*)(\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?)(?=\s|$)", zoned, where)


def _hint(client: Client, filters: Filters, where: str) -> None:
    """Nothing was found: perhaps no version has such a name, label or metric."""
    there = client.models.list(archived=filters.get("archived"), limit=1000)["models"]
    asked = [("model", filters.get("model_name"), {model["model_name"] for model in there})]
    labels = {label for model in there for label in model["labels"]}
    asked += [("label", label, labels) for label in filters.get("label") or ()]
    for what, name, names in asked:
        if name and name not in names and (close := meant(name, names)):
            err.print(f"There is no {what} {name!r}; {close}", highlight=False, markup=False)
    known = {name for model in there for name in model["metrics"]}
    for condition in re.split(r"\s+and\s+", where, flags=re.IGNORECASE):
        metric = (
            None
            if condition.split()[:1] and condition.split()[0] in SORTED_BY
            else re.match(r"\s*(?:metrics\.)?([^\s<>=!~]+)\s*[<>=]", condition)
        )
        if metric and metric[1] not in known and (others := meant(metric[1], known)):
            err.print(f"No version has a metric {metric[1]!r}; {others}", highlight=False, markup=False)


def _sorted_by(said: str) -> str:
    known = {**SORTED_BY, **{name: name for name in SORTED_BY.values()}}
    return known.get(said) or f"metrics.{said.removeprefix('metrics.')}"


def _show_all(client: Client, filters: Filters, as_json: bool) -> None:
    """For people page by page as they come."""
    if as_json:
        found = list(client.models.every(**filters))
        show({"count": len(found), "total_count": len(found), "models": found}, as_json, lambda _: None)
        return
    for page in client.models.pages(**filters):
        render_page(page, filters)


@group.command("show", epilog="Example: modelyard models show digits@champion")
def show_model(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """Show one version: where it comes from, what the scan found, its artifacts with their proof, what it scored."""
    show(client_of(context).models.show(model), as_json, render_model)


@group.command(
    "update", epilog='Example: modelyard models update digits --label candidate --doc "card=https://example.org/card"'
)
def update(
    context: typer.Context,
    model: Model,
    description: Annotated[str | None, typer.Option(help="At most 100 characters; '' removes it.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="The new labels, 5 at most; repeat the option.")] = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Remove all labels.")] = False,
    tag: Annotated[list[str] | None, typer.Option(help="key=value, the new tags, 20 at most; repeat.")] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Remove all tags.")] = False,
    doc: Annotated[list[str] | None, typer.Option(help="name=https://…, the new links, 3 at most; repeat.")] = None,
    no_docs: Annotated[bool, typer.Option("--no-docs", help="Remove all links.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change description, labels, tags or links of a version. What is not named stays."""
    if (label and no_labels) or (tag and no_tags) or (doc and no_docs):
        raise typer.BadParameter("either new ones or none: --label or --no-labels, --tag or --no-tags, …")
    changes: dict[str, Any] = {}
    if description is not None:
        changes["description"] = description
    if label or no_labels:
        changes["labels"] = label or []
    if tag or no_tags:
        changes["tags"] = dict(map(pair, tag or []))
    if doc or no_docs:
        changes["model_docs"] = docs(doc)
    if not changes:
        raise typer.BadParameter("say what shall change: --description, --label, --tag, --doc, …")
    show(client_of(context).models.update(model, **changes), as_json, render_model)


def docs(given: list[str] | None) -> list[dict[str, str]]:
    """`name=https://…`. Raises BadParameter."""
    return [{"doc_name": name, "doc_url": url} for name, url in map(pair, given or [])]


@group.command("delete", epilog="Example: modelyard models delete digits:0.0.1 --dry-run")
def delete_model(
    context: typer.Context,
    model: Model,
    cascade: Annotated[bool, typer.Option(help="Every version of the name.")] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="For good and at once; also an archived version (by id or name:1.0.0).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go and what would stay.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a version; while it waits in the archive it can be restored. One that is in use is kept, with the
    reason."""
    client = client_of(context)
    if dry_run:
        show(client.models.deletion(model, cascade=cascade, purge=purge), as_json, render_deletion)
        return
    named = _named(client, model, purge)
    if not yes:
        what = f"every version of {named['model_name']}" if cascade else version_of(named)
        end = " for good" if purge else ""
        typer.confirm(f"Delete {what} with its artifacts{end}?", abort=True, err=True)
    names = names_under(client, named["model_name"]) if cascade and not as_json else {}
    report = client.models.delete(named["model_id"], cascade=cascade, purge=purge)
    show(report, as_json, lambda report: render_deleted(report, names, version_of(named)))
    if report["delete_failed_list"]:
        raise TaskFailed(f"{len(report['delete_failed_list'])} of the versions could not be deleted")


def _named(client: Client, model: str, purge: bool) -> Reply:
    """The version that is meant; with `purge` it may be archived."""
    if purge and (archived := archived_id(client, model)):
        page = client.models.list(archived=True, limit=1000)
        return next((row for row in page["models"] if row["model_id"] == archived), None) or client.models.show(model)
    return client.models.show(model)


@group.command("archive", epilog="Example: modelyard models archive digits:0.0.1")
def archive(context: typer.Context, model: Model, as_json: AsJson = False) -> None:
    """Take a version out of use with everything it has; 'models restore' brings it back."""
    show(client_of(context).models.archive(model), as_json, render_model)


@group.command("restore", epilog="Example: modelyard models restore digits:0.0.1")
def restore(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Id, or name:1.0.0; see 'models list --archived'.")],
    as_json: AsJson = False,
) -> None:
    """Bring back a version from the archive, also one that was deleted while it waits there."""
    show(client_of(context).models.restore(model), as_json, render_model)


@group.command("history", epilog="Example: modelyard models history digits:0.0.1 --verify")
def history(
    context: typer.Context,
    model: Model,
    verify: Annotated[bool, typer.Option("--verify", help="Check the chain of records instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every change of a version, also of a deleted one by its id: who, when, before and after."""
    client = client_of(context)
    identifier = model_id(client, model)
    if not verify:
        records = list(client.models.history(identifier))
        show({"model_id": identifier, "records": records}, as_json, render_history)
        return
    verdict = client.models.verify_history(identifier)
    show(verdict, as_json, _render_verdict)
    if not verdict["intact"]:
        raise TaskFailed(f"record {verdict['broken_at']}: {verdict['reason']}")


def _render_verdict(verdict: Reply) -> None:
    holds = f"all {verdict['records']} records are as they were written"
    out.print(holds if verdict["intact"] else f"broken at record {verdict['broken_at']}", highlight=False)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="models")
