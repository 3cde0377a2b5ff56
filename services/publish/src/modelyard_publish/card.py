"""The model card: Markdown rendered from the version's own facts whenever somebody reads it, so it is never stale."""

import re
from collections.abc import Iterable, Sequence

from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.shapes import Artifact, TensorSpec, TrainingRef

_MOST_CHARACTERS = 300  # of one fact: a card must fit one message
_OTHER_LINK = re.compile(r"\]([(:])(?!\s*(?:https?://|mailto:))", re.IGNORECASE)
_AS_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", "|": "&#124;"} | {sign: f"\\{sign}" for sign in "\\`*[]~"})


def render(title: str, description: str, version: VersionView) -> str:
    parts = [f"# {_text(title)}", _quoted(description or version.description)]
    parts += [_facts(version), *_training(version.training)]
    for artifact in version.artifacts:
        if artifact.kind == "source":
            parts += ["## Signature", _signature(artifact)]
    parts += ["## Artifacts", _artifacts(version.artifacts)]
    if version.evaluations:
        parts += ["## Evaluations", _evaluations(version)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(version: VersionView) -> str:
    algorithm = version.config.model_algorithm if version.config else "–"
    rows = [
        ("name", version.model_name),
        ("version", version.model_version),
        ("type", version.model_type or "–"),
        ("algorithm", algorithm),
        ("size", _size(version.model_size)),
        ("labels", ", ".join(version.labels) or "–"),
        ("classes", ", ".join(version.config.labels) if version.config and version.config.labels else "–"),
    ]
    return _table(("fact", "value"), rows)


def _training(training: TrainingRef | None) -> list[str]:
    if training is None:
        return []
    rows = [("training job", f"{training.job_name} {training.job_version} ({training.job_id})")]
    rows += [("framework", training.framework)] if training.framework else []
    rows += [("dataset", f"{training.dataset.uri} {training.dataset.digest or ''}")] if training.dataset else []
    rows += [("code", f"{training.code.repository} @ {training.code.commit}")] if training.code else []
    rows += [(f"parameter {name}", str(value)) for name, value in sorted(training.parameters.items())]
    rows += [(f"metric {name}", f"{value:g}") for name, value in sorted(training.metrics.items())]
    return ["## Where it comes from", _table(("fact", "value"), rows)]


def _signature(artifact: Artifact) -> str:
    signature = artifact.inspection.signature
    rows = [("input", *_tensor(spec)) for spec in signature.inputs]
    rows += [("output", *_tensor(spec)) for spec in signature.outputs]
    return _table(("", "name", "type", "shape"), rows)


def _tensor(spec: TensorSpec) -> tuple[str, str, str]:
    return spec.name, spec.dtype, " × ".join("?" if axis is None else str(axis) for axis in spec.shape)


def _artifacts(artifacts: Sequence[Artifact]) -> str:
    rows = []
    for artifact in artifacts:
        parity = artifact.parity.verdict if artifact.parity else "–"
        median = f"{artifact.benchmark.result.median_ms:.3g} ms" if artifact.benchmark else "–"
        rows.append(
            (artifact.target, artifact.format, _size(artifact.model_size), parity, median, artifact.digest[:19])
        )
    return _table(("target", "format", "size", "parity", "median latency", "digest"), rows)


def _evaluations(version: VersionView) -> str:
    rows = [
        (
            evaluation.target,
            evaluation.version,
            str(evaluation.samples),
            *(f"{evaluation.metrics[name]:.4f}" if name in evaluation.metrics else "–" for name in ("accuracy", "f1")),
        )
        for evaluation in version.evaluations
    ]
    return _table(("target", "version", "samples", "accuracy", "F1"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _text(value: str) -> str:
    """Facts come from users: on one line, of bearable length, and text, whatever Markdown or HTML stands in them."""
    line = " ".join(value.split())
    if len(line) > _MOST_CHARACTERS:
        line = line[: _MOST_CHARACTERS - 1] + "…"
    return line.translate(_AS_TEXT)


def _quoted(text: str) -> str:
    """A description may be Markdown. As a quotation, nothing in it can pass for a section or a table of facts; a link
    in it goes to the web or writes a mail, and is text otherwise."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace("![", "!\\[")
    safe = _OTHER_LINK.sub(r"]\\\1", safe)
    return "\n".join(f"> {line}".rstrip() for line in safe.splitlines())


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
