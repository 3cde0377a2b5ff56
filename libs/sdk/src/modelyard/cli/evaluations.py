"""`modelyard evaluate` and `modelyard evaluations …`: what a version scores, and what each conversion cost."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.evaluation_tables import (
    classes_table,
    comparison_table,
    confusion_table,
    render_evaluation,
    render_result,
)
from modelyard.cli.models import Model
from modelyard.cli.progress import wait
from modelyard.cli.session import AsJson, NoWait, client_of, out, show, table
from modelyard.client import Reply, at
from modelyard.references import artifact_id, dataset_id, model_id
from modelyard.transfer import save_plots

__all__ = ["classes_table", "confusion_table", "register", "render_comparison", "render_result"]

group = typer.Typer(no_args_is_help=True, help="Results, plots and comparisons.")
Evaluation = Annotated[str, typer.Argument(help="Id from 'evaluations list'.")]
Run = Annotated[str, typer.Option("--run", help="V0001, V0002, …")]


def evaluate(
    context: typer.Context,
    model: Model,
    dataset: Annotated[str, typer.Option(help="Dataset name or id.")],
    artifact: Annotated[str | None, typer.Option(help="Artifact id or target; the source when omitted.")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Measure a version on a labelled dataset: accuracy, confusion matrix, precision, recall, F1, AUC."""
    client = client_of(context)
    found = client.get(at("models", model_id(client, model)))
    body = {
        "model_id": found["model_id"],
        "dataset_id": dataset_id(client, dataset),
        "artifact_id": artifact_id(found, artifact),
    }
    made = client.post("evaluations", body)
    if no_wait:
        show(made, as_json, render_evaluation)
        return
    identifier, version = made["evaluation_id"], made["versions"][-1]["version"]

    def read() -> Reply:
        runs = client.get(at("evaluations", identifier))["versions"]
        return next(run for run in runs if run["version"] == version)

    wait(client, f"evaluating on {dataset}", read, "state")
    show(client.get(_run(identifier, version, "result")), as_json, render_result)
    if not as_json:
        out.print(f"plots: modelyard evaluations plots {identifier} --run {version} --to DIR", soft_wrap=True)


def _run(evaluation: str, run: str, what: str) -> str:
    return at("evaluations", evaluation, "versions", run, what)


@group.command("list", epilog="Example: modelyard evaluations list --model digits")
def list_evaluations(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only of this version.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the evaluations of this project with their runs, newest first."""
    client = client_of(context)
    identifier = model_id(client, model) if model else None
    show(client.get("evaluations", model_id=identifier), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    out.print(f"{reply['count']} of {reply['total_count']} evaluations", highlight=False)
    for evaluation in reply["evaluations"]:
        render_evaluation(evaluation)


@group.command("show", epilog="Example: modelyard evaluations show EVALUATION --run V0002")
def show_result(context: typer.Context, evaluation: Evaluation, run: Run = "V0001", as_json: AsJson = False) -> None:
    """Show the whole result of one run."""
    show(client_of(context).get(_run(evaluation, run, "result")), as_json, render_result)


@group.command("plots", epilog="Example: modelyard evaluations plots EVALUATION --to plots")
def plots(
    context: typer.Context,
    evaluation: Evaluation,
    run: Run = "V0001",
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Save the plots and tables of one run as files."""
    found = client_of(context).get(_run(evaluation, run, "result"))["plots"]
    saved = [str(path) for path in save_plots(found, to)]
    show({"files": saved}, as_json, lambda made: out.print(table("Saved", ("file",), zip(made["files"]))))


@group.command("compare", epilog="Example: modelyard evaluations compare EVALUATION")
def compare(context: typer.Context, evaluation: Evaluation, as_json: AsJson = False) -> None:
    """Compare what each artifact scored with the first run, in samples and percentage points."""
    show(client_of(context).get(at("evaluations", evaluation, "comparison")), as_json, render_comparison)


def render_comparison(reply: Reply) -> None:
    out.print(comparison_table(reply["rows"]))


@group.command("stop", epilog="Example: modelyard evaluations stop EVALUATION --run V0002")
def stop(context: typer.Context, evaluation: Evaluation, run: Run, as_json: AsJson = False) -> None:
    """Stop a waiting or running run for good."""
    show(client_of(context).post(_run(evaluation, run, "stop"), {}), as_json, render_evaluation)


@group.command("delete", epilog="Example: modelyard evaluations delete EVALUATION")
def delete(context: typer.Context, evaluation: Evaluation, as_json: AsJson = False) -> None:
    """Delete an evaluation with all its runs and results."""
    client_of(context).delete(at("evaluations", evaluation))
    show({"deleted": evaluation}, as_json, lambda _: out.print(f"{evaluation} is deleted.", markup=False))


def register(app: typer.Typer) -> None:
    app.command("evaluate", epilog="Example: modelyard evaluate digits --dataset held-out --artifact openvino-fp16")(
        evaluate
    )
    app.add_typer(group, name="evaluations")
