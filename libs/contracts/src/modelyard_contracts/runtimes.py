"""The table that `runtime` of a config.json is checked against, and what templates run on (docs/templates.md).

Names of the classic engines are those that existing packages carry; today's follow the same pattern,
`<engine><version>-python<version>-<processor>`. A plain `python3.12` means the engine's newest version on any of its
processors. Used by the package checker, the version service and the HTTP interface.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Processor = Literal["cpu", "gpu", "npu"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """One row. `runtime` is unique for its `model_type`; `python` is `3.12`, None where no Python runs."""

    runtime: str
    model_type: str
    engine: str
    engine_version: str | None
    python: str | None
    processors: tuple[Processor, ...]


_CPU: Final[tuple[Processor, ...]] = ("cpu",)
_GPU: Final[tuple[Processor, ...]] = ("gpu",)
_BOTH: Final[tuple[Processor, ...]] = ("cpu", "gpu")
_ANY: Final[tuple[Processor, ...]] = ("cpu", "gpu", "npu")
_TODAY: Final = ("3.11", "3.12")
_X86: Final = "ubuntu_18.04-x86_64"


def _plain(
    model_type: str,
    engine: str,
    version: str | None,
    pythons: tuple[str, ...],
    processors: tuple[Processor, ...] = _CPU,
) -> Iterator[Runtime]:
    for python in pythons:
        yield Runtime(f"python{python}", model_type, engine, version, python, processors)


def _each(
    model_type: str,
    engine: str,
    short: str,
    version: str,
    *,
    pythons: tuple[str, ...],
    processors: tuple[Processor, ...],
) -> Iterator[Runtime]:
    """One row for each Python on each processor: `tf1.13-python3.7-gpu`."""
    for python in pythons:
        for processor in processors:
            name = f"{short}{version}-python{python}-{processor}"
            yield Runtime(name, model_type, engine, version, python, (processor,))


def _today(
    model_type: str, engine: str, short: str, version: str, *,
    processors: tuple[Processor, ...] = _CPU, pythons: tuple[str, ...] = _TODAY,
) -> Iterator[Runtime]:  # fmt: skip
    yield from _plain(model_type, engine, version, pythons, processors)
    yield from _each(model_type, engine, short, version, pythons=pythons, processors=processors)


def _tensorflow() -> Iterator[Runtime]:
    kind = engine = "TensorFlow"
    yield from _plain(kind, engine, "1.8.0", ("2.7", "3.6"))
    yield from _each(kind, engine, "tf", "1.13", pythons=("2.7", "3.6", "3.7"), processors=_BOTH)
    yield from _each(kind, engine, "tf", "2.1", pythons=("3.7",), processors=_BOTH)
    for version, cuda, python, system in (
        ("1.15.5", "11.4", "3.8", "ubuntu_20.04-x86_64"),
        ("2.1.0", "10.1", "3.7", _X86),
        ("2.6.0", "11.2", "3.7", _X86),
    ):
        yield Runtime(f"tensorflow_{version}-cuda_{cuda}-py_{python}-{system}", kind, engine, version, python, _BOTH)
    yield from _today(kind, engine, "tf", "2.20", processors=_BOTH)


def _pytorch() -> Iterator[Runtime]:
    kind = engine = "PyTorch"
    yield from _plain(kind, engine, "1.0", ("2.7", "3.6", "3.7"))
    yield Runtime("pytorch1.4-python3.7", kind, engine, "1.4", "3.7", _CPU)
    for version, cuda in (("1.8.0", "10.2"), ("1.8.2", "11.1")):
        yield Runtime(f"pytorch_{version}-cuda_{cuda}-py_3.7-{_X86}", kind, engine, version, "3.7", _BOTH)
    ascend = "pytorch_1.11.0-cann_7.0.1-py_3.9-euler_2.10.7-aarch64-snt9b"
    yield Runtime(ascend, kind, engine, "1.11.0", "3.9", ("npu",))
    yield from _today(kind, engine, "pytorch", "2.8", processors=_BOTH)


def _caffe() -> Iterator[Runtime]:
    for python in ("2.7", "3.6"):
        yield Runtime(f"python{python}", "Caffe", "Caffe", "1.0.0", python, _CPU)
        yield Runtime(f"python{python}-cpu", "Caffe", "Caffe", "1.0.0", python, _CPU)
        yield Runtime(f"python{python}-gpu", "Caffe", "Caffe", "1.0.0", python, _GPU)


def _mindspore() -> Iterator[Runtime]:
    kind = engine = "MindSpore"
    yield Runtime("ascend-aarch64-npu", kind, "Ascend", None, None, ("npu",))
    ascend = "mindspore_1.9.0-cann_6.0.1-py_3.7-euler_2.9.9-x86_64-snt3p-300i"
    yield Runtime(ascend, kind, engine, "1.9.0", "3.7", ("npu",))
    yield Runtime(f"mindspore_1.7.0-cuda_10.1-py_3.7-{_X86}", kind, engine, "1.7.0", "3.7", _BOTH)
    yield Runtime(f"mindspore_1.2.0-py_3.7-cuda_10.1-{_X86}", kind, engine, "1.2.0", "3.7", _BOTH)
    yield from _today(kind, engine, "mindspore", "2.6", processors=_ANY, pythons=("3.11",))


def _rows() -> Iterator[Runtime]:
    yield from _tensorflow()
    yield from _pytorch()
    yield from _plain("MXNet", "MXNet", "1.2.1", ("2.7", "3.6", "3.7"), _BOTH)
    yield from _caffe()
    yield from _plain("Spark_MLlib", "Spark MLlib", "2.3.2", ("2.7", "3.6"))
    yield from _today("Spark_MLlib", "Spark MLlib", "spark", "4.0")
    yield from _plain("Scikit_Learn", "scikit-learn", "0.18.1", ("2.7", "3.6"))
    yield from _today("Scikit_Learn", "scikit-learn", "sklearn", "1.9")
    yield from _plain("XGBoost", "XGBoost", "0.80", ("2.7", "3.6"))
    yield from _today("XGBoost", "XGBoost", "xgboost", "3.0", processors=_BOTH)
    yield from _mindspore()
    yield from _today("LightGBM", "LightGBM", "lightgbm", "4.6", processors=_BOTH)
    yield from _today("ONNX", "ONNX Runtime", "onnxruntime", "1.32", processors=_ANY)
    yield from _today("OpenVINO", "OpenVINO", "openvino", "2026.4", processors=_ANY)
    yield from _today("TFLite", "LiteRT", "litert", "2.0", processors=_BOTH)
    yield from _plain("Custom", "Custom", None, ("3.6", "3.7", "3.8", "3.9", "3.10", *_TODAY), _ANY)


RUNTIMES: Final[tuple[Runtime, ...]] = tuple(_rows())
"""Image has none: its engine is in the image. Template has none: a version made from one has its template's type."""


def runtimes_of(model_type: str) -> tuple[Runtime, ...]:
    return tuple(row for row in RUNTIMES if row.model_type == model_type)


def runtime_named(model_type: str, runtime: str) -> Runtime | None:
    return next((row for row in RUNTIMES if (row.model_type, row.runtime) == (model_type, runtime)), None)
