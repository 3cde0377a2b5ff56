"""Draws a result: confusion matrix, ROC curves, per-class bars; each as PNG and as SVG. Runs in the subprocess only.

Figures are made without pyplot, which keeps global state. Class names may hold anything: they are never read as
mathematics, and the fonts are those of `fonts`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from modelyard_evaluate.fonts import Naming, for_png, for_svg
from modelyard_evaluate.tasks.classification.metrics import Measured

MOST_NAMED_TICKS = 40
MOST_CELL_NUMBERS = 20
MOST_CURVES = 8
MOST_BARS = 40
_DPI = 120
_STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "modelyard",  # the same plot is the same file
    "font.sans-serif": ["DejaVu Sans"],  # without matplotlib's own list of families
    "text.parse_math": False,  # a `$` in a class name is a dollar sign
}
_COLOURS = ("#4c72b0", "#dd8452", "#55a868")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One written file. `numbered`: it shows classes by number because no font here can draw their names."""

    file: str
    name: str
    media_type: str
    numbered: bool


Draw = Callable[[Measured, Naming], Figure]


def draw_all(measured: Measured, folder: Path) -> list[Drawn]:
    """Write every plot into the folder. Curves are left out when no class has one."""
    drawings: dict[str, Draw] = {"confusion-matrix": _matrix, "per-class": _bars}
    if measured.curves:
        drawings["roc"] = _roc
    labels = [measured.labels[index] for index in measured.present]
    written = []
    for name, draw in drawings.items():
        written.append(_write(draw, measured, for_png(labels), folder / f"{name}.png"))
        written.append(_write(draw, measured, for_svg(labels), folder / f"{name}.svg"))
    return written


def _write(draw: Draw, measured: Measured, naming: Naming, path: Path) -> Drawn:
    svg = path.suffix == ".svg"
    style: Any = {**_STYLE, "font.family": list(naming.families)}
    with mpl.rc_context(style), warnings.catch_warnings():
        if svg:  # only measured here, drawn by the reader's browser with its own fonts
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = draw(measured, naming)
        canvas = FigureCanvasSVG(figure) if svg else FigureCanvasAgg(figure)
        metadata = {"Date": None} if svg else {"Software": None}
        canvas.print_figure(path, dpi=_DPI, metadata=metadata)
    return Drawn(path.name, path.stem, "image/svg+xml" if svg else "image/png", naming.numbered)


def _matrix(measured: Measured, naming: Naming) -> Figure:
    count = len(measured.present)
    side = min(4.0 + 0.28 * count, 14.0)
    figure = Figure(figsize=(side + 1.0, side), layout="constrained")
    axes = figure.add_subplot()
    support = measured.matrix.sum(axis=1, keepdims=True)
    shares = np.divide(measured.matrix, support, out=np.zeros(measured.matrix.shape), where=support > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"Confusion matrix: {measured.correct} of {measured.samples} right")
    _name_ticks(axes, naming, count)
    if count <= MOST_CELL_NUMBERS:
        for (row, column), value in np.ndenumerate(measured.matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=8)
    return figure


def _roc(measured: Measured, naming: Naming) -> Figure:
    """The classes that are hardest to tell apart; all areas are in the result."""
    areas = {row["label"]: row["auc"] for row in measured.per_class}
    rows = {int(index): row for row, index in enumerate(measured.present)}
    hardest = sorted(measured.curves, key=lambda index: (areas[measured.labels[index]], index))[:MOST_CURVES]
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    axes = figure.add_subplot()
    for index in hardest:
        label = f"{naming.names[rows[index]]}  {areas[measured.labels[index]]:.4f}"
        axes.plot(*measured.curves[index], label=label, linewidth=1.4)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    left_out = len(measured.curves) - len(hardest)
    which = f" (the {len(hardest)} hardest of {len(measured.curves)})" if left_out else ""
    axes.set_title(f"ROC, one class against the rest{which}")
    axes.legend(title="class, AUC", loc="lower right", fontsize=8)
    return figure


def _bars(measured: Measured, naming: Naming) -> Figure:
    rows = sorted(range(len(measured.per_class)), key=lambda row: (measured.per_class[row]["f1"], row))[:MOST_BARS]
    figure = Figure(figsize=(7.0, 1.6 + 0.42 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for offset, (name, colour) in enumerate(zip(("precision", "recall", "f1"), _COLOURS, strict=True)):
        places = np.arange(len(rows)) + (offset - 1) * 0.27
        values = [measured.per_class[row][name] for row in rows]
        axes.barh(places, values, height=0.25, label=name, color=colour)
    axes.set_xlim(0.0, 1.0)
    axes.set_yticks(range(len(rows)), [naming.names[row] for row in rows])
    axes.invert_yaxis()
    left_out = len(measured.per_class) - len(rows)
    axes.set_title(f"Per class, weakest first{f' ({left_out} better ones left out)' if left_out else ''}")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _name_ticks(axes: Axes, naming: Naming, count: int) -> None:
    if count <= MOST_NAMED_TICKS:
        turn = 0 if max(map(len, naming.names)) <= 2 else 60
        axes.set_xticks(range(count), naming.names, rotation=turn)
        axes.set_yticks(range(count), naming.names)
