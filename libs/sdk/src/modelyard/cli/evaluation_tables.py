"""An evaluation's result (docs/evaluation.md) as tables that fit a terminal."""

from typing import Any

from rich.table import Table

from modelyard.cli.session import facts, moment, out, table
from modelyard.errors import Reply

_MOST_CLASSES = 40  # rows; of more classes the weakest are shown
_WEAKEST = 20
_MOST_PAIRS = 15


def render_result(reply: Reply) -> None:
    """Headline numbers in words and figures, the classes, and the confusion matrix."""
    run, result = reply["run"], reply["result"]
    rows: list[tuple[str, Any]] = [("artifact", run["target"])]
    rows += [(name, f"{value:.4f}") for name, value in run["metrics"].items()]
    rows += [("in words", sentence) for sentence in result.get("summary", [])]
    out.print(facts(f"Evaluation {run['version']}", rows))
    if result["classes"]:
        out.print()
        out.print(classes_table(result))
    if result["confusion_matrix"]["labels"] or result.get("most_confused"):
        out.print()
        out.print(confusion_table(result))


def classes_table(result: Reply) -> Table:
    """The numbers of each class; of many classes the weakest."""
    classes, title = result["classes"], "Classes"
    if len(classes) > _MOST_CLASSES:
        count = result.get("class_count", len(classes))
        title = f"The {_WEAKEST} weakest of {count} classes (--json has more, the plots all)"
        classes = sorted(classes, key=lambda row: row["f1"])[:_WEAKEST]
    rows = [
        (row["label"], *(f"{row[name]:.4f}" for name in ("precision", "recall", "f1")), row["support"])
        for row in classes
    ]
    return table(title, ("class", "precision>", "recall>", "F1>", "samples>"), rows)


def confusion_table(result: Reply) -> Table:
    """The matrix where it fits the terminal, otherwise the most frequent mistakes."""
    matrix = result["confusion_matrix"]
    labels, counts = matrix["labels"], matrix["counts"]
    longest = max((len(label) for label in labels), default=0)
    if not labels or longest + sum(max(len(label), 4) + 2 for label in labels) > out.width:
        pairs = [(pair["truth"], pair["predicted"], pair["samples"]) for pair in result["most_confused"][:_MOST_PAIRS]]
        return table("Most frequent mistakes", ("true class", "taken for", "samples>"), pairs)
    rows = [(label, *(count or "·" for count in row)) for label, row in zip(labels, counts, strict=True)]
    columns = ("", *(f"{label}>" for label in labels))
    return table("Confusion matrix (rows: true class, columns: predicted class)", columns, rows)


def comparison_table(rows: list[Reply]) -> Table:
    """Runs beside the reference, which is the first: what each lost, in samples and percentage points."""
    shown = [
        (
            row["version"],
            row["target"],
            f"{row['correct']}/{row['samples']}",
            f"{row['accuracy']:.4f}",
            f"{row['accuracy_low']:.3f}–{row['accuracy_high']:.3f}",
            *_cost(row),
        )
        for row in rows
    ]
    reference = rows[0]["reference"] if rows else "–"
    columns = ("run", "artifact", "right>", "accuracy>", "95 %>", "lost>", "points>", "")
    return table(f"Comparison with {reference}", columns, shown)


def _cost(row: Reply) -> tuple[str, str, str]:
    """Positive where the reference was better; nothing can be said of runs on other data."""
    cost = row["cost"]
    if row["version"] == row["reference"]:
        return " ", " ", " "
    if cost is None:
        return "n/a", "n/a", " "
    if not cost["samples"]:
        return "0", "0.00", " "
    return f"{cost['samples']:+d}", f"{cost['percentage_points']:+.2f}", "noise" if cost["within_noise"] else " "


def render_evaluation(evaluation: Reply) -> None:
    """Its runs."""
    rows = [
        (
            run["version"],
            run["target"],
            run["state"],
            f"{run['samples_done']}/{run['samples']}",
            f"{run['metrics']['accuracy']:.4f}" if "accuracy" in run["metrics"] else None,
            run["reason"],
        )
        for run in evaluation["versions"]
    ]
    title = f"{evaluation['name']}, {moment(evaluation['versions'][0]['created_at'])} ({evaluation['evaluation_id']})"
    out.print(table(title, ("run", "artifact", "state", "samples>", "accuracy>", "reason"), rows))
