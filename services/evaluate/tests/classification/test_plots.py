"""Plots that a person can read, whatever the classes are called. Warnings are errors here."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelyard_evaluate import fonts
from modelyard_evaluate.tasks.classification.metrics import Answers, Measured, measure
from modelyard_evaluate.tasks.classification.plots import draw_all


def measured(labels: tuple[str, ...]) -> Measured:
    random = np.random.default_rng(3)
    truth = np.tile(np.arange(len(labels)), 4)
    scores = random.random((len(truth), len(labels))) + np.eye(len(labels))[truth] / 2
    return measure(Answers([str(index) for index in range(len(truth))], truth, scores, labels))


@pytest.mark.parametrize("labels", [("a", "b", "c"), tuple(f"class {index}" for index in range(120)), ("a", "b")])
def test_every_plot_is_written_twice(tmp_path: Path, labels: tuple[str, ...]) -> None:
    drawn = draw_all(measured(labels), tmp_path)
    assert {each.file for each in drawn} == {path.name for path in tmp_path.iterdir()}
    assert {each.name for each in drawn} == {"confusion-matrix", "per-class", "roc"}
    for each in drawn:
        if each.media_type == "image/png":
            Image.open(tmp_path / each.file).verify()
        else:
            assert "<svg" in (tmp_path / each.file).read_text()


def test_chinese_names_stay_text_in_svg_and_are_numbered_in_png_without_a_font(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "_candidates", lambda: ("DejaVu Sans",))
    drawn = draw_all(measured(("猫", "$狗_1$", "<鸟> & co")), tmp_path)
    assert {each.numbered for each in drawn if each.media_type == "image/png"} == {True}
    for name in ("confusion-matrix", "per-class", "roc"):
        text = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert "猫" in text
        assert "$狗_1$" in text
        assert "&lt;鸟&gt; &amp; co" in text
        assert "'Noto Sans CJK SC'" in text


def test_a_font_that_has_every_character_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    have = {"Plain": frozenset("abc"), "Chinese": frozenset("abc猫狗")}
    monkeypatch.setattr(fonts, "_candidates", lambda: tuple(have))
    monkeypatch.setattr(fonts, "_characters", have.__getitem__)
    assert fonts.for_png(["a", "b"]) == fonts.Naming(("a", "b"), ("Plain",))
    assert fonts.for_png(["猫", "a"]) == fonts.Naming(("猫", "a"), ("Chinese",))
    assert fonts.for_png(["鸟", "a"]) == fonts.Naming(("#0", "#1"), ("DejaVu Sans",), numbered=True)


def test_the_same_result_draws_the_same_file(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        draw_all(measured(("a", "b", "c")), tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
