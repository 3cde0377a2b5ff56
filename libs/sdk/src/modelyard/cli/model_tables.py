"""One version as tables: what it is, where it came from, what was found in it, its artifacts and its scores."""

from typing import Any

from rich.table import Table

from modelyard.cli.session import facts, moment, out, size, table
from modelyard.client import Reply

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
        ("status", model["model_status"]),
        ("type", model["model_type"]),
    ]
    if failure := model.get("failure"):
        rows.append(("reason", failure.get("reason")))
    rows += [("description", model["description"])] if model.get("description") else []
    rows += [("labels", ", ".join(model["labels"]))] if model.get("labels") else []
    rows += [("link", f"{link['doc_name']}: {link['doc_url']}") for link in model.get("model_docs") or []]
    rows += [("source", words)] if (words := _source(model.get("source") or {})) else []
    rows.append(("created by", model.get("created_by")))
    rows += [("scanned", words)] if (words := _scanned(model.get("scan") or {})) else []
    rows += _training(model.get("training") or {})
    rows += _image(model["artifacts"])
    rows += _inside(model["artifacts"])
    rows += [("held by", "; ".join(model["in_use"]))] if model.get("in_use") else []
    rows += [("refused", _refused(each)) for each in model.get("refused") or []]
    return rows


def _scanned(scan: Reply) -> str:
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
    where = publication["channel"]
    if competition := publication.get("competition_id"):
        where = f"{where} {competition}"
    code = f" ({publication['code']})" if publication.get("code") else ""
    return f"{where}: {publication['reason']}{code}"


def _source(source: Reply) -> str:
    """Where it came from, as one would type it."""
    kind = source.get("kind")
    if kind == "object-storage":
        kept = "" if source.get("source_copy", True) else " (by reference)"
        return f"{place(source['location'])}{kept}"
    if kind == "template":
        inputs = ", ".join(f"{each['input_id']}={place(each['location'])}" for each in source["template_inputs"])
        return f"template {source['template_id']}: {inputs}"
    if kind == "image":
        return f"image {source['reference']} {source['platform']}"
    if kind == "promotion":
        return f"{source['model_name']} {source['model_version']} of project {source['project']} ({source['model_id']})"
    return f"{kind} {source.get('upload_id') or source.get('training_job_id')}" if kind else ""


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
    rows.append(("parameters", ", ".join(f"{name}={value}" for name, value in training["parameters"].items())))
    rows.append(("metrics", ", ".join(f"{name}={value:g}" for name, value in training["metrics"].items())))
    return rows + [("warning", warning) for warning in training.get("warnings", ())]


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
    for found in dict.fromkeys(evaluation["evaluation_id"] for evaluation in model["evaluations"]):
        made.append(_runs(found, [each for each in model["evaluations"] if each["evaluation_id"] == found]))
    return made


def problems_table(problems: list[Reply]) -> Table:
    """Why it was refused: everything at once."""
    rows = [(each.get("file"), each.get("field"), each.get("message"), each.get("rule")) for each in problems]
    return table("Problems", ("file", "field", "what is wrong", "rule"), rows)


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
    return table("Not read whole", ("file", "size>", "why"), rows)


def artifacts_table(artifacts: list[Reply]) -> Table:
    """Size, parity and latency side by side: what each conversion gained and what it cost."""
    columns = ("artifact", "size>", "parity", "error>", "top-1>", "ms>", "source ms>")
    made = table("Artifacts", columns, [_artifact_row(artifact) for artifact in artifacts])
    if any((artifact.get("benchmark") or {}).get("noisy") for artifact in artifacts):
        made.caption = "* measured on a busy machine: do not trust it"
        made.caption_justify = "left"
    return made


def _artifact_row(artifact: Reply) -> tuple[Any, ...]:
    parity, benchmark = artifact.get("parity") or {}, artifact.get("benchmark") or {}
    outputs = parity.get("outputs", [])
    worst = max((output["max_rel_error"] for output in outputs), default=None)
    agreed = next((output["top1_agree"] for output in outputs if output.get("top1_agree") is not None), None)
    mark = "*" if benchmark.get("noisy") else ""
    return (
        artifact["target"],
        size(artifact["size"]),
        parity.get("verdict"),
        f"{worst:.1e}" if worst is not None else None,
        f"{agreed}/{parity['samples']}" if agreed is not None else None,
        f"{benchmark['result']['median_ms']:.3f}{mark}" if benchmark else None,
        f"{benchmark['source']['median_ms']:.3f}{mark}" if benchmark else None,
    )


def _runs(evaluation: str, runs: list[Reply]) -> Table:
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
    return table(f"Evaluation {evaluation}", ("run", "artifact", "samples>", "accuracy>", "F1>", "AUC>"), rows)


def render_page(page: Reply) -> None:
    """A page of the list. Without a cursor the gateway has counted them all."""
    rows = [
        (
            model["model_name"],
            model["model_version"],
            model["model_status"],
            model["model_type"],
            size(model["model_size"]),
            ", ".join((*model["aliases"], *(f"#{label}" for label in model.get("labels") or ()))),
        )
        for model in page["models"]
    ]
    total = page.get("total_count")
    title = f"{page['count']} of {total} versions" if total is not None else f"{page['count']} versions"
    out.print(table(title, ("name", "version", "status", "type", "size>", "aliases, #labels"), rows))


def render_deletion(preview: Reply) -> None:
    """What a delete would do."""
    rows = [
        (each["model_id"], f"{each['model_name']} {each['model_version']} would go") for each in preview["versions"]
    ]
    rows += [(each["model_id"], f"would stay: {each['error_message']}") for each in preview["kept"]]
    out.print(table("Nothing was deleted", ("id", "result"), rows))
    out.print(f"{preview['objects']} objects of {size(preview['bytes'])} would be freed.", highlight=False)
    if preview["by_reference"]:
        out.print("What versions keep by reference stays where it lies.", highlight=False)


def render_deleted(report: Reply) -> None:
    rows = [(model, "deleted") for model in report["delete_success_list"]]
    rows += [(kept["model_id"], f"kept: {kept['error_message']}") for kept in report["delete_failed_list"]]
    out.print(table("Deletion", ("id", "result"), rows))


def render_history(reply: Reply) -> None:
    """One line for each change of each field."""
    rows = []
    for record in reply["records"]:
        changes = [f"{name}: {_brief(change)}" for name, change in record["changes"].items() if _says(change)]
        rows.append((record["seq"], moment(record["at"])[:16], record["by"], record["action"], "\n".join(changes)))
    out.print(table(f"{len(rows)} changes", ("#>", "when (UTC)", "by", "what", "before → after"), rows))


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def _says(change: Reply) -> bool:
    return change.get("before") not in _NOTHING or change.get("after") not in _NOTHING


def _brief(change: Reply) -> str:
    before, after = (_cut(change.get(side)) for side in ("before", "after"))
    return after if change.get("before") in _NOTHING else f"{before} → {after}"


def _cut(value: Any, longest: int = 60) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "–" if value in _NOTHING else str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
