"""What the demo shows at its end, and the claims that must all be true for it to exit 0."""

from typing import Any

from rich.markdown import Markdown

from modelyard.cli.competitions import render_leaderboard
from modelyard.cli.evaluations import classes_table, confusion_table, render_comparison
from modelyard.cli.lineage import render_lineage
from modelyard.cli.model_tables import render_model
from modelyard.cli.session import out, table
from modelyard_local.demo.scenario import TARGETS, Outcome

Claim = tuple[str, bool]


def show(outcome: Outcome) -> bool:
    """Print tables and claims. Returns whether every claim is true."""
    render_model(outcome.version)
    render_lineage(outcome.lineage)
    for result in outcome.results:
        out.print(f"\n[bold]{result['run']['target']}[/bold] on the held-out digits: accuracy {_accuracy(result):.4f}")
        out.print(classes_table(result["result"]))
        out.print(confusion_table(result["result"]))
    render_comparison(outcome.comparison)
    out.print(Markdown(outcome.listing["card"].split("\n\n## ")[0]), soft_wrap=False)
    render_leaderboard(outcome.leaderboard)
    claims = _claims(outcome)
    out.print(table("All of it is true", ("", "claim"), [("✓" if holds else "✗", claim) for claim, holds in claims]))
    out.print(f"from the training event to the leaderboard: {outcome.seconds:.1f} s")
    return all(holds for _, holds in claims)


def _accuracy(result: dict[str, Any]) -> float:
    return float(result["run"]["metrics"]["accuracy"])


def _claims(outcome: Outcome) -> list[Claim]:
    version, prepared = outcome.version, outcome.prepared
    artifacts = {artifact["target"]: artifact for artifact in version["artifacts"]}
    training = version["training"]
    source = next(result for result in outcome.results if result["run"]["target"] == "source")
    board = [row for row in outcome.leaderboard["rows"] if row["model_version"] == version["model_version"]]
    claims = [
        ("the version is published", version["model_status"] == "published"),
        ("it is traced to job, dataset, parameters and code", _traced(training, prepared.job_version)),
        ("the source scores here what the training job measured", _close(_accuracy(source), outcome.trained_accuracy)),
        ("the gallery lists it with a card", version["model_version"] in outcome.listing["card"]),
        ("the competition scored it on hidden data", bool(board) and 0.8 < board[0]["score"] <= 1),
    ]
    for target in TARGETS:
        artifact = artifacts.get(target, {})
        proof = (artifact.get("parity") or {}).get("verdict") == "passed" and artifact["parity"][
            "inputs"
        ] == "calibration"
        claims.append((f"{target} computes the same, proved on real inputs", proof))
        claims.append((f"{target} was benchmarked beside the source", bool(artifact.get("benchmark"))))
    claims += [
        (f"{result['run']['target']} lost at most 2 points of accuracy", _accuracy(result) > _accuracy(source) - 0.02)
        for result in outcome.results
    ]
    return claims


def _traced(training: dict[str, Any] | None, job_version: str) -> bool:
    return bool(
        training
        and training["job_version"] == job_version
        and training["dataset"]["digest"]
        and training["parameters"]
        and training["code"]["commit"]
    )


def _close(one: float, other: float) -> bool:
    return abs(one - other) < 1e-9
