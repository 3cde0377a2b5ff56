"""`modelyard evaluate` and `modelyard evaluations …`: what a version scores, and what each conversion cost."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli import completing
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
from modelyard.client import Reply

__all__ = ["classes_table", "confusion_table", "register", "render_comparison", "render_result"]

group = typer.Typer(no_args_is_help=True, help="Results, plots and comparisons.")
Evaluation = Annotated[str, typer.Argument(help="Id from 'evaluations list'.")]
Run = Annotated[str, typer.Option("--run", help="V0001, V0002, …")]


def evaluate(
    context: typer.Context,
    model: Model,
    dataset: Annotated[str, typer.Option(help="Dataset name or id.", autocompletion=completing.datasets)],
    artifact: Annotated[
        str | None,
        typer.Option(help="Artifact id or target; the source when omitted.", autocompletion=completing.artifacts),
    ] = None,
    again: Annotated[
        str | None,
        typer.Option(help="Id of an evaluation: another run of that one, for 'modelyard evaluations compare'."),
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Measure a version on a labelled dataset: accuracy, confusion matrix, precision, recall, F1, AUC."""
    client = client_of(context)
    if again:
        made = client.evaluations.again(again, dataset=dataset, artifact=artifact or "source")
    else:
        made = client.evaluations.create(model, dataset, artifact=artifact)
    if no_wait:
        show(made, as_json, render_evaluation)
        return
    identifier, version = made["evaluation_id"], made["versions"][-1]["version"]
    wait(f"evaluating on {dataset}", partial(client.evaluations.wait, identifier, version))
    show(client.evaluations.result(identifier, version), as_json, render_result)
    if not as_json:
        out.print(f"plots: modelyard evaluations plots {identifier} --run {version} --to DIR", soft_wrap=True)
        compare = f"compared: modelyard evaluations compare {identifier}"
        out.print(compare if again else f"another run beside it: --again {identifier}", highlight=False, soft_wrap=True)


@group.command("list", epilog="Example: modelyard evaluations list --model digits")
def list_evaluations(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only of this version.", autocompletion=completing.models)] = None,
    as_json: AsJson = False,
) -> None:
    """List the evaluations of this project with their runs, newest first."""
    show(client_of(context).evaluations.list(model=model), as_json, _render_list)


def _render_list(reply: Reply) -> None:
    if not reply["evaluations"]:
        out.print("No such evaluations; 'modelyard evaluate MODEL --dataset DATASET' makes one.", highlight=False)
        return
    out.print(f"{reply['count']} of {reply['total_count']} evaluations", highlight=False)
    for evaluation in reply["evaluations"]:
        render_evaluation(evaluation)


@group.command("show", epilog="Example: modelyard evaluations show EVALUATION --run V0002")
def show_result(context: typer.Context, evaluation: Evaluation, run: Run = "V0001", as_json: AsJson = False) -> None:
    """Show the whole result of one run."""
    show(client_of(context).evaluations.result(evaluation, run), as_json, render_result)


@group.command("plots", epilog="Example: modelyard evaluations plots EVALUATION --to plots")
def plots(
    context: typer.Context,
    evaluation: Evaluation,
    run: Run = "V0001",
    to: Annotated[Path, typer.Option(help="Folder to fill.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Save the plots and tables of one run as files."""
    saved = [str(path) for path in client_of(context).evaluations.plots(evaluation, to, run)]
    show({"files": saved}, as_json, lambda made: out.print(table("Saved", ("file",), zip(made["files"]))))


@group.command("compare", epilog="Example: modelyard evaluations compare EVALUATION")
def compare(context: typer.Context, evaluation: Evaluation, as_json: AsJson = False) -> None:
    """Compare what each artifact scored with the first run, in samples and percentage points."""
    show(client_of(context).evaluations.compare(evaluation), as_json, render_comparison)


def render_comparison(reply: Reply) -> None:
    out.print(comparison_table(reply["rows"]))


@group.command("stop", epilog="Example: modelyard evaluations stop EVALUATION --run V0002")
def stop(context: typer.Context, evaluation: Evaluation, run: Run, as_json: AsJson = False) -> None:
    """Stop a waiting or running run for good."""
    show(client_of(context).evaluations.stop(evaluation, run), as_json, render_evaluation)


@group.command("delete", epilog="Example: modelyard evaluations delete EVALUATION")
def delete(context: typer.Context, evaluation: Evaluation, as_json: AsJson = False) -> None:
    """Delete an evaluation with all its runs and results."""
    client_of(context).evaluations.delete(evaluation)
    show({"deleted": evaluation}, as_json, lambda _: out.print(f"{evaluation} is deleted.", markup=False))


def register(app: typer.Typer) -> None:
    app.command("evaluate", epilog="Example: modelyard evaluate digits --dataset held-out --artifact openvino-fp16")(
        evaluate
    )
    app.add_typer(group, name="evaluations")
