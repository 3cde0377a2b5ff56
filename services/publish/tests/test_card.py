"""The model card: facts stay facts, and what users wrote stays text."""

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from modelyard_contracts.calls.version import EvaluationSummary
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import (
    Benchmark,
    CodeRef,
    DatasetRef,
    OutputParity,
    Parity,
    Timing,
    Tolerance,
    TrainingRef,
)
from modelyard_publish.card import render

TRAINING = TrainingRef(
    job_id="j-1",
    job_name="训练 | <b>job</b>",
    job_version="V001",
    framework="scikit-learn",
    metrics={"accuracy": 0.9722222},
    parameters={"layers": [128, 64], "note": "![x](http://evil/x.png)\n# Evil", "long": "y" * 5000},
    dataset=DatasetRef(uri="s3://datasets/digits", digest="sha256:12"),
    code=CodeRef(repository="https://example.org/digits", commit="abc123"),
)


def test_every_fact_has_its_place(facts: Any) -> None:
    timing = Timing(runtime="openvino", median_ms=0.0512, p95_ms=0.1, cpu_ms=0.05, size=3000)
    benchmark = Benchmark(source=timing, result=timing, threads=1, batch=1, warmup=5, runs=50, load=0.5, noisy=False)
    output = OutputParity(name="scores", max_abs_error=0, mean_abs_error=0, max_rel_error=0, cosine=1, control_cosine=0)
    parity = Parity(
        verdict="passed",
        reason="",
        inputs="calibration",
        samples=300,
        tolerance=Tolerance(max_rel_error=0.1, min_cosine=0.9, min_top1_agreement=0.9),
        outputs=(output,),
    )
    converted = facts.artifact(
        "a2", kind="conversion", target="openvino-fp16", format="OpenVINO", parity=parity, benchmark=benchmark
    )
    evaluation = EvaluationSummary(
        evaluation_id="ev",
        version="V0001",
        run_id="r",
        artifact_id="a",
        target="source",
        dataset_id="d",
        samples=360,
        metrics={"accuracy": 0.97222},
    )
    config = PackageConfig(model_algorithm="image_classification", model_type="ONNX", labels=("零", "一"))
    view = facts.version_view(
        artifacts=(facts.artifact(), converted),
        evaluations=(evaluation,),
        training=TRAINING,
        config=config,
        labels=("demo",),
        model_size=3 * 1024**3,
    )
    card = render("Digits", "", view)
    assert [line for line in card.splitlines() if line.startswith("#")] == [
        "# Digits",
        "## Where it comes from",
        "## Signature",
        "## Artifacts",
        "## Evaluations",
    ]
    assert "| size | 3.0 GiB |" in card
    assert "| classes | 零, 一 |" in card
    assert "| input | image | float32 | batch × 1 × 8 × 8 |" in card
    assert "| output | scores | float32 | ? × 10 |" in card
    assert "| openvino-fp16 | OpenVINO | 4.9 KiB | passed | 0.0512 ms | sha256:cdcdcdcdcdcd |" in card
    assert "| source | V0001 | 360 | 0.9722 | – |" in card
    assert "| metric accuracy | 0.972222 |" in card
    assert "| code | https://example.org/digits @ abc123 |" in card


def test_a_table_row_stays_a_row(facts: Any) -> None:
    card = render("Digits", "", facts.version_view(training=TRAINING))
    assert "| training job | 训练 &#124; &lt;b>job&lt;/b> V001 (j-1) |" in card
    assert r"| parameter layers | \[128, 64\] |" in card
    assert r"| parameter note | !\[x\](http://evil/x.png) # Evil |" in card
    assert max(len(line) for line in card.splitlines()) < 400
    for table in card.split("\n\n"):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1


def test_a_title_is_one_line_of_text(facts: Any) -> None:
    card = render("a < b & c\n## Fake `x` *y*", "", facts.version_view())
    assert card.startswith("# a &lt; b &amp; c ## Fake \\`x\\` \\*y\\*\n\n| fact")


def test_a_description_cannot_pass_for_a_section(facts: Any) -> None:
    text = "中文 **fine**\n\n## Evaluations\n| source | 1.0 |\r\n<script>alert(1)</script> ![track](http://evil/x.png)"
    card = render("Digits", text, facts.version_view())
    assert (
        "> 中文 **fine**\n>\n> ## Evaluations\n> | source | 1.0 |\n> &lt;script>alert(1)&lt;/script> !\\[track]" in card
    )
    assert "## Evaluations" not in [line.strip() for line in card.splitlines()]


def test_the_versions_own_description_stands_in(facts: Any) -> None:
    assert "\n\n> from the version\n\n" in render("Digits", "", facts.version_view(description="from the version"))


@pytest.mark.parametrize(
    "written",
    [
        "[click](javascript:alert(1))",
        "[click](JaVaScRiPt:alert(1))",
        "[click]( javascript:alert(1))",
        "[click](\njavascript:alert(1))",
        "[click](javascript\\:alert(1))",
        "[click](data:text/html;base64,PHN2Zz4=)",
        "[click](vbscript:x)",
        "[click](//evil.example)",
        "[click][x]\n\n[x]: javascript:alert(1)",
        "[click][x]\n\n[x]:\n  javascript:alert(1)",
        "<javascript:alert(1)>",
        "[click](&#106;avascript:alert(1))",
        "![x](javascript:alert(1))",
        "<a href=javascript:alert(1)>x</a>",
    ],
)
def test_a_link_of_a_description_goes_to_the_web_or_nowhere(facts: Any, written: str) -> None:
    """Read by a Markdown library, with everything that it knows."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(render("t", written, facts.version_view()))
    assert not re.search(r"<[a-z]+ [^>]*(href|src)=", html), html


def test_links_to_the_web_and_to_mail_stay(facts: Any) -> None:
    written = "[a](https://example.org/x) [b](mailto:team@example.org) [c][r]\n\n[r]: http://example.org"
    html = MarkdownIt("commonmark").render(render("t", written, facts.version_view()))
    assert html.count("href=") == 3
