"""A lineage graph as SVG, for `…/lineage.svg`: readable on paper, by screen readers, and inert in a browser.

Every text comes from users. It is escaped by the XML writer, stripped of what XML or the eye cannot bear, and cut;
the picture holds no script, no style, no link and no reference to anything outside of it.
"""

from collections import Counter, defaultdict
from typing import Any, Final
from unicodedata import east_asian_width
from xml.etree.ElementTree import Element, SubElement, tostring

from modelyard_contracts.calls.version import Lineage, LineageNode
from modelyard_gateway.lineage_layout import HEIGHT, WIDTH, Layout, Place, Route, arranged

MOST_NODES, MOST_EDGES = 500, 2000
_MARGIN, _HEAD = 28, 44  # pixels around everything, and above the columns
_TOLD = 60  # edges that the description puts into words
_ARROW = 7

_INK, _SOFT, _LINE, _BORDER, _PAPER = "#1f2328", "#59636e", "#8c959f", "#d1d9e0", "#ffffff"
_COLOURS: Final = {
    "dataset": "#1a7f37", "code": "#57606a", "training-job": "#9a6700", "template": "#6639ba", "image": "#6639ba",
    "version": "#0969da", "artifact": "#0a7a8a", "evaluation": "#bf3989", "listing": "#bc4c00", "entry": "#bc4c00",
}  # fmt: skip
_BAD, _BAD_STATES = "#cf222e", {"failed", "rejected"}
_FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif"


def picture(graph: Lineage) -> str:
    """The same text for the same graph. At most 500 nodes and 2,000 edges are drawn; it says how many are not."""
    drawn = Lineage(nodes=graph.nodes[:MOST_NODES], edges=graph.edges[:MOST_EDGES])
    layout = arranged(drawn)
    boxes = layout.boxes
    width = max((box.x for box in boxes), default=0) + WIDTH + 2 * _MARGIN
    depth = max((place.y + place.height / 2 for column in layout.columns for place in column), default=0)
    height = int(depth) + _HEAD + 2 * _MARGIN + 16
    root = Element("svg", _attributes(
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=width, height=height, role="img",
        aria_labelledby="lineage-title lineage-desc", font_family=_FONT, font_size=13, fill=_INK,
    ))  # fmt: skip
    _put(root, "title", "Lineage", id="lineage-title")
    _put(root, "desc", _in_words(drawn), id="lineage-desc")
    _put(root, "rect", width="100%", height="100%", fill=_PAPER)
    stage = _put(root, "g", transform=f"translate({_MARGIN} {_MARGIN + _HEAD})")
    _heads(stage, layout)
    _lines(stage, layout)
    for box in boxes:
        if box.node:
            _box(stage, box, box.node)
    _foot(root, height, graph, drawn)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _heads(stage: Element, layout: Layout) -> None:
    for column in layout.columns:
        kinds = list(dict.fromkeys(place.node.kind for place in column if place.node))
        words = shown(" · ".join(kinds).replace("-", " ").upper(), 34)
        _put(stage, "text", words, x=column[0].x, y=-24, font_size=11, letter_spacing=1, fill=_SOFT)
        _put(stage, "line", x1=column[0].x, x2=column[0].x + WIDTH, y1=-14, y2=-14, stroke=_BORDER)


def _box(stage: Element, box: Place, node: LineageNode) -> None:
    group = _put(stage, "svg", x=box.x, y=box.y - HEIGHT / 2, width=WIDTH, height=HEIGHT)
    _put(group, "title", f"{shown(node.label, 400)} ({shown(node.kind, 40)}, {shown(node.id, 200)})")
    bad = str(node.facts.get("status") or node.facts.get("state")) in _BAD_STATES
    colour = _BAD if bad else _COLOURS.get(node.kind, _SOFT)
    frame = {"x": 0.5, "y": 0.5, "width": WIDTH - 1, "height": HEIGHT - 1, "rx": 6}
    _put(group, "rect", **frame, fill=_PAPER, stroke=_BAD if bad else _BORDER)
    _put(group, "rect", x=0, y=0, width=5, height=HEIGHT, rx=2, fill=colour)
    _put(group, "text", shown(node.kind.replace("-", " "), 32), x=16, y=17, font_size=10, fill=colour)
    _put(group, "text", shown(node.label, 28), x=16, y=34, font_weight=600)
    _put(group, "text", shown(_details(node), 36), x=16, y=50, font_size=11, fill=_SOFT)


def _details(node: LineageNode) -> str:
    """What one most wants to know of it, from its facts; those come from other services and may be anything."""
    facts = node.facts
    words: list[Any] = [facts.get("status"), facts.get("state"), facts.get("model_type"), facts.get("format")]
    if facts.get("project"):
        words.append(f"in project {facts['project']}")
    if isinstance(facts.get("size"), int):
        words.append(_bytes(min(facts["size"], 2**63)))
    if isinstance(facts.get("metrics"), dict):
        words += [f"{name} {_number(value)}" for name, value in list(facts["metrics"].items())[:2]]
    if facts.get("metric") is not None and facts.get("score") is not None:
        words.append(f"{facts['metric']} {_number(facts['score'])}")
    if isinstance(facts.get("samples"), int):
        words.append(f"{min(facts['samples'], 2**63):,} samples")
    if not any(words):
        words = [str(facts.get("commit") or facts.get("digest") or facts.get("framework") or "")[:23]]
    return " · ".join(str(word) for word in words if word)


