"""Why a conversion passed or failed: every output by what it was judged, at its worst."""

from collections.abc import Iterator
from typing import Any

from modelyard.cli.session import facts, out, size, table
from modelyard.client import Reply


def render_proof(artifact: Reply) -> None:
    """Of an artifact, or of what a failed conversion shows instead of one."""
    parity = artifact.get("parity")
    if not parity:
        return
    rows = [("verdict", parity["verdict"]), ("reason", parity["reason"]), *_timing(artifact.get("benchmark"))]
    rows += [("note", note) for note in parity.get("notes") or ()]
    out.print()
    out.print(facts("Proof", rows))
    measures = [row for output in parity["outputs"] for row in _measures(output)]
    if measures:
        columns = ("output", "role", "measure", "value>", "bound>", "another's>", "worst at")
        out.print()
        out.print(table(f"Measures on {parity['samples']} samples", columns, measures))


def _measures(output: Reply) -> Iterator[tuple[Any, ...]]:
    role = output.get("role")
    if output.get("exact"):
        yield output["name"], role, "bit for bit", None, None, None, None
        return
    for measure in output.get("measures") or ():
        sign = "≥" if measure["at_least"] else "≤"
        control = measure.get("control")
        yield (
            output["name"],
            role,
            measure["name"],
            f"{measure['value']:.4g}",
            f"{sign} {measure['limit']:.4g}",
            None if control is None else f"{control:.4g}",
            measure.get("where"),
        )


def _timing(benchmark: Reply | None) -> Iterator[tuple[str, str]]:
    if not benchmark:
        return
    source, result = benchmark["source"], benchmark["result"]
    yield "size", f"{size(source['size'])} → {size(result['size'])}"
    busy = ", on a busy machine" if benchmark.get("noisy") else ""
    yield "median", f"{source['median_ms']:.3f} ms → {result['median_ms']:.3f} ms{busy}"
