"""What one run of a model takes, found out of shapes, names and runs, or declared: real models, real runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.child_request import CalibrationFolder
from modelyard_convert.children import arrays
from modelyard_convert.children.axes import supposed
from modelyard_convert.children.requests import SampleReport, SampleRequest
from modelyard_convert.children.sample import sample
from modelyard_convert.errors import CalibrationProblem

FEATURES, WIDTH, LAYERS = 8, 6, 1
RANDOM = np.random.default_rng(3)
Axis = int | str | None


def weights(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32) * 0.5


def network(nodes: list[Any], inputs: dict[str, list[Axis]], outputs: dict[str, list[Axis]], **initial: Any) -> Any:
    def info(name: str, shape: list[Axis]) -> Any:
        kind = TensorProto.INT64 if name in ("ids", "rate") else TensorProto.FLOAT
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        nodes,
        "g",
        [info(*each) for each in inputs.items()],
        [info(*each) for each in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initial.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def recurrent(x: list[Axis], h: list[Axis] | None) -> Any:
    """Time first, as ONNX has it."""
    states = [""] * 2 + ["h"] if h else []
    initial = {"w": weights(1, WIDTH, FEATURES), "r": weights(1, WIDTH, WIDTH)}
    rnn = helper.make_node("RNN", ["x", "w", "r", *states], ["y", "h2"], hidden_size=WIDTH)
    inputs = {"x": x} | ({"h": h} if h else {})
    return network([rnn], inputs, {"y": [x[0], LAYERS, x[1], WIDTH], "h2": [LAYERS, x[1], WIDTH]}, **initial)


def linear(*scalars: str, x: Axis = "n") -> Any:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"])]
    nodes += [helper.make_node("Cast", ["rate"], ["float"], to=TensorProto.FLOAT)] * bool(scalars)
    nodes += [helper.make_node("Mul", ["a", "float"], ["y"])] if scalars else [helper.make_node("Tanh", ["a"], ["y"])]
    inputs: dict[str, list[Axis]] = {"x": [x, FEATURES]} | {name: [] for name in scalars}
    return network(nodes, inputs, {"y": [x, WIDTH]}, w=weights(FEATURES, WIDTH))


Sampled = Callable[..., tuple[SampleReport, list[dict[str, Any]], str]]


@pytest.fixture
def sampled(tmp_path: Path) -> Sampled:
    def ask(made: Any, files: dict[str, Any], *, inputs: Any = (), calibrate: int = 0) -> Any:
        root, lines = tmp_path / "package", list[str]()
        (root / "model").mkdir(parents=True)
        onnx.checker.check_model(made, full_check=True)
        onnx.save(made, root / "model" / "model.onnx")
        data = root / "calibration_data"
        data.mkdir()
        for name, value in files.items():
            np.savez(data / f"{name}.npz", **value) if isinstance(value, dict) else np.save(data / name, value)
        request = SampleRequest(
            format="onnx",
            root=root,
            threads=1,
            config=PackageConfig(model_algorithm="other", model_type="ONNX", inputs=tuple(inputs)),
            folder=CalibrationFolder(kind="arrays", path=data) if files else None,
            calibrate=calibrate,
            calibration=tmp_path / "calibration.npz",
            proof=tmp_path / "proof.npz",
        )
        report = sample(request, lines.append)
        names = [spec.name for spec in report.signature.inputs]
        columns = arrays.columns(request.proof, report.prove, len(names))
        runs = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        return report, runs, "\n".join(lines)

    return ask


def shapes(run: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in run.items()}


def test_a_scalar_is_given_in_every_file(sampled: Sampled) -> None:
    files = {f"{k:02}": {"x": weights(1, FEATURES), "rate": np.int64(k)} for k in range(20)}
    report, runs, told = sampled(linear("rate"), files)
    assert (report.prove, report.batch, report.output_batch_axes) == (20, 1, (0,))
    assert sorted(int(run["rate"]) for run in runs) == list(range(20))
    assert shapes(runs[0]) == {"x": (1, FEATURES), "rate": ()}
    assert "`x` 0, `rate` none" in told


def test_a_scalar_once_for_many_rows_or_one_for_each(sampled: Sampled, tmp_path: Path) -> None:
    files = {
        "same": {"x": weights(5, FEATURES), "rate": np.int64(7)},
        "each": {"x": weights(3, FEATURES), "rate": np.arange(3)},
    }
    report, runs, _ = sampled(linear("rate"), files)
    assert (report.prove, report.together) == (
        8 - 2 if int(runs[0]["rate"]) == 7 else 8,
        3 if int(runs[0]["rate"]) == 7 else 0,
    )
    assert sorted({int(run["rate"]) for run in runs}) == [0, 1, 2, 7]
    assert all(shapes(run) == {"x": (1, FEATURES), "rate": ()} for run in runs[1:])


def test_a_state_has_its_batch_behind_its_layers(sampled: Sampled) -> None:
    made = recurrent(["time", "batch", FEATURES], [LAYERS, "batch", WIDTH])
    files = {f"{k}": {"x": weights(4 + k % 2, 3, FEATURES), "h": weights(LAYERS, 3, WIDTH)} for k in range(4)}
    report, runs, _ = sampled(made, files)
    assert (report.prove, report.together) == (10, 3)
    assert report.output_batch_axes == (2, 1)
    assert report.inputs_vary
    assert shapes(runs[0])["h"] == (LAYERS, 3, WIDTH)
    assert {shapes(run)["h"] for run in runs[1:]} == {(LAYERS, 1, WIDTH)}
    assert {shapes(run)["x"] for run in runs[1:]} == {(4, 1, FEATURES), (5, 1, FEATURES)}


def test_time_before_batch_without_names_is_found_by_running(sampled: Sampled) -> None:
    report, runs, told = sampled(recurrent([None, None, FEATURES], None), {"a.npy": weights(9, 10, FEATURES)})
    assert "`x` 1" in told
    assert (report.prove, report.together) == (8, 3)
    assert all(shapes(run) == {"x": (9, 1 if place else 3, FEATURES)} for place, run in enumerate(runs))
    assert report.output_batch_axes == (2, 1)


def test_a_sequence_without_batch_is_one_sample_a_file(sampled: Sampled) -> None:
    files = {f"{k}.npy": weights(5 + k, 1, FEATURES) for k in range(3)}
    report, runs, _ = sampled(recurrent(["steps", 1, FEATURES], None), files)
    assert sorted(len(run["x"]) for run in runs) == [5, 6, 7]
    assert report.inputs_vary


def test_rows_that_influence_one_another_are_no_items(sampled: Sampled) -> None:
    files = {f"{k}.npy": weights(5, 1, FEATURES) for k in range(3)}
    report, _, _ = sampled(recurrent(["n", 1, FEATURES], None), files)
    assert report.prove == 3
    assert report.notes == (
        "rows influence one another along what looks like the batch axis: `x` 0; every file is one sample",
    )


@pytest.mark.parametrize("files", [1, 6])
def test_a_fixed_sequence_keeps_its_order(sampled: Sampled, files: int) -> None:
    """As one file behind the other, or each sequence in its own."""
    steps = np.arange(6 * 5 * FEATURES, dtype=np.float32).reshape(30, 1, FEATURES) / 100
    made = recurrent([5, 1, FEATURES], None)
    report, runs, _ = sampled(made, {f"{k}.npy": each for k, each in enumerate(np.split(steps, files))})
    assert (report.prove, report.batch) == (6, 1)
    assert {float(run["x"].flat[0]) for run in runs} == {float(steps[5 * k].flat[0]) for k in range(6)}
    assert all((np.diff(run["x"][:, 0, 0]) > 0).all() for run in runs)


def test_a_fixed_batch_is_made_of_any_items(sampled: Sampled) -> None:
    report, _, _ = sampled(linear(x=4), {"a.npy": weights(12, FEATURES)})
    assert (report.prove, report.batch, report.output_batch_axes) == (3, 4, (0,))
    assert not report.notes


def test_runs_one_behind_the_other(sampled: Sampled) -> None:
    made = recurrent(["time", 1, FEATURES], [LAYERS, 1, WIDTH])
    report, runs, _ = sampled(made, {"all": {"x": weights(7, 4, 1, FEATURES), "h": weights(7, LAYERS, 1, WIDTH)}})
    assert report.prove == 7
    assert shapes(runs[0]) == {"x": (4, 1, FEATURES), "h": (LAYERS, 1, WIDTH)}


def test_what_is_declared_is_not_guessed(sampled: Sampled) -> None:
    made = linear(x="n")
    whole = [{"name": "x", "batched": False}]
    report, runs, _ = sampled(made, {"0.npy": weights(5, FEATURES), "1.npy": weights(5, FEATURES)}, inputs=whole)
    assert report.prove == 2
    assert shapes(runs[0]) == {"x": (5, FEATURES)}


def test_different_numbers_are_told(sampled: Sampled) -> None:
    made = recurrent(["time", "batch", FEATURES], [LAYERS, "batch", WIDTH])
    files = {"a": {"x": weights(4, 3, FEATURES), "h": weights(LAYERS, 2, WIDTH)}}
    with pytest.raises(CalibrationProblem, match="different numbers of samples: `x` 3, `h` 2"):
        sampled(made, files)


def pooled(kernel: int) -> Any:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[kernel, kernel])
    return network([node], {"x": ["n", 3, "height", "width"]}, {"y": ["n", 3, "h", "w"]})


def test_open_axes_without_data_take_a_size_that_runs(sampled: Sampled) -> None:
    report, runs, _ = sampled(pooled(40), {})
    assert shapes(runs[0]) == {"x": (1, 3, 64, 64)}
    assert report.kind == "seeded"


def test_open_axes_that_nothing_fits_are_asked_for(sampled: Sampled) -> None:
    words = r"does not run on made-up inputs \(x float32 \[n, 3, height, width\]\)(?s:.*)config.json(?s:.*)\"shape\""
    with pytest.raises(CalibrationProblem, match=words):
        sampled(pooled(600), {})


def test_a_declared_shape_is_taken(sampled: Sampled) -> None:
    _, runs, _ = sampled(pooled(600), {}, inputs=[{"name": "x", "shape": [1, 3, 600, 700]}])
    assert shapes(runs[0]) == {"x": (1, 3, 600, 700)}


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("num_sequences", 0),
        ("calendar_days", 0),
        ("timeseries", 0),
        ("Zeilen", 0),
        ("sequence", None),
        ("max_seq_len", None),
        ("seqLen", None),
        ("time_steps", None),
        ("num_frames", None),
        ("T", None),
    ],
)
def test_the_words_of_an_axis_tell_whether_it_counts_items(name: str, axis: int | None) -> None:
    signature = Signature(inputs=(TensorSpec(name="x", dtype="float32", shape=(name, 8)),), outputs=())
    assert supposed(signature)[0].of == {"x": axis}
