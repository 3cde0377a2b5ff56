import pytest

from modelyard_formats.errors import refusal
from modelyard_formats.package.listing import check_listing, is_safe

GOOD = (("model/config.json", 100), ("model/model.onnx", 1000))


def messages(*entries: tuple[str, int]) -> list[str]:
    problems = check_listing(entries)
    assert all(problem.rule and problem.file for problem in problems)
    return [problem.message for problem in problems]


@pytest.mark.parametrize(
    "more",
    [
        (),
        (("model/weights.bin", 5), ("calibration_data/a.npy", 5), ("model/customize_service.py", 1)),
        (("model/other/model.onnx", 5), ("model/labels.xml", 5)),
    ],
)
def test_good_listings(more):
    assert messages(*GOOD, *more) == []
    assert messages(("model/config.json", 1), ("model/a.xml", 1), ("model/a.bin", 0)) == []


def test_nothing_at_all():
    first, second = messages()
    assert first == "model/config.json is missing"
    assert second.startswith("no model file in model/; it needs one *.onnx or one .xml and its .bin or ")
    assert refusal(check_listing([])).code == "ModelArts.3015"


def test_config_in_the_wrong_place():
    assert messages(GOOD[1], ("model/a/config.json", 1)) == ["model/config.json is missing; found model/a/config.json"]


@pytest.mark.parametrize("part", ["1_Pooling", "unet", "text_encoder/deeper"])
def test_a_part_of_a_model_has_its_own_config(part):
    """As sentence-transformers and diffusers write it; it is data, however large."""
    assert messages(*GOOD, (f"model/{part}/config.json", 2**21)) == []


def test_config_too_large():
    assert messages(("model/config.json", 2**20 + 1), GOOD[1]) == ["model/config.json has 1,048,577 bytes"]


def test_models_missing_twice_empty_or_half():
    config = GOOD[0]
    assert messages(config, ("model/other.bin", 1))[0].startswith("no model file")
    assert messages(config, ("model/a.onnx", 1), ("model/b.onnx", 1)) == [
        "2 models in one package: model/a.onnx, model/b.onnx"
    ]
    assert messages(config, ("model/a.onnx", 1), ("model/b.xml", 1), ("model/b.bin", 1))[0].startswith("2 models")
    assert messages(config, ("model/a.onnx", 0)) == ["model/a.onnx is empty"]
    params = ("model/a-symbol.json", 1), ("model/a-0000.params", 0)
    assert messages(config, *params) == ["model/a-0000.params is empty"]
    assert messages(config, ("model/a.xml", 1)) == ["a.xml has no a.bin beside it"]
    assert refusal(check_listing([config])).code == "ModelArts.3017"


def test_second_customize_service():
    custom = ("model/customize_service.py", 1), ("model/a/customize_service.py", 1)
    assert messages(*GOOD, *custom)[0].startswith("2 files named customize_service.py")


@pytest.mark.parametrize("path", ["/a", "a//b", "../a", "a/..", "a/./b", "a\\b", "a\nb", "a\x7f", "a/", ""])
def test_paths_that_leave_the_package(path):
    assert not is_safe(path)
    assert messages(*GOOD, (path, 1)) == [f"{path!r} is no path inside a package"] if path else True


def test_a_path_twice():
    assert messages(*GOOD, ("x", 1), ("x", 1)) == ["x is listed twice"]


def test_ordinary_paths_are_safe():
    assert all(is_safe(path) for path in ("a", "a/b.c", "模型/标签.txt", "a b", "..a", "a..b"))
