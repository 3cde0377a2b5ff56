"""Every target, on a network that was really trained and on inputs that are really digits."""

import re
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from modelyard_contracts.failures import Failure
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Tolerance
from modelyard_convert.errors import BadResult, NothingChanged, UnsupportedOperators
from modelyard_convert.toolchains import TARGETS, TOOLCHAINS, toolchain_of
from modelyard_convert.toolchains.openvino.program import unconverted
from modelyard_formats.table import runner
from modelyard_testkit.models import conv_net, model, openvino_ir, with_custom_operator

ACCURACY_COST = 0.02
ALL = sorted(TARGETS)


def accuracy(loaded: Any, digits: Any) -> float:
    name, output = loaded.signature.inputs[0], loaded.signature.outputs[0].name
    held_out = digits.images[1500:]
    top = [loaded.run({name.name: image[None].astype(name.dtype)})[output].argmax() for image in held_out]
    return float(np.mean(np.asarray(top) == digits.labels[1500:]))


@pytest.mark.parametrize("target", ALL)
def test_the_result_computes_the_same(bench: Any, digits: Any, target: str) -> None:
    request = bench.request(target)
    report = bench.convert(request)

    assert report.parity.verdict == "passed", report.parity.reason
    assert (report.parity.inputs, report.parity.samples) == ("calibration", 128)
    output = report.parity.outputs[0]
    assert output.exact or (output.top1_agree is not None and output.top1_agree >= 126)
    assert output.exact or (output.control_top1_agree is not None and output.control_top1_agree < 40)
    assert output.control_cosine < 0.5 < 0.99 < output.cosine
    assert report.changed > 0

    timing = report.benchmark
    assert timing.runs >= 10
    assert timing.result.median_ms > 0
    assert timing.result.p95_ms >= timing.result.median_ms
    assert (timing.threads, timing.batch) == (1, 1)
    assert timing.precision_hint

    form = TARGETS[target].result_format
    source = runner("onnx", request.source, threads=1)
    result = runner(form, request.result, threads=1)
    assert accuracy(result, digits) > accuracy(source, digits) - ACCURACY_COST
    config = PackageConfig.model_validate_json((request.result / "model" / "config.json").read_text())
    assert config.model_type == {"onnx": "ONNX", "openvino": "OpenVINO"}[form]
    assert config.labels == request.config.labels
    assert config.outputs[0].name == result.signature.outputs[0].name
    assert any(line == "==> converting to " + target for line in bench.lines)
    assert re.search(
        rf"took [\d.]+ s: loading the source \d+%, converting to {target} \d+%, .*same \d+%$", bench.lines[-1]
    )


def test_int8_makes_it_smaller_and_says_what_it_changed(bench: Any) -> None:
    report = bench.convert(bench.request("onnx-int8-dynamic"))
    assert report.changed == 2
    assert report.benchmark.result.size < report.benchmark.source.size / 2
    assert "2 MatMul/Gemm/LSTM nodes compute in int8 (the model has 2 Gemm" in "\n".join(bench.lines)


@pytest.mark.parametrize("options", [{"activation": "signed"}, {"calibration": "percentile"}, {"per_channel": False}])
def test_static_int8_options(bench: Any, options: dict[str, Any]) -> None:
    request = bench.request("onnx-int8-static", options={**options, "samples": 40})
    assert bench.convert(request).parity.verdict == "passed"
    assert "40 runs to calibrate" in "\n".join(bench.lines)
    made = onnx.load(request.result / "model" / "model.onnx")
    zeros = {each.data_type for each in made.graph.initializer if each.name.endswith("zero_point")}
    assert (TensorProto.UINT8 in zeros) == (options.get("activation") != "signed")


def test_a_result_imports_only_the_operator_sets_it_uses(bench: Any) -> None:
    for target in ("onnx-int8-static", "onnx-optimized"):
        request = bench.request(target)
        bench.convert(request)
        made = onnx.load(request.result / "model" / "model.onnx")
        assert [entry.domain for entry in made.opset_import] == [""]


def test_fp16_inputs_when_wanted(bench: Any) -> None:
    request = bench.request("onnx-fp16", options={"keep_io_types": False})
    report = bench.convert(request)
    assert report.inspection.signature.inputs[0].dtype == "float16"
    config = PackageConfig.model_validate_json((request.result / "model" / "config.json").read_text())
    assert config.preprocessing[0].dtype == "float16"


def test_convolutions_stay_as_they_are_in_dynamic_int8(bench: Any, tmp_path: Any) -> None:
    package = bench.package(onnx.load(conv_net(tmp_path / "net.onnx")))
    report = bench.convert(bench.request("onnx-int8-dynamic", package))
    assert report.changed == 1
    assert report.inspection.operators["Conv"] == 2


def test_openvino_ir_to_fp16(bench: Any, tmp_path: Any) -> None:
    package = tmp_path / "ir"
    openvino_ir(package / "model" / "model.xml")
    request = bench.request("openvino-fp16", package, source_format="openvino")
    report = bench.convert(request)
    assert report.parity.verdict == "inconclusive"
    assert report.changed == 4
    again = bench.request("openvino-fp16", request.result, source_format="openvino")
    with pytest.raises(NothingChanged):
        bench.convert(again)


@pytest.mark.parametrize("target", ["onnx-int8-dynamic", "onnx-int8-static", "onnx-fp16", "onnx-optimized"])
def test_no_change_is_a_failure(bench: Any, target: str) -> None:
    package = bench.package(model([helper.make_node("Softmax", ["image"], ["scores"], axis=-1)], {}, **PLAIN))
    with pytest.raises(NothingChanged, match="changed nothing"):
        bench.convert(bench.request(target, package))


