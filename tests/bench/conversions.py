"""Conversions with proof and benchmark: seconds of a small model, and of one the size of ResNet-50 beside the bare call
of the library that quantises it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from figures import Aim, Table, load, median
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Tolerance
from modelyard_convert.child_request import CalibrationFolder, ConversionRequest
from modelyard_convert.conversion import CHILDREN, Converter
from modelyard_convert.toolchains import TARGETS
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import Limits

AIM_SMALL, AIM_LARGE = 2.0, 1.5
SAMPLES = 100
LIMITS = Limits(memory_bytes=8 << 30, wall_seconds=1800, cpu_seconds=3600, file_bytes=4 << 30)
STAGES = ((64, 256, 3), (128, 512, 4), (256, 1024, 6), (512, 2048, 3))
"""Of ResNet-50: width, output channels, blocks."""


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    rounds, pixels = (2, 32) if quick else (5, 96)
    children = PreloadedPython(CHILDREN, LIMITS)
    small = Table("Conversions of a small classifier", ("target", "seconds", "load", "where the time goes"))
    package = _package(folder / "small", _classifier(), (300, 64))
    try:
        for target in TARGETS:
            made = [await _converted(children, package, target, folder) for _ in range(rounds)]
            seconds = median([each for each, _ in made])
            small.rows.append((target, seconds, load(), made[-1][1]))
        large, aim = await _large(children, folder, pixels)
    finally:
        await children.stop()
    small.notes.append(
        f"17,000 weights, 300 samples of 64 numbers; median of {rounds}, with the preloaded process there."
    )
    worst = max(float(row[1]) for row in small.rows)
    aims = [Aim("a small model converted with proof", f"≤ {AIM_SMALL:g} s", f"{worst:.2f} s", worst <= AIM_SMALL), aim]
    return [small, large], aims


async def _large(children: PreloadedPython, folder: Path, pixels: int) -> tuple[Table, Aim]:
    target = "onnx-int8-static"
    package = _package(folder / "large", _residual(), (SAMPLES, 3, pixels, pixels))
    began = time.monotonic()
    quantize_static(
        package / "model" / "model.onnx",
        folder / "bare.onnx",
        _Reader(np.load(package / "calibration_data" / "samples.npy")),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    bare = time.monotonic() - began
    whole, shares = await _converted(children, package, target, folder)
    table = Table("A network the size of ResNet-50 to int8", ("what", "seconds", "load", "where the time goes"))
    table.rows += [("quantize_static alone", bare, load(), "–"), (f"{target} with proof", whole, load(), shares)]
    table.notes.append(f"25 million seeded weights, {SAMPLES} seeded images of {pixels} × {pixels} to calibrate.")
    ratio = whole / bare
    aim = Aim(
        "ResNet-50 size to static int8", f"≤ {AIM_LARGE:g}× the library's call", f"{ratio:.2f}×", ratio <= AIM_LARGE
    )
    return table, aim


async def _converted(children: PreloadedPython, package: Path, target: str, folder: Path) -> tuple[float, str]:
    """Seconds, and the shares as the log tells them."""
    place = folder / f"run-{time.monotonic_ns()}"
    row = TARGETS[target]
    options = {"samples": SAMPLES} if row.needs_calibration else {}
    config = PackageConfig(model_algorithm="bench", model_type="ONNX")
    request = ordered(package, place, target, config, row.tolerance, options)
    lines: list[str] = []

    async def on_line(line: str) -> None:
        lines.append(line)

    began = time.monotonic()
    await Converter(children.run, LIMITS)(request, on_line=on_line)
    seconds = time.monotonic() - began
    return seconds, re.sub(r"^took [\d.]+ s: ", "", lines[-1])


def ordered(
    package: Path, place: Path, target: str, config: PackageConfig, tolerance: Tolerance, options: dict[str, Any]
) -> ConversionRequest:
    """Of an ONNX package with calibration data, to be done in the folder `place`."""
    (place / "scratch").mkdir(parents=True)
    return ConversionRequest(
        target=target,
        options=TARGETS[target].option_values(options),
        tolerance=tolerance,
        source_format="onnx",
        config=config,
        source=package,
        result=place / "result",
        scratch=place / "scratch",
        calibration=CalibrationFolder(kind="arrays", path=package / "calibration_data"),
        threads=2,
    )


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the library is not typed
    def __init__(self, samples: Any) -> None:
        self._rest: Iterator[Any] = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        sample = next(self._rest, None)
        return None if sample is None else {"x": sample[None]}


def _package(root: Path, model: Any, shape: tuple[int, ...]) -> Path:
    (root / "model").mkdir(parents=True)
    (root / "calibration_data").mkdir()
    onnx.save(model, root / "model" / "model.onnx")
    samples = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    np.save(root / "calibration_data" / "samples.npy", samples)
    return root


def _classifier() -> Any:
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),  # for an optimiser
        helper.make_node("Gemm", ["same", "w1", "b1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w2", "b2"], ["c"]),
        helper.make_node("Softmax", ["c"], ["y"]),
    ]
    shapes = {"w1": (64, 224), "b1": (224,), "w2": (224, 10), "b2": (10,)}
    return _model(nodes, shapes, ["n", 64])


def _residual() -> Any:
    """Bottleneck blocks without normalisation, as exporters leave them."""
    nodes: list[Any] = []
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(source: str, channels: int, width: int, kernel: int, stride: int) -> str:
        name = f"c{len(nodes)}"
        shapes[f"{name}.w"] = (width, channels, kernel, kernel)
        shapes[f"{name}.b"] = (width,)
        pads = [kernel // 2] * 4
        nodes.append(
            helper.make_node("Conv", [source, f"{name}.w", f"{name}.b"], [name], strides=[stride] * 2, pads=pads)
        )
        return name

    def then(kind: str, *sources: str, **attributes: Any) -> str:
        name = f"{kind}{len(nodes)}"
        nodes.append(helper.make_node(kind, [*sources], [name], **attributes))
        return name

    at, channels = then("Relu", conv("x", 3, 64, 7, 2)), 64
    at = then("MaxPool", at, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, (width, out, blocks) in enumerate(STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = then("Relu", conv(at, channels, width, 1, 1))
            inner = then("Relu", conv(inner, width, width, 3, stride))
            inner = conv(inner, width, out, 1, 1)
            beside = at if block else conv(at, channels, out, 1, stride)
            at, channels = then("Relu", then("Add", inner, beside)), out
    at = then("Flatten", then("GlobalAveragePool", at))
    shapes |= {"fc.w": (2048, 1000), "fc.b": (1000,)}
    nodes.append(helper.make_node("Gemm", [at, "fc.w", "fc.b"], ["y"]))
    return _model(nodes, shapes, ["n", 3, "h", "w"])


def _model(nodes: list[Any], shapes: dict[str, tuple[int, ...]], x: list[Any]) -> Any:
    """Weights keep the size of what goes through them."""
    random = np.random.default_rng(3)
    weights = []
    for name, shape in shapes.items():
        scale = 0.5 * (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
        weights.append(numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name))
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, x)],
        [helper.make_tensor_value_info("y", kind, None)],
        weights,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