def _lines(stage: Element, layout: Layout) -> None:
    """Below the boxes. What enters a box by the same relation enters at one point, and is named there once."""
    entering: dict[Place, dict[str, list[Route]]] = defaultdict(lambda: defaultdict(list))
    for route in layout.routes:
        entering[route.stops[-1]][route.edge.relation].append(route)
    for box, relations in entering.items():
        ordered = sorted(relations.items(), key=lambda each: (min(route.stops[-2].y for route in each[1]), each[0]))
        for index, (relation, routes) in enumerate(ordered, start=1):
            y = round(box.y - HEIGHT / 2 + HEIGHT * index / (len(ordered) + 1), 1)
            for way in dict.fromkeys(_way(route.stops, y) for route in routes):
                _put(stage, "path", d=way, fill="none", stroke=_LINE, stroke_width=1.3)
            _put(stage, "path", d=f"M{box.x} {y}l{-_ARROW} -4v8z", fill=_LINE)
            halo = {"stroke": _PAPER, "stroke_width": 3, "paint_order": "stroke"}
            at = {"x": box.x - _ARROW - 5, "y": y - 4, "text_anchor": "end", "font_size": 10, "fill": _SOFT}
            _put(stage, "text", shown(relation, 22), **at, **halo)


def _way(stops: tuple[Place, ...], y: float) -> str:
    """From the right side of the first box, level through every column on the way, to the left side of the last."""
    x, here = stops[0].x + WIDTH, stops[0].y
    path = f"M{x} {here}"
    for place in stops[1:]:
        last = place is stops[-1]
        to_x, to_y = (place.x - _ARROW, y) if last else (place.x, place.y)
        bend = max((to_x - x) / 2, 60)  # also where it has to go back
        path += f"C{x + bend} {here} {to_x - bend} {to_y} {to_x} {to_y}"
        x, here = (to_x, to_y) if last else (place.x + WIDTH, place.y)
        path += "" if last else f"H{x}"
    return path


def _foot(root: Element, height: int, graph: Lineage, drawn: Lineage) -> None:
    nodes, edges = len(graph.nodes) - len(drawn.nodes), len(graph.edges) - len(drawn.edges)
    words = [] if graph.nodes else ["Nothing is known."]
    words += [f"{shown(graph.cut, 120)}."] if graph.cut else []
    words += [f"Not drawn: {nodes:,} more things and {edges:,} more relations."] if nodes or edges else []
    if words:
        _put(root, "text", " ".join(words), x=_MARGIN, y=height - 14, font_size=11, fill=_SOFT)


def _in_words(graph: Lineage) -> str:
    labels = {node.id: f"{shown(node.kind, 40)} {shown(node.label, 60)}" for node in graph.nodes}
    counts = ", ".join(
        f"{count} {shown(kind, 40)}" for kind, count in Counter(node.kind for node in graph.nodes).items()
    )
    told = [
        f"{labels[edge.source]} {shown(edge.relation, 40)} {labels[edge.target]}."
        for edge in graph.edges[:_TOLD]
        if edge.source in labels and edge.target in labels
    ]
    more = f" And {len(graph.edges) - _TOLD} more relations." if len(graph.edges) > _TOLD else ""
    return shown(f"{counts}. {' '.join(told)}{more}", 20_000)


def shown(text: str, columns: int) -> str:
    """Fit for XML and for the eye, at most `columns` wide (a Chinese character counts two), cut in the middle."""
    plain = "".join(mark if mark.isprintable() else " " for mark in text[: columns * 4]).strip()
    if len(text) > columns * 4:
        plain += text[-columns:] if text[-columns:].isprintable() else "…"
    if sum(map(_wide, plain)) <= columns:
        return plain
    head, tail = (columns - 1) - (columns - 1) // 2, (columns - 1) // 2
    return _fitting(plain, head) + "…" + _fitting(plain[::-1], tail)[::-1]


def _fitting(text: str, columns: int) -> str:
    used = 0
    for index, mark in enumerate(text):
        used += _wide(mark)
        if used > columns:
            return text[:index]
    return text


def _wide(mark: str) -> int:
    return 2 if east_asian_width(mark) in "WF" else 1


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shown(str(value), 12)


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _put(parent: Element, tag: str, text: str | None = None, /, **attributes: Any) -> Element:
    made = SubElement(parent, tag, _attributes(**attributes))
    made.text = text
    return made


def _attributes(**values: Any) -> dict[str, str]:
    """SVG writes most attributes with `-`; numbers as short as they are."""
    return {
        (name if name == "viewBox" else name.replace("_", "-")): f"{value:g}"
        if isinstance(value, float)
        else str(value)
        for name, value in values.items()
    }
