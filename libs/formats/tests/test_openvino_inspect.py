from pathlib import Path

import pytest

from modelyard_formats.errors import BadSource
from modelyard_formats.kinds.openvino.ir import primary_name
from modelyard_formats.table import inspect, read
from modelyard_testkit import models


@pytest.fixture
def root(tmp_path) -> Path:
    return models.package(tmp_path, models.openvino_ir)


def change(root: Path, old: str, new: str) -> None:
    path = root / "model" / "model.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def refusal(root: Path) -> BadSource:
    with pytest.raises(BadSource) as caught:
        inspect("openvino", root)
    assert caught.value.code == "ModelArts.3017"
    return caught.value


def test_an_ir_says_what_it_is(root):
    reading = read("openvino", root)
    assert reading.files == ("model.xml", "model.bin")
    found = reading.inspection
    (image,), (scores,) = found.signature.inputs, found.signature.outputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", (None, 1, 8, 8))
    assert (scores.name, scores.dtype, scores.shape) == ("scores", "float32", (None, 10))
    assert found.opsets == {"ir": 11, "opset": 1}
    assert found.parameter_count == 2410 + 2  # and the target shape of the reshape
    assert found.operators["MatMul"] == 2


def test_ranges_and_any_rank(root):
    change(root, 'shape="?,1,8,8"', 'shape="1..16,1,?,8"')
    assert inspect("openvino", root).signature.inputs[0].shape == (None, 1, None, 8)
    change(root, 'shape="1..16,1,?,8"', 'shape="..."')
    assert inspect("openvino", root).signature.inputs[0].shape == ("...",)


def test_the_release_is_the_producer(root):
    change(root, "</net>", '<rt_info><Runtime_version value="2026.4.1-1" /></rt_info></net>')
    assert inspect("openvino", root).producer == "OpenVINO 2026.4.1-1"


@pytest.mark.parametrize(
    ("names", "layer", "chosen"),
    [
        ({"a"}, "b", "a"),
        ({"b", "a"}, "c", "a"),
        ({"b", "a"}, "b", "b"),
        ({"a", "scores"}, "scores/sink_port_0", "scores"),
        (set(), "Result_7", "Result_7"),
    ],
)
def test_one_name_is_chosen(names, layer, chosen):
    assert primary_name(names, layer) == chosen


def test_commas_inside_names(root):
    change(root, 'name="scores/sink_port_0" type="Result"', r'name="r" output_names="a\,b" type="Result"')
    assert inspect("openvino", root).signature.outputs[0].name == "a,b"


def test_constants_lie_inside_the_weights(root):
    weights = root / "model" / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused = refusal(root)
    assert "constant 'logits_b'" in refused.message
    assert refused.problems[0].field == "logits_b"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('shape="64, 32"', 'shape="64, 33"', "the declared shape needs 8448"),
        ('shape="64, 32"', 'shape="64, 31"', "the declared shape needs 7936"),
        ('shape="64, 32"', 'shape="64, ?"', "whole numbers"),
        ('offset="0"', 'offset="-16"', "whole numbers"),
        ('offset="0"', 'offset="zero"', "no valid OpenVINO IR"),
        ('element_type="f32"', 'element_type="f31"', "no valid OpenVINO IR"),
        (
            'type="ReLU" version="opset1"',
            'type="Foo" version="acme"',
            "operator acme::Foo is not in a known operator set",
        ),
        ('type="Result"', 'type="ReLU"', "has no outputs"),
        ("<net ", "<html ", "truncated or no XML"),
        ("<layers>", "<layer>", "truncated or no XML"),
        ('version="11"', 'version="x"', "is XML but no OpenVINO IR"),
        ("<edges>", "<other>", "truncated or no XML"),
        ('to-layer="13"', 'to-layer="99"', "no valid OpenVINO IR"),
    ],
)
def test_wrong_irs_are_refused(root, old, new, reason):
    change(root, old, new)
    assert reason in refusal(root).message


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE net SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_and_document_types_are_refused(root, head):
    change(root, '<?xml version="1.0"?>', '<?xml version="1.0"?>' + head)
    assert "no XML that may be read" in refusal(root).message


@pytest.mark.parametrize("keep", [0, 0.01, 0.5, 0.99])
def test_truncated_xml_is_refused(root, keep):
    path = root / "model" / "model.xml"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    refusal(root)
