"""The rules of `config.json` that a user meets."""

import pytest
from pydantic import ValidationError

from modelyard_contracts.package import PackageConfig

GOOD = {"model_algorithm": "image_classification", "model_type": "ONNX"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_algorithm": ""}, "model_algorithm"),
        ({"model_algorithm": "图像"}, "model_algorithm"),
        ({"model_algorithm": "a&b"}, "model_algorithm"),
        ({"model_type": "Onnx"}, "model_type"),
        ({"labels": ["a", "a"]}, "labels"),
        ({"unknown": 1}, "unknown"),
        ({"metrics": {"f1": 1.2}}, "metrics.f1"),
        ({"preprocessing": [{"size": [8, 8], "std": [0]}]}, "preprocessing.0"),
        ({"preprocessing": [{"size": [8, 8], "mean": [0, 0]}]}, "preprocessing.0"),
        ({"dependencies": [{"packages": [{"package_name": "a", "restraint": "EXACT"}]}]}, "dependencies.0.packages.0"),
    ],
)
def test_a_broken_rule_names_its_field(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PackageConfig.model_validate({**GOOD, **change})
    assert named in {".".join(map(str, error["loc"])) for error in refused.value.errors()}


def test_chinese_labels_are_welcome() -> None:
    assert PackageConfig.model_validate({**GOOD, "labels": ["猫", "狗"]}).labels == ("猫", "狗")
