"""`python -m modelyard_evaluate.tasks.classification.child`: scores one model on one dataset, in a process of its own.

Started by the job; a crash of a native runtime ends this process and nothing else. It runs no code of the package:
the model goes through `modelyard_formats`, the images through `config.json`'s own preprocessing.
"""

import csv
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from modelyard_contracts.package import PackageConfig
from modelyard_evaluate.child_request import PROGRESS, EvaluationReport, EvaluationRequest
from modelyard_evaluate.domain.runs import OutputFile
from modelyard_evaluate.errors import NotEvaluable
from modelyard_evaluate.tasks.classification.classes import labels_for, labels_for_indices
from modelyard_evaluate.tasks.classification.feeding import (
    Array,
    Feed,
    ImageFile,
    all_scores,
    array_feed,
    image_feed,
    only_input,
)
from modelyard_evaluate.tasks.classification.listing import class_of
from modelyard_evaluate.tasks.classification.metrics import Answers, Measured, measure, result
from modelyard_evaluate.tasks.classification.npz import read_samples
from modelyard_formats.running import Runner
from modelyard_formats.table import runner as load_runner
from modelyard_runtime import confinement

Log = Callable[[str], None]
MOST_TABLE = 2000  # classes; a larger matrix is of no use to a spreadsheet
_SPARING = 0.2  # seconds between two progress lines


def evaluate(request: dict[str, Any], log: Log) -> dict[str, Any]:
    """Raises Failure, naming file, class or field."""
    asked = EvaluationRequest.model_validate(request)
    started = time.monotonic()
    config = read_config(asked.package)
    runner = load_runner(asked.format, asked.package, threads=asked.threads, precision_hint="f32")
    log(f"{runner.name} computes in {runner.precision} on {asked.threads} threads")
    with ThreadPoolExecutor(asked.threads) as pool:
        feed, answers = _answers(asked, config, runner, pool, log)
    seconds = time.monotonic() - started
    log(f"{len(feed.names)} samples in {seconds:.2f} s")
    measured = measure(answers)
    about = {
        "runtime": runner.name,
        "precision": runner.precision,
        "threads": asked.threads,
        "seconds": round(seconds, 3),
        "samples_per_second": round(measured.samples / seconds, 1),
        "confinement": str(confinement.held),
    }
    return _write(asked.out, answers, measured, about).model_dump(mode="json")


def read_config(package: Path) -> PackageConfig:
    """Raises NotEvaluable: the config was checked at import, so a broken one here is another artifact's."""
    try:
        return PackageConfig.model_validate_json((package / "model" / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise NotEvaluable(f"model/config.json cannot be read: {error}", rule="a valid config.json") from error


def _answers(
    asked: EvaluationRequest, config: PackageConfig, runner: Runner, pool: ThreadPoolExecutor, log: Log
) -> tuple[Feed, Answers]:
    spec = only_input(runner.signature)
    listed = [ImageFile(asked.data / file, name) for file, name in json.loads(asked.samples.read_text())]
    if asked.kind == "npz":
        x, classes = read_samples(listed[0].path)
        feed = array_feed(x, spec)
    else:
        classes = np.array([class_of(file.name) for file in listed])
        feed = image_feed(listed, config, pool)
    if config.labels and classes.dtype.kind == "U":  # fail before the long part where that can be known
        labels_for(classes.tolist(), config.labels, len(config.labels))
    scores = all_scores(runner, config, feed, _reporter(log, len(feed.names)))
    labels, truth = _truth(classes, config.labels, scores.shape[1])
    return feed, Answers(feed.names, truth, scores, labels)


def _truth(classes: Array, labels: Sequence[str], width: int) -> tuple[tuple[str, ...], Array]:
    """Class names in score order, and the index of each sample's class."""
    if classes.dtype.kind in "iu":
        return labels_for_indices(classes.tolist(), labels, width), classes.astype(np.int64)
    names = labels_for(classes.tolist(), labels, width)
    index = {name: place for place, name in enumerate(names)}
    return names, np.array([index[name] for name in classes.tolist()])


def _reporter(log: Log, total: int) -> Callable[[int], None]:
    last = 0.0

    def report(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last > _SPARING:
            last = now
            log(f"{PROGRESS} {done} {total}")

    return report


def _write(out: Path, answers: Answers, measured: Measured, about: dict[str, Any]) -> EvaluationReport:
    from modelyard_evaluate.tasks.classification import plots  # half a second, not wanted when the run fails early

    out.mkdir(parents=True, exist_ok=True)
    drawn = plots.draw_all(measured, out)
    files = [OutputFile(each.file, each.name, each.media_type) for each in drawn]
    files += _write_tables(out, measured)
    names = [measured.labels[index] for index in measured.present]
    numbered = {f"#{number}": name for number, name in enumerate(names)} if any(each.numbered for each in drawn) else {}
    full = result(answers, measured) | {"ran_with": about, "plots": [asdict(each) for each in drawn]}
    full["numbers_in_png"] = numbered
    (out / "result.json").write_text(json.dumps(full, ensure_ascii=False, allow_nan=False))
    counts = {"correct": measured.correct}
    return EvaluationReport(samples=measured.samples, metrics=measured.metrics, counts=counts, files=tuple(files))


def _write_tables(out: Path, measured: Measured) -> list[OutputFile]:
    """Also where the result had to be bounded. With a byte order mark, or Excel garbles Chinese names."""
    columns = list(measured.per_class[0])
    tables = {"per-class": [columns, *([row[column] for column in columns] for row in measured.per_class)]}
    names = [measured.labels[index] for index in measured.present]
    if len(names) <= MOST_TABLE:
        rows = ([name, *row] for name, row in zip(names, measured.matrix.tolist(), strict=True))
        tables["confusion-matrix"] = [["true \\ predicted", *names], *rows]
    for name, table in tables.items():
        with (out / f"{name}.csv").open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows(table)
    return [OutputFile(f"{name}.csv", name, "text/csv") for name in tables]


if __name__ == "__main__":
    from modelyard_runtime.subprocess_child import serve

    serve(evaluate)
