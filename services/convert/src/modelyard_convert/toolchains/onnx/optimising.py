"""ONNX simplified by onnxruntime's BASIC optimisations: only these are portable."""

from pathlib import Path

import onnx
import onnxruntime

from modelyard_convert.children.protocol import BadResult, Changes, Work
from modelyard_convert.toolchains.onnx.graph import domains, is_large, operators, tidied
from modelyard_convert.toolchains.onnx.preparing import with_weights_apart

GROWTH = 1.1
ROOM = 4096  # bytes; names and types that every result gains
DATA = "model.onnx.data"


def optimise(work: Work) -> Changes:
    source = with_weights_apart(work)
    result = work.result_file("model.onnx")
    run_basic_optimiser(source, result)
    notes: tuple[str, ...] = ()
    if (grown := _bytes(result)) > GROWTH * _bytes(source) + ROOM:  # weights that were stored small were unpacked
        for path in (result, result.with_name(DATA)):
            path.unlink(missing_ok=True)
        run_basic_optimiser(source, result, ("ConstantFolding",))
        notes = (f"constants stay as they are stored: folded, {_bytes(source)} bytes became {grown}",)
    before = onnx.load(source, load_external_data=False)
    after = tidied(result)
    foreign = domains(after) - domains(before)
    if foreign:
        raise BadResult(f"the optimiser put in operators of {', '.join(sorted(foreign))}")
    old, new = operators(before), operators(after)
    count = sum(((old - new) + (new - old)).values())
    what = f"{sum(old.values())} nodes became {sum(new.values())}, {count} of them removed or put in"
    return Changes(count, what, notes)


def _bytes(model: Path) -> int:
    return sum(file.stat().st_size for file in model.parent.iterdir() if file.is_file())


def run_basic_optimiser(source: Path, result: Path, without: tuple[str, ...] = ()) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(result)
    options.log_severity_level = 3
    if is_large(source):
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", DATA)
    onnxruntime.InferenceSession(
        str(source), options, providers=["CPUExecutionProvider"], disabled_optimizers=[*without]
    )
