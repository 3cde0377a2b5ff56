"""One version as tables: what it is, where it came from, what was found in it, its artifacts and its scores."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from modelyard.cli.session import facts, moment, out, size, table, zone
from modelyard.client import Client, Reply
from modelyard.resources.models import Filters

_SHOWN = 50


def render_model(model: Reply) -> None:
    """Printed by every command that ends with a version."""
    out.print(facts(f"{model['model_name']} {model['model_version']}", _head(model)))
    for made in _tables(model):
        out.print()
        out.print(made)


def _head(model: Reply) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [
        ("id", model["model_id"]),
        ("status", _status(model)),
        ("type", model["model_type"]),
    ]
    failure = model.get("failure") or {}
    if failure and not failure.get("problems"):  # the table has them
        rows.append(("reason", failure.get("reason")))
    rows += [("description", model["description"])] if model.get("description") else []
    rows += [("labels", ", ".join(model["labels"]))] if model.get("labels") else []
    rows += [("tags", ", ".join(f"{key}={value}" for key, value in model["tags"].items()))] if model.get("tags") else []
    rows += [("aliases", ", ".join(model["aliases"]))] if model.get("aliases") else []
    rows += [("link", f"{link['doc_name']}: {link['doc_url']}") for link in model.get("model_docs") or []]
    rows += [("source", words)] if (words := source_words(model.get("source") or {})) else []
    created = moment(model["create_at"]) if model.get("create_at") else None
    rows.append(("created", f"{created} by {model.get('created_by')}"))
    rows += [("scanned", words)] if (words := scanned_words(model.get("scan") or {})) else []
    rows += _training(model.get("training") or {})
    rows += _image(model["artifacts"])
    rows += _inside(model["artifacts"])
    rows += [("in use", "; ".join(model["in_use"]))] if model.get("in_use") else []
    rows += [("refused", _refused(each)) for each in model.get("refused") or []]
    return rows


def _status(model: Reply) -> str:
    if not model.get("archived_at"):
        return str(model["model_status"])
    since = moment(model["archived_at"])
    if not model.get("expires_at"):
        return f"archived since {since}"
    return f"deleted on {since}; can be restored until {moment(model['expires_at'])}"


def scanned_words(scan: Reply) -> str:
    """How much of it the scan has seen."""
    if not scan:
        return ""
    sniffed = scan.get("sniffed", 0)
    skipped = scan["files"] - scan["read"] - sniffed
    parts = [f"{scan['read']} of {scan['files']} files whole"]
    parts += [f"{sniffed} at both ends only"] if sniffed else []
    parts += [f"{skipped} by name and size only"] if skipped else []
    return ", ".join(parts)


def _refused(publication: Reply) -> str:
    """A listing or an entry that came to nothing, and why."""
    title = publication.get("title") or publication.get("competition_id")
    where = f"{publication['channel']} {title}" if title else publication["channel"]
    code = f" ({publication['code']})" if publication.get("code") else ""
    return f"{where}: {publication['reason']}{code}"


def source_words(source: Reply) -> str:
    """Where it came from, as one would type it."""
    kind = source.get("kind")
    if kind == "object-storage":
        kept = "" if source.get("source_copy", True) else " (by reference)"
        return f"{place(source['location'])}{kept}"
    if kind == "template":
        inputs = ", ".join(f"{each['input_id']}={place(each['location'])}" for each in source["template_inputs"])
        return f"template {source.get('template_name') or source['template_id']}: {inputs}"
    if kind == "image":
        return f"image {source['reference']} {source['platform']}"
    if kind == "promotion":
        return f"{source['model_name']} {source['model_version']} of project {source['project']}"
    return {"upload": "uploaded", "training": "training run"}.get(kind or "", kind or "")


def place(location: Reply) -> str:
    return f"s3://{location['bucket']}/{location['prefix']}"


def _training(training: Reply) -> list[tuple[str, Any]]:
    if not training:
        return []
    rows: list[tuple[str, Any]] = [("training job", f"{training['job_name']} {training['job_version']}")]
    if dataset := training.get("dataset"):
        rows.append(("dataset", f"{dataset['uri']} {dataset.get('digest') or ''}"))
    if code := training.get("code"):
        rows.append(("code", f"{code['repository']} @ {code['commit']}"))
    for name, values in (("trained with", training["parameters"]), ("it reported", training["metrics"])):
        if values:
            rows.append((name, ", ".join(f"{key}={_number(value)}" for key, value in values.items())))
    return rows + [("warning", warning) for warning in training.get("warnings", ())]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _image(artifacts: list[Reply]) -> list[tuple[str, Any]]:
    for artifact in artifacts:
        if image := (artifact.get("inspection") or {}).get("image"):
            ports = ", ".join(image["ports"]) or "none"
            return [("image", f"{image['reference']} {image['platform']}, {size(image['size'])}, ports {ports}")]
    return []


def _inside(artifacts: list[Reply]) -> list[tuple[str, Any]]:
    """What the source takes, gives and consists of."""
    found: Reply = next((each.get("inspection") or {} for each in artifacts if each["kind"] == "source"), {})
    rows: list[tuple[str, Any]] = []
    for side in ("inputs", "outputs"):
        rows += [(side.removesuffix("s"), _tensor(spec)) for spec in (found.get("signature") or {}).get(side, ())]
    opsets = found.get("opsets") or {}
    rows += [("opset", ", ".join(f"{name} {number}" for name, number in opsets.items()))] if opsets else []
    rows += [("parameters", f"{found['parameter_count']:,}")] if found.get("parameter_count") else []
    return rows


def _tensor(spec: Reply) -> str:
    axes = ", ".join("?" if axis is None else str(axis) for axis in spec["shape"])
    return f"{spec['name']} {spec['dtype']} [{axes}]"


def _tables(model: Reply) -> list[Table]:
    made = []
    if problems := (model.get("failure") or {}).get("problems"):
        made.append(problems_table(problems))
    if findings := (model.get("scan") or {}).get("findings"):
        made.append(findings_table(findings))
    if partly := (model.get("scan") or {}).get("partly_read"):
        made.append(partly_read_table(partly))
    if model["artifacts"]:
        made.append(artifacts_table(model["artifacts"]))
    return made + _evaluations(model["evaluations"])


def _evaluations(runs: list[Reply]) -> list[Table]:
    """Several on one dataset are told apart by what their other commands take: the id."""
    of = {
        found: [run for run in runs if run["evaluation_id"] == found]
        for found in dict.fromkeys(run["evaluation_id"] for run in runs)
    }
    times = Counter(each[0]["dataset_id"] for each in of.values())
    return [_runs(each, found if times[each[0]["dataset_id"]] > 1 else "") for found, each in of.items()]


def problems_table(problems: list[Reply]) -> Table:
    """Why it was refused: everything at once, and each once."""
    rows = [(each.get("file"), each.get("field"), _wrong(each)) for each in problems]
    return table("Problems", ("file", "field", "what is wrong"), rows)


def _wrong(problem: Reply) -> str:
    """The message without the place that stands beside it, and with the rule where that says more."""
    said = str(problem.get("message") or "")
    for place in (problem.get("file"), problem.get("field")):
        said = said.removeprefix(f"{place}: ") if place else said
    rule = str(problem.get("rule") or "")
    return said if not rule or rule in said or len(rule) > 60 else f"{said} ({rule})"


def findings_table(findings: list[Reply]) -> Table:
    """What the scan noticed; `dangerous` refuses a package, the others are for people to judge."""
    rows = [(each["file"], each["severity"], each["message"], each["rule"]) for each in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        rows.append(("…", None, f"{len(findings) - _SHOWN} more, all with --json", None))
    return table("Scan", ("file", "severity", "what was found", "rule"), rows)


def partly_read_table(files: list[Reply]) -> Table:
    """Files of which the scan saw the beginning and the end."""
    rows = [(each["file"], size(each["size"]), each["reason"]) for each in files[:_SHOWN]]
    if len(files) > _SHOWN:
        rows.append(("…", None, f"{len(files) - _SHOWN} more, all with --json"))
    return table("Scanned at both ends only", ("file", "size>", "why"), rows)


def artifacts_table(artifacts: list[Reply]) -> Table:
    """Size, parity and latency side by side: what each conversion gained and what it cost."""
    columns = ("artifact", "size>", "parity", "error>", "top-1>", "ms>", "source ms>")
    times = Counter(artifact["target"] for artifact in artifacts)
    made = table("Artifacts", columns, [_artifact_row(each, several=times[each["target"]] > 1) for each in artifacts])
    if any((artifact.get("benchmark") or {}).get("noisy") for artifact in artifacts):
        made.caption = "* measured on a busy machine: do not trust it"
        made.caption_justify = "left"
    return made


def _model_size(artifact: Reply) -> int:
    """Without calibration data and logs, so that a conversion is compared with what it was made of."""
    files = [file["size"] for file in artifact.get("files") or () if file["path"].startswith("model/")]
    return sum(files) if files else int(artifact["size"])


def _artifact_row(artifact: Reply, *, several: bool) -> tuple[Any, ...]:
    """Of several with one target each says when it was made."""
    parity, benchmark = artifact.get("parity") or {}, artifact.get("benchmark") or {}
    outputs = parity.get("outputs", [])
    worst = max((output["max_rel_error"] for output in outputs), default=None)
    agreed = next((output["top1_agree"] for output in outputs if output.get("top1_agree") is not None), None)
    mark = "*" if benchmark.get("noisy") else ""
    return (
        f"{artifact['target']}, {moment(artifact['created_at'])}" if several else artifact["target"],
        size(_model_size(artifact)),
        parity.get("verdict"),
        f"{worst:.1e}" if worst is not None else None,
        f"{agreed}/{parity['samples']}" if agreed is not None else None,
        f"{benchmark['result']['median_ms']:.3f}{mark}" if benchmark else None,
        f"{benchmark['source']['median_ms']:.3f}{mark}" if benchmark else None,
    )


def _runs(runs: list[Reply], identifier: str) -> Table:
    dataset = runs[0].get("dataset_name") or f"dataset {runs[0]['dataset_id'][:8]}…"  # of an earlier release
    names = ("accuracy", "f1", "auc")
    rows = [
        (
            run["version"],
            run["target"],
            run["samples"],
            *(f"{run['metrics'][name]:.4f}" if name in run["metrics"] else None for name in names),
        )
        for run in runs
    ]
    return table(
        f"Evaluation on {dataset} {identifier}".rstrip(),
        ("run", "artifact", "samples>", "accuracy>", "F1>", "AUC>"),
        rows,
    )


def render_page(page: Reply, filters: Filters) -> None:
    """A page of the list. Without a cursor the gateway has counted them all."""
    models = page["models"]
    where = " and ".join(_asked(filters))
    kind = "archived versions" if filters.get("archived") else "versions"
    if not models:
        words = f"No {kind} with {where}." if where else f"No {kind}; see 'modelyard import --help'."
        out.print(words, highlight=False, markup=False)
        return
    metrics = _metrics_shown(models, filters)
    mixed = {model["model_status"] for model in models} != {"published"}
    archived = bool(filters.get("archived"))
    rows = [
        (
            model["model_name"],
            model["model_version"],
            *([model["model_status"]] if mixed else []),
            model["model_type"],
            size(model["model_size"]) if model["model_size"] else None,
            *(_metric(model, name) for name in metrics),
            moment(model["create_at"])[:10],
            *([moment(model["expires_at"])[:16] if model.get("expires_at") else "kept"] if archived else []),
            ", ".join((*model["aliases"], *(f"#{label}" for label in _labels(model)))),
        )
        for model in models
    ]
    total = page.get("total_count")
    title = f"{page['count']} of {total} {kind}" if total is not None else f"{page['count']} {kind}"
    title += f" with {where}" if where else ""
    status = ["status"] if mixed else []
    columns = (
        "name",
        "version",
        *status,
        "type",
        "size>",
        *(f"{name}>" for name in metrics),
        "created",
        *([f"restorable until ({zone()})"] if archived else []),
        "aliases, #labels",
    )
    made = table(title, columns, rows)
    if any(str(cell).endswith("?") for row in rows for cell in row[3:-1]):
        made.caption = "? said by the training run or config.json, not measured here"
        made.caption_justify = "left"
    out.print(made)


def _metrics_shown(models: list[Reply], filters: Filters) -> list[str]:
    """Those that were asked about, else the one that most versions have."""
    known = dict.fromkeys(name for model in models for name in model.get("metrics") or {})
    said = f"{filters.get('where') or ''} {filters.get('sort_by') or ''}"
    asked = [name for name in known if re.search(rf"(?<![\w/-]){re.escape(name)}(?![\w/-])", said)]
    usual = sorted(
        known, key=lambda name: (-sum(name in model["metrics"] for model in models), name != "accuracy", name)
    )
    return asked[:3] or usual[:1]


def _metric(model: Reply, name: str) -> str | None:
    value = (model.get("metrics") or {}).get(name)
    return None if value is None else f"{value:.4g}{'' if name in model.get('measured', ()) else '?'}"


def _labels(model: Reply) -> list[str]:
    return [*(model.get("labels") or ()), *(f"{key}={value}" for key, value in (model.get("tags") or {}).items())]


def _asked(filters: Filters) -> Iterator[str]:
    """What was looked for, so that an empty list says so."""
    said = dict(filters)
    words = {"model_name": "name", "model_version": "version", "model_status": "status", "model_type": "type"}
    for key, value in said.items():
        if key == "sort_by" and str(value).startswith("metrics."):
            yield f"a metric {str(value).removeprefix('metrics.')}"
        if value in (None, [], "") or key in {"exact_match", "archived", "sort_by", "order", "limit", "offset"}:
            continue
        if key == "where":
            yield str(value)
        elif key == "label":
            yield from (f"label {label}" for label in ([value] if isinstance(value, str) else value))  # type: ignore[attr-defined]  # a TypedDict turned dict
        else:
            yield f"{words.get(key, key.replace('_', ' '))} {value}"


def version_of(model: Reply) -> str:
    return f"{model['model_name']} {model['model_version']}"


def names_under(client: Client, name: str) -> dict[str, str]:
    """Of all versions with this name, by id, as long as they are there."""
    rows = client.models.every(model_name=name, exact_match=True, limit=1000)
    return {row["model_id"]: version_of(row) for row in rows}


def render_deletion(preview: Reply) -> None:
    """What a delete would do."""
    rows = [(version_of(each), f"would go{_until(each)}") for each in preview["versions"]]
    rows += [(_kept_name(each), f"would stay: {each['error_message']}") for each in preview["kept"]]
    out.print(table("Nothing was deleted", ("version", "result"), rows))
    when = "once they cannot be restored" if preview.get("expires_at") else "at once"
    out.print(f"{preview['objects']} objects of {size(preview['bytes'])} would be freed {when}.", highlight=False)
    if preview["by_reference"]:
        out.print("What versions keep by reference stays where it lies.", highlight=False)
    if preview["more"]:
        out.print("The name has more versions than these.", highlight=False)


def _kept_name(kept: Reply) -> str:
    return f"{kept['model_name']} {kept['model_version']}" if kept.get("model_name") else str(kept["model_id"])


def _until(reply: Reply) -> str:
    return f"; can be restored until {moment(reply['expires_at'])}" if reply.get("expires_at") else " for good"


def render_deleted(report: Reply, names: Mapping[str, str], typed: str) -> None:
    """`names` by id; without them it is this one."""
    rows = [(names.get(model, typed), "deleted") for model in report["delete_success_list"]]
    rows += [(_kept_name(kept), f"kept: {kept['error_message']}") for kept in report["delete_failed_list"]]
    out.print(table("Deletion", ("version", "result"), rows))
    if report.get("expires_at") and report["delete_success_list"]:
        example = next(iter([*(names.get(model) for model in report["delete_success_list"]), typed])) or typed
        words = f"What was published can be restored until {moment(report['expires_at'])}:"
        out.print(f"{words} 'modelyard models restore {example.replace(' ', ':')}'.", highlight=False)
