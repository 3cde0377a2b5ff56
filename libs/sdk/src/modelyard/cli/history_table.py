"""The history of a version as a table: who changed what, when, from what to what."""

import re
from typing import Any

from modelyard.cli.model_tables import scanned_words, source_words
from modelyard.cli.session import moment, out, size, table, zone
from modelyard.client import Reply


def render_history(reply: Reply) -> None:
    """One line for each change of each field."""
    rows = []
    for record in reply["records"]:
        lines = [line for name, change in record["changes"].items() if (line := _line(name, change))]
        rows.append((record["seq"], moment(record["at"])[:16], record["by"], record["action"], "\n".join(lines)))
    out.print(table(f"{len(rows)} changes", ("#>", f"when ({zone()})", "by", "what", "before → after"), rows))


_NOTHING: tuple[Any, ...] = (None, "", [], {})
_ENDED = {"work": "ended"}
_QUIET = {"plan", "install_type"}  # said by nobody in particular; the JSON has them


def _line(name: str, change: Reply) -> str:
    """Nothing where neither side says anything."""
    nothing = (*_NOTHING, 0) if name == "model_size" else _NOTHING
    before, after = (None if change.get(side) in nothing else change[side] for side in ("before", "after"))
    if (before is None and after is None) or (name in _QUIET and before is None and not _said(after)):
        return ""
    kind, _, identifier = name.partition(" ")
    if identifier:  # an element of a list: what it is says more than its id
        words = _element(kind, identifier, after or before or {})
        return words if before is None else f"{words}: {'changed' if after else _ENDED.get(kind, 'no longer')}"
    told = [_short(name, value) for value in (before, after)]
    return f"{name}: {told[1]}" if before is None else f"{name}: {' → '.join(told)}"


def _said(plan: Any) -> bool:
    return not isinstance(plan, list) and any((plan or {}).values())


def _element(kind: str, identifier: str, facts: Reply) -> str:
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in (facts.get("metrics") or {}).items())
    return {
        "artifact": f"artifact {facts.get('target')}",  # its size has the calibration data in it
        "evaluation": f"evaluation {facts.get('version')}: {metrics}",
        "work": str(facts.get("words")).removesuffix(" has not ended"),
        "listing": f"listing {facts.get('title')}",
        "refusal": f"refusal {facts.get('title')}",
        "entry": f"competition entry, {facts.get('state')}",
        "alias": f"alias {facts.get('alias') or identifier}",
    }.get(kind, f"{kind} {identifier}")


def _short(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "source" and isinstance(value, dict):
        return source_words(value)
    if name == "scan" and isinstance(value, dict):
        return f"{scanned_words(value)}, {len(value.get('findings') or ())} findings"
    if name == "model_size":
        return str(size(value))
    if name == "expires_at":
        return moment(value)
    return _cut(value)


def _cut(value: Any, longest: int = 60) -> str:
    if isinstance(value, list):
        value = ", ".join(map(_cut, value))
    if isinstance(value, dict):
        value = ", ".join(f"{name}={_cut(inner)}" for name, inner in value.items())
    text = re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", str(value))
    return text if len(text) <= longest else text[: longest - 1] + "…"
