"""Engines that read or run models are loaded by children only (docs/confinement.md), never by a service itself."""

import json
import subprocess
import sys

import pytest

ENGINES = {"onnx", "onnxruntime", "openvino", "sklearn", "skops", "joblib", "torch", "tensorflow", "matplotlib"}
LOADED = "import sys, json, importlib; importlib.import_module(sys.argv[1]); print(json.dumps(list(sys.modules)))"


def loaded_by(module: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LOADED, module], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout)) & ENGINES


@pytest.mark.parametrize("service", ["import", "convert", "evaluate", "version", "publish", "gateway"])
def test_a_service_loads_no_engine(service: str) -> None:
    assert loaded_by(f"modelyard_{service}.bootstrap") == set()


def test_a_child_does() -> None:
    assert "onnx" in loaded_by("modelyard_formats.kinds.onnx.inspection")