def test_what_takes_a_weight_that_fp16_would_clamp_stays_in_fp32(bench: Any, digits: Any) -> None:
    huge = digits.weights["w2"].copy()
    huge[3, 4] = 7e4
    request = bench.request("onnx-fp16", bench.package(bench.classifier(w2=huge)))
    report = bench.convert(request)
    assert report.parity.verdict == "passed", report.parity.reason
    assert any("`w2` reaches 7e+04 and fp16 ends at 65504" in note for note in report.parity.notes)
    stored = {each.name: each for each in onnx.load(request.result / "model" / "model.onnx").graph.initializer}
    assert float(onnx.numpy_helper.to_array(stored["w2"]).max()) == 7e4
    assert stored["w1"].data_type == TensorProto.FLOAT16


def test_a_large_weight_that_fits_is_not_clamped(bench: Any, digits: Any) -> None:
    large = np.zeros_like(digits.weights["b2"])
    large[0] = 2e4  # the converter's own default would make 1e4 of it
    request = bench.request("onnx-fp16", bench.package(bench.classifier(b2=large)))
    bench.convert(request)
    stored = onnx.load(request.result / "model" / "model.onnx").graph.initializer
    assert max(float(onnx.numpy_helper.to_array(each).max()) for each in stored) == 20000


@pytest.mark.parametrize("target", ["onnx-optimized", "openvino-fp32"])
def test_an_operator_that_nobody_knows_is_named(bench: Any, tmp_path: Any, target: str) -> None:
    package = bench.package(onnx.load(with_custom_operator(tmp_path / "custom.onnx")))
    with pytest.raises(UnsupportedOperators, match=r"com\.acme::Foo") as caught:
        bench.convert(bench.request(target, package))
    assert caught.value.code == "ModelArts.3049"
    assert bench.lines == ["==> loading the source"]


def test_an_operator_that_openvino_does_not_know_is_named(bench: Any) -> None:
    shapes = {"inputs": {"image": [4, 4]}, "outputs": {"scores": []}}
    package = bench.package(model([helper.make_node("Det", ["image"], ["scores"])], {}, **shapes), samples=())
    with pytest.raises(UnsupportedOperators, match=r"the openvino toolchain cannot handle .*: Det"):
        bench.convert(bench.request("openvino-fp32", package))


def test_every_unconverted_operator_is_listed_once() -> None:
    report = "-- No conversion rule found for operations: com.acme.Bar, Det-17\n-- Conversion is failed for: Det-17\n"
    assert unconverted(report) == ("com.acme.Bar", "Det")
    assert unconverted("something else") == ()


def test_beyond_the_tolerance_it_fails_with_the_numbers(bench: Any) -> None:
    strict = Tolerance(max_rel_error=1e-9, min_cosine=0.999999999, min_top1_agreement=1)
    report = bench.convert(bench.request("onnx-int8-static", tolerance=strict))
    assert report.parity.verdict == "failed"
    assert "output scores: probability" in report.parity.reason
    assert report.parity.outputs[0].max_rel_error > 0
    assert report.benchmark.result.median_ms > 0


def test_noise_proves_nothing(bench: Any) -> None:
    report = bench.convert(bench.request("onnx-fp16", bench.package(samples=())))
    assert report.parity.verdict == "inconclusive"
    assert report.parity.inputs == "seeded"
    assert "calibration_data/*.npy" in "\n".join(bench.lines)


@pytest.mark.parametrize("real", [True, False])
def test_outputs_that_hardly_depend_on_the_input_prove_nothing(bench: Any, digits: Any, real: bool) -> None:
    """As of an untrained network: the result is as close to every other sample's reference as to its own."""
    untrained = bench.classifier(w1=digits.weights["w1"] * np.float32(1e-3))
    package = bench.package(untrained) if real else bench.package(untrained, samples=())
    report = bench.convert(bench.request("onnx-int8-dynamic", package, options={"per_channel": False}))
    output = report.parity.outputs[0]
    assert report.parity.verdict == "inconclusive"
    assert ("hardly closer" if real else "on noise") in report.parity.reason
    assert output.cosine > 0.9999
    assert output.control_cosine > 0.9999
    assert output.top1_agree == output.control_top1_agree == report.parity.samples


def test_a_source_that_does_not_load_is_no_crash(bench: Any) -> None:
    package = bench.package()
    path = package / "model" / "digits.onnx"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(Failure, match="does not load"):
        bench.convert(bench.request("onnx-fp16", package))


def test_a_damaged_result_does_not_pass_the_gate(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import modelyard_convert.toolchains.onnx.optimising as chain

    def cut(path: Any, result: Any, without: Any = ()) -> None:
        made = onnx.load(path)
        del made.graph.node[-1]
        onnx.save(made, result)

    monkeypatch.setattr(chain, "run_basic_optimiser", cut)
    with pytest.raises(BadResult, match="scores"):
        bench.convert(bench.request("onnx-optimized"))


def test_the_tables_are_whole() -> None:
    assert set(ALL) == {
        "onnx-int8-dynamic", "onnx-int8-static", "onnx-fp16", "onnx-optimized", "openvino-fp32", "openvino-fp16",
    }  # fmt: skip
    assert [toolchain_of(target).name for target in ALL] == ["onnx"] * 4 + ["openvino"] * 2
    for chain in TOOLCHAINS.values():
        assert chain.job.subject == f"modelyard.job.convert.{chain.name}"
    static = TARGETS["onnx-int8-static"]
    assert static.option_values({"samples": 7})["samples"] == 7
    assert static.option_values({})["activation"] == "unsigned"
    assert "entropy" not in str(static.options_schema)


PLAIN = {"inputs": {"image": ["N", 1, 8, 8]}, "outputs": {"scores": ["N", 1, 8, 8]}}
