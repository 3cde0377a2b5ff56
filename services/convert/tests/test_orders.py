"""Every rule that is checked before a long run."""

from typing import Any

import pytest

from modelyard_contracts.calls.evaluate import DatasetView
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import ConversionOrder, Inspection, Location, Signature, Tolerance
from modelyard_convert import orders
from modelyard_convert.toolchains import TARGETS


def order(target: str = "onnx-int8-static", **options: Any) -> ConversionOrder:
    return ConversionOrder(target=target, options=options)


def dataset(**changes: Any) -> DatasetView:
    values = {
        "dataset_id": "d",
        "name": "held-out",
        "kind": "npz",
        "location": Location(bucket="datasets", prefix="d/"),
        "hidden": False,
        "classes": {},
        "samples": 10,
        "size": 100,
        "digest": "sha256:0",
        "created_at": 1,
        "created_by": "alice",
    }
    return DatasetView(**{**values, **changes})


def test_unknown_targets_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Failure, match="no conversion target `ascend-om`; there are onnx-int8-dynamic") as caught:
        orders.target_of(order("ascend-om"))
    assert caught.value.code == "ModelArts.3052"
    assert caught.value.problems[0].field == "order.target"


def test_every_wrong_option_is_named() -> None:
    with pytest.raises(Failure) as caught:
        orders.target_of(order(samples="many", activation="uint4", unheard=1, of=2))
    fields = {problem.field: problem for problem in caught.value.problems}
    names = {"samples", "activation", "unheard", "of"}
    assert set(fields) == {f"order.options.{name}" for name in names}
    assert "'unsigned', 'signed'" in str(fields["order.options.activation"].rule)
    assert caught.value.code == "ModelArts.3037"
    assert all(field in caught.value.message for field in fields if field)


def test_entropy_calibration_is_not_offered() -> None:
    with pytest.raises(Failure, match=r"order\.options\.calibration"):
        orders.target_of(order(calibration="entropy"))


def test_good_options_are_taken() -> None:
    assert orders.target_of(order(samples=5, activation="signed")).target == "onnx-int8-static"
    wider = Tolerance(max_rel_error=1, min_cosine=0, min_top1_agreement=0)
    target = TARGETS["onnx-fp16"]
    plain = Inspection(format="onnx", signature=Signature(inputs=(), outputs=()), operators={"MatMul": 2})
    assert orders.tolerance_of(ConversionOrder(target="onnx-fp16", tolerance=wider), target, plain) == wider
    assert orders.tolerance_of(order("onnx-fp16"), target, plain) == target.tolerance


def test_what_rounds_to_int8_itself_may_round_the_other_way() -> None:
    rounding = Inspection(format="onnx", signature=Signature(inputs=(), outputs=()), operators={"MatMulInteger": 2})
    exact, int8 = TARGETS["openvino-fp32"], TARGETS["onnx-int8-static"]
    assert orders.tolerance_of(order("openvino-fp32"), exact, rounding).max_rel_error == 0.05
    assert orders.tolerance_of(order(int8.target), int8, rounding) == int8.tolerance
    strict = ConversionOrder(target="openvino-fp32", tolerance=exact.tolerance)
    assert orders.tolerance_of(strict, exact, rounding) == exact.tolerance


def test_only_published_models_of_the_right_format(yard: Any) -> None:
    static = TARGETS["onnx-int8-static"]
    with pytest.raises(Failure, match=r"digits 0\.0\.1 is publishing; only a published version"):
        orders.source_of(yard.publish(model_status="publishing"), static)
    version = yard.publish()
    ir = version.artifacts[0].model_copy(update={"format": "openvino"})
    with pytest.raises(Failure, match="onnx-int8-static converts onnx; the model is openvino") as caught:
        orders.source_of(version.model_copy(update={"artifacts": (ir,)}), static)
    assert caught.value.code == "ModelArts.3047"
    assert orders.source_of(version.model_copy(update={"artifacts": (ir,)}), TARGETS["openvino-fp16"]) == ir
    with pytest.raises(Failure, match="no model file"):
        orders.source_of(version.model_copy(update={"artifacts": ()}), static)


@pytest.mark.parametrize("name", ["QuantizeLinear", "com.microsoft::QLinearAdd", "com.microsoft::MatMulNBits"])
def test_a_quantised_model_is_refused_for_int8(yard: Any, name: str) -> None:
    version = yard.publish()
    inspection = version.artifacts[0].inspection.model_copy(update={"operators": {"Gemm": 1, name: 2}})
    quantised = version.artifacts[0].model_copy(update={"inspection": inspection})
    version = version.model_copy(update={"artifacts": (quantised,)})
    for target in ("onnx-int8-static", "onnx-int8-dynamic"):
        with pytest.raises(Failure, match=f"already quantised .*{name}") as caught:
            orders.source_of(version, TARGETS[target])
        assert caught.value.code == "ModelArts.3048"
    assert orders.source_of(version, TARGETS["onnx-optimized"]) == quantised


def test_static_int8_says_where_calibration_data_belong(yard: Any) -> None:
    static = TARGETS["onnx-int8-static"]
    bare = yard.publish(yard.bench.package(samples=()))
    source = bare.artifacts[0]
    with pytest.raises(Failure, match=r"calibration_data/\*\.npy.*order\.calibration_dataset_id"):
        orders.check_calibration(bare, source, static, None)
    orders.check_calibration(bare, source, static, dataset())
    orders.check_calibration(bare, source, TARGETS["onnx-fp16"], None)
    packed = yard.publish()
    orders.check_calibration(packed, packed.artifacts[0], static, None)


def test_which_datasets_calibrate(yard: Any) -> None:
    version, target = yard.publish(), TARGETS["onnx-fp16"]
    source = version.artifacts[0]
    with pytest.raises(Failure, match="held-out is hidden"):
        orders.check_calibration(version, source, target, dataset(hidden=True))
    orders.check_calibration(version, source, target, dataset(kind="image-folder"))
    plain = version.model_copy(update={"config": version.config.model_copy(update={"preprocessing": ()})})
    with pytest.raises(Failure, match="no `preprocessing`"):
        orders.check_calibration(plain, source, target, dataset(kind="image-folder"))
