"""The drawn lineage: readable, the same every time, inert whatever its texts are, bounded."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from modelyard_contracts.calls import version
from modelyard_contracts.calls.version import Lineage, LineageEdge, LineageNode
from modelyard_contracts.shapes import Role
from modelyard_gateway.lineage_layout import HEIGHT, arranged
from modelyard_gateway.lineage_picture import MOST_NODES, picture, shown
from modelyard_testkit.processor_time import within

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "title", "desc", "rect", "g", "text", "line", "path"}


def node(name: str, kind: str, label: str = "", **facts: object) -> LineageNode:
    return LineageNode(id=name, kind=kind, label=label or name, facts=facts)


def graph(*nodes: LineageNode, **edges: str) -> Lineage:
    """`d_j="trained on"` is the edge from d to j."""
    made = (LineageEdge(source=key.split("_")[0], target=key.split("_")[1], relation=to) for key, to in edges.items())
    return Lineage(nodes=nodes, edges=tuple(made))


WHOLE = graph(
    node("d", "dataset", "s3://datasets/digits/", digest="sha256:9f86d081884c7d65"),
    node("c", "code", "https://git.example/digits.git@4f2c1d9"),
    node("j", "training-job", "digits V001", metrics={"accuracy": 0.97}),
    node("v", "version", "手写数字 1.0.0", status="published", model_type="ONNX"),
    node("a", "artifact", "source", format="onnx", size=69_338),
    node("k", "artifact", "openvino-fp16"),
    node("h", "dataset", "held-out"),
    node("e", "evaluation", "V0001 on source", metrics={"accuracy": 0.9722}, samples=360),
    node("l", "listing", "Digits"),
    node("n", "entry", "entry in co", metric="accuracy", score=0.96, state="scored"),
    d_j="trained on",
    c_j="ran in",
    j_v="produced",
    v_a="holds",
    v_k="holds",
    a_k="converted to",
    a_e="evaluated in",
    h_e="measured on",
    v_l="listed as",
    k_n="entered as",
)


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.encode())


def texts(root: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def test_everything_is_drawn_from_left_to_right() -> None:
    columns = {place.node.id: place.column for place in arranged(WHOLE).boxes if place.node}
    assert columns == {"d": 0, "c": 0, "j": 1, "v": 2, "a": 3, "k": 4, "h": 4, "e": 5, "l": 6, "n": 6}
    root = read(picture(WHOLE))
    words = texts(root)
    for expected in ("手写数字 1.0.0", "published · ONNX", "onnx · 69.3 kB", "accuracy 0.9722 · 360 samples"):
        assert expected in words
    assert "scored · accuracy 0.96" in words
    assert words.count("holds") == 1  # what was converted is reached by way of its source
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert "training-job digits V001 produced version 手写数字 1.0.0." in desc.text


def test_what_was_taken_in_again_stands_to_the_right_of_what_it_came_from() -> None:
    again = graph(
        node("v", "version"),
        node("a", "artifact"),
        node("w", "version"),
        node("b", "artifact"),
        node("t", "template"),
        v_a="holds",
        a_w="imported as",
        t_w="shaped",
        w_b="holds",
    )
    columns = {place.node.id: place.column for place in arranged(again).boxes if place.node}
    assert columns == {"v": 0, "a": 1, "t": 2, "w": 3, "b": 4}
    root = read(picture(again.model_copy(update={"cut": "only 200 versions are shown"})))
    assert "only 200 versions are shown." in texts(root)


def test_the_same_graph_is_the_same_picture() -> None:
    assert picture(WHOLE) == picture(Lineage.model_validate_json(WHOLE.model_dump_json()))


def test_boxes_of_a_column_never_overlap() -> None:
    many = [node(f"v{number}", "version") for number in range(40)]
    parts = [node(f"a{number}", "artifact") for number in range(90)]
    edges = (LineageEdge(source=f"v{n % 40}", target=f"a{n * 7 % 90}", relation="holds") for n in range(300))
    for column in arranged(Lineage(nodes=(*many, *parts), edges=tuple(edges))).columns:
        middles = [place.y for place in column if place.node]
        assert all(below - above >= HEIGHT for above, below in pairwise(middles))


HOSTILE = [
    "</text><script>alert(1)</script>",
    '" onload="alert(1)',
    "]]><!--",
    "&#0;&xxe;",
    "\x00\x08\x1b[31m\ufffe",
    "\ud800",
    "\u202egnp.exe",
    "javascript:alert(1)",
    "字" * 5000,
    "x" * 1_000_000,
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_does_anything(text: str) -> None:
    nodes = (node("v", "version", text, status=text, metrics={text: text}), node("z", text, "odd", size=10**400))
    edge = LineageEdge(source="v", target="z", relation=text)
    svg = picture(Lineage(nodes=nodes, edges=(edge, edge.model_copy(update={"source": text, "target": "v"}))))
    assert len(svg) < 20_000
    root = read(svg)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in DRAWN
        assert not {name for name in element.attrib if name.startswith("on") or "href" in name or name == "style"}
        assert all("url(" not in value and "alert" not in value for value in element.attrib.values())
    assert "\u202e" not in svg


def test_circles_and_loose_ends_are_borne() -> None:
    odd = graph(node("a", "artifact"), node("v", "version"), a_v="taken in", v_a="holds", a_a="same", x_v="no such")
    layout = arranged(odd)
    assert [route.edge.relation for route in layout.routes] == ["taken in", "holds"]
    assert "NaN" not in picture(odd)
    assert "Nothing is known." in texts(read(picture(Lineage(nodes=(), edges=()))))


def test_a_huge_graph_is_cut_and_says_so() -> None:
    nodes = tuple(node(f"v{number}", "version") for number in range(MOST_NODES + 300))
    edges = tuple(LineageEdge(source=f"v{n % 700}", target=f"v{n * 31 % 700}", relation="r") for n in range(5000))
    with within(5):
        words = texts(read(picture(Lineage(nodes=nodes, edges=edges))))
    assert "Not drawn: 300 more things and 3,000 more relations." in words


@pytest.mark.parametrize(
    ("text", "columns", "cut"),
    [("short", 10, "short"), ("abcdefghij", 5, "ab…ij"), ("手写数字识别", 7, "手…别"), ("a\tb\nc", 9, "a b c")],
)
def test_texts_are_cut_in_the_middle(text: str, columns: int, cut: str) -> None:
    assert shown(text, columns) == cut


@pytest.mark.parametrize("path", ["models/m/lineage.svg", "lineage.svg?model_name=digits"])
async def test_the_answer_is_inert(yard, path) -> None:
    yard.calls.answers |= {version.LINEAGE.subject: WHOLE, version.TRACE.subject: WHOLE}
    reply = await yard.http.get(f"/v1/default/{path}", headers=await yard.token(Role.READER))
    assert reply.headers["content-type"].startswith("image/svg+xml")
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.text == picture(WHOLE)
