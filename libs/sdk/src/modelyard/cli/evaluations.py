"""`modelyard evaluate` and `modelyard evaluations …`: what a version scores, and what each conversion cost."""

from typing import Annotated, Any

import typer

from modelyard.cli.models import Model
from modelyard.cli.session import AsJson, NoWait, client_of, out, show, table, wait
from modelyard.client import Reply
from modelyard.references import artifact_id, dataset_id, model_id

group = typer.Typer(no_args_is_help=True, help="Results, plots and comparisons.")
Run = Annotated[str, typer.Option("--run", help="V0001, V0002, …")]


def evaluate(
    context: typer.Context,
    model: Model,
    dataset: Annotated[str, typer.Option(help="dataset name or id")],
    artifact: Annotated[str | None, typer.Option(help="artifact id or target; the source when omitted")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Measure a version on a labelled dataset: accuracy, confusion matrix, precision, recall, F1, AUC."""
    client = client_of(context)
    found = client.get(f"models/{model_id(client, model)}")
    body = {
        "model_id": found["model_id"],
        "dataset_id": dataset_id(client, dataset),
        "artifact_id": artifact_id(found, artifact),
    }
    made = client.post("evaluations", body)
    path = f"evaluations/{made['evaluation_id']}"
    version = made["versions"][-1]["version"]

    def read() -> Reply:
        runs = client.get(path)["versions"]
        return next(run for run in runs if run["version"] == version)

    if no_wait:
        show(made, as_json, _render_evaluation)
        return
    wait(client, f"evaluating on {dataset}", read, "state")
    show(client.get(f"{path}/versions/{version}/result"), as_json, render_result)


def render_result(reply: Reply) -> None:
    """Headline numbers, the classes, and the confusion matrix."""
    run, result = reply["run"], reply["result"]
    rows: list[tuple[str, Any]] = [("artifact", run["target"]), ("samples", run["samples"])]
    rows += [(name, f"{value:.4f}") for name, value in run["metrics"].items()]
    rows += [(f"plot {plot['name']}", plot["url"]) for plot in reply["plots"] if plot["media_type"] == "image/png"]
    out.print(table(f"Evaluation {run['version']}", ("metric", "value"), rows))
    out.print(classes_table(result))
    out.print(confusion_table(result))


def classes_table(result: Reply) -> Any:
    rows = [
        (row["label"], *(f"{row[name]:.4f}" for name in ("precision", "recall", "f1")), row["support"])
        for row in result["classes"]
    ]
    return table("Classes", ("class", "precision>", "recall>", "F1>", "support>"), rows)


def confusion_table(result: Reply) -> Any:
    matrix = result["confusion_matrix"]
    rows = [
        (label, *(count or "·" for count in row)) for label, row in zip(matrix["labels"], matrix["counts"], strict=True)
    ]
    return table(
        "Confusion matrix (rows: true, columns: predicted)", ("", *(f"{name}>" for name in matrix["labels"])), rows
    )


@group.command("list")
def list_evaluations(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="only of this version")] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluations of this project, newest first."""
    client = client_of(context)
    identifier = model_id(client, model) if model else None
    show(client.get("evaluations", model_id=identifier), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    for evaluation in reply["evaluations"]:
        _render_evaluation(evaluation)


def _render_evaluation(evaluation: Reply) -> None:
    rows = [
        (
            run["version"],
            run["target"],
            run["state"],
            f"{run['samples_done']}/{run['samples']}",
            _accuracy(run),
            run["reason"],
        )
        for run in evaluation["versions"]
    ]
    title = f"{evaluation['name']} ({evaluation['evaluation_id']})"
    out.print(table(title, ("run", "artifact", "state", "samples>", "accuracy>", "reason"), rows))


def _accuracy(run: Reply) -> str | None:
    value = run["metrics"].get("accuracy")
    return f"{value:.4f}" if value is not None else None


@group.command("show")
def show_result(context: typer.Context, evaluation: str, run: Run = "V0001", as_json: AsJson = False) -> None:
    """The whole result of one run."""
    show(client_of(context).get(f"evaluations/{evaluation}/versions/{run}/result"), as_json, render_result)


@group.command("compare")
def compare(context: typer.Context, evaluation: str, as_json: AsJson = False) -> None:
    """What each artifact scored beside the first run, in counts and percentage points."""
    show(client_of(context).get(f"evaluations/{evaluation}/comparison"), as_json, render_comparison)


def render_comparison(reply: Reply) -> None:
    names = list(dict.fromkeys(name for row in reply["rows"] for name in row))
    out.print(table("Comparison", names, [[row.get(name) for name in names] for row in reply["rows"]]))


@group.command("stop")
def stop(context: typer.Context, evaluation: str, run: Run, as_json: AsJson = False) -> None:
    """Stop a waiting or running run for good."""
    reply = client_of(context).post(f"evaluations/{evaluation}/versions/{run}/stop", {})
    show(reply, as_json, _render_evaluation)


@group.command("delete")
def delete(context: typer.Context, evaluation: str, as_json: AsJson = False) -> None:
    """Delete an evaluation with all its runs and results."""
    client_of(context).delete(f"evaluations/{evaluation}")
    show({"deleted": evaluation}, as_json, lambda _: out.print(f"{evaluation} is deleted."))


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)
    app.add_typer(group, name="evaluations")
