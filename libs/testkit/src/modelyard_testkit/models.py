"""Small models and model packages, made from a seed: the same bytes on every machine and every run.

Good ones: `digits_like_mlp`, `conv_net`, `with_external_data`, `openvino_ir`, `random_model` (N MiB, for benches).
Bad ones: `with_data_at` (external data that leads anywhere), `with_symlinked_data`, `with_custom_operator`,
`with_functions` (that call each other), `truncated`. `package` puts a model and its `config.json` into a folder.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from modelyard_testkit.openvino_models import ir_bytes

CLASSES = 10
SIDE = 8
HIDDEN = 32

Weights = Mapping[str, NDArray[np.float32]]


def mlp_weights(seed: int = 0) -> Weights:
    """Weights of `digits_like_mlp`. Wide enough that different inputs get clearly different scores."""
    random = np.random.default_rng(seed)
    first = random.standard_normal((SIDE * SIDE, HIDDEN)).astype(np.float32) / np.float32(SIDE)
    second = random.standard_normal((HIDDEN, CLASSES)).astype(np.float32)
    zeros = np.zeros(HIDDEN, np.float32), np.zeros(CLASSES, np.float32)
    return {"w1": first, "b1": zeros[0], "w2": second, "b2": zeros[1]}


def digits_like_mlp(path: Path, *, seed: int = 0) -> Path:
    """`image` float32 [N, 1, 8, 8] → `scores` float32 [N, 10], a softmax. 2,410 parameters."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["h1"]),
        helper.make_node("Relu", ["h1"], ["h2"]),
        helper.make_node("Gemm", ["h2", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    return _write(path, model(nodes, mlp_weights(seed)))


def conv_net(path: Path, *, seed: int = 0) -> Path:
    """Same signature as `digits_like_mlp`, through two 3×3 convolutions with a pooling between. 3,784 parameters."""
    random = np.random.default_rng(seed)
    shapes = {"k1": (8, 1, 3, 3), "k2": (16, 8, 3, 3), "w": (16 * 4 * 4, CLASSES)}
    weights = {name: random.standard_normal(shape).astype(np.float32) / np.float32(4) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["image", "k1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "k2"], ["c2"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    return _write(path, model(nodes, weights))


def random_model(path: Path, *, megabytes: int, seed: int = 0) -> Path:
    """`t0` float32 [N, 1024] through matrices of 4 MiB, and a narrower last one for what remains to `megabytes` MiB.

    Written piece by piece: the whole never lies in memory.
    """
    random, side = np.random.default_rng(seed), 1024
    full, rest = divmod(megabytes, 4)
    count, width = full + (rest > 0), rest * side // 4 or side
    nodes = [helper.make_node("MatMul", [f"t{i}", f"w{i:06}"], [f"t{i + 1}"]) for i in range(count)]
    made = model(nodes, {}, inputs={"t0": ["N", side]}, outputs={f"t{count}": ["N", width]})
    graph = made.graph.SerializeToString(deterministic=True)
    made.ClearField("graph")

    def piece(number: int, columns: int) -> bytes:
        matrix = random.random((side, columns), dtype=np.float32) / np.float32(side)
        return _field(5, numpy_helper.from_array(matrix, f"w{number:06}").SerializeToString(deterministic=True))

    last = piece(full, width) if rest else b""
    pieces = (piece(number, side) for number in range(full))
    first = next(pieces, b"")
    with _write(path, made).open("ab") as file:
        file.write(_tag(7, len(graph) + full * len(first) + len(last)) + graph + first)
        file.writelines(pieces)
        file.write(last)
    return path


def _field(number: int, content: bytes) -> bytes:
    return _tag(number, len(content)) + content


def _tag(number: int, size: int) -> bytes:
    """The head of a protobuf field of `size` bytes; `number` is at most 15."""
    head = [number << 3 | 2]
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size])


def with_external_data(path: Path, *, seed: int = 0) -> Path:
    """`digits_like_mlp` with its weights in `weights.bin` beside the model file."""
    return with_data_at(path, "weights.bin", seed=seed, data_file=path.parent / "weights.bin")


def with_data_at(path: Path, location: str, *, seed: int = 0, data_file: Path | None = None) -> Path:
    """`digits_like_mlp` whose weights claim to lie at `location`: `../../etc/passwd`, `/etc/passwd`, …

    The data are really written to `data_file` when it is given.
    """
    made = ModelProto.FromString(digits_like_mlp(path, seed=seed).read_bytes())
    data = b""
    for tensor in made.graph.initializer:
        entries = {"location": location, "offset": str(len(data)), "length": str(len(tensor.raw_data))}
        data += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
    if data_file is not None:
        data_file.parent.mkdir(parents=True, exist_ok=True)
        data_file.write_bytes(data)
    return _write(path, made)


def with_symlinked_data(path: Path, outside: Path, *, seed: int = 0) -> Path:
    """External data `weights.bin` beside the model that is a link to `outside`, which holds the real data."""
    with_data_at(path, "weights.bin", seed=seed, data_file=outside)
    (path.parent / "weights.bin").symlink_to(outside)
    return path


def with_custom_operator(path: Path) -> Path:
    """One operator `com.acme::Foo` that no runtime knows."""
    nodes = [
        helper.make_node("Foo", ["image"], ["flat"], domain="com.acme"),
        helper.make_node("Softmax", ["flat"], ["scores"]),
    ]
    return _write(path, model(nodes, {}, opsets={"": 18, "com.acme": 1}))


def with_functions(path: Path, *, levels: int) -> Path:
    """`levels` local functions that each call the next twice: 2 to that power operators once they are written out."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    made = model([helper.make_node("f0", ["image"], ["scores"], domain="local")], {}, opsets={"": 18, "local": 1})
    for level in range(levels):
        called = f"f{level + 1}"
        calls = [helper.make_node(called, [a], [b], domain="local") for a, b in (("a", "b"), ("b", "c"))]
        made.functions.append(helper.make_function("local", f"f{level}", ["a"], ["c"], calls, opsets))
    last = [helper.make_node("Relu", ["a"], ["c"])]
    made.functions.append(helper.make_function("local", f"f{levels}", ["a"], ["c"], last, opsets))
    return _write(path, made)


def truncated(path: Path, *, keep: float = 0.5, seed: int = 0) -> Path:
    """`digits_like_mlp`, cut off after the share `keep` of its bytes."""
    data = digits_like_mlp(path, seed=seed).read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def openvino_ir(path: Path, *, seed: int = 0) -> Path:
    """`digits_like_mlp` as OpenVINO IR: `path` is the `.xml`, its `.bin` is written beside it. Needs no openvino."""
    xml, weights = ir_bytes(mlp_weights(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(xml)
    path.with_suffix(".bin").write_bytes(weights)
    return path


def model(
    nodes: Sequence[NodeProto],
    weights: Weights,
    *,
    inputs: Mapping[str, Sequence[int | str | None]] | None = None,
    outputs: Mapping[str, Sequence[int | str | None]] | None = None,
    opsets: Mapping[str, int] | None = None,
) -> ModelProto:
    """A float32 model of `nodes`. Without more, it has the signature of `digits_like_mlp` and opset 18."""
    inputs = inputs or {"image": ["N", 1, SIDE, SIDE]}
    outputs = outputs or {"scores": ["N", CLASSES]}
    graph = helper.make_graph(
        list(nodes),
        "model",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset_imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 18}).items()]
    return helper.make_model(graph, opset_imports=opset_imports, ir_version=10, producer_name="modelyard-testkit")


def _write(path: Path, made: ModelProto) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.SerializeToString(deterministic=True))
    return path


def digits_config(**changes: Any) -> dict[str, Any]:
    """A `config.json` that fits `digits_like_mlp`; `changes` replace fields, and None removes one."""
    config: dict[str, Any] = {
        "model_algorithm": "image_classification",
        "model_type": "ONNX",
        "runtime": "python3.12",
        "metrics": {"accuracy": 0.9},
        "preprocessing": [{"input": "image", "size": [SIDE, SIDE], "color_mode": "L", "scale": 1 / 16}],
        "labels": [str(digit) for digit in range(CLASSES)],
        "outputs": [{"name": "scores", "role": "scores"}],
    }
    merged = {**config, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def package(
    root: Path,
    build: Callable[[Path], Path] = digits_like_mlp,
    *,
    config: Mapping[str, Any] | None = None,
    calibration: int = 0,
    seed: int = 0,
) -> Path:
    """A package folder: `root/model/` with what `build` makes and `config.json` (default: `digits_config`).

    With `calibration`, that many seeded samples lie in `root/calibration_data/samples.npy`. Returns `root`.
    """
    is_ir = build is openvino_ir
    build(root / "model" / ("model.xml" if is_ir else "model.onnx"))
    chosen = digits_config(model_type="OpenVINO") if config is None and is_ir else config
    chosen = digits_config() if chosen is None else chosen
    (root / "model" / "config.json").write_text(json.dumps(chosen, indent=2))
    if calibration:
        folder = root / "calibration_data"
        folder.mkdir(exist_ok=True)
        np.save(folder / "samples.npy", digit_images(calibration, seed=seed))
    return root


def digit_images(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Seeded inputs for the models above, float32 [count, 1, 8, 8] in 0–1: a blurred stroke each, unlike noise."""
    random = np.random.default_rng(seed)
    centres, angles = random.uniform(2, SIDE - 3, (count, 2)), random.uniform(0, np.pi, count)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    across = (rows - centres[:, :1, None]) * np.cos(angles)[:, None, None]
    across = across + (columns - centres[:, 1:, None]) * np.sin(angles)[:, None, None]
    images: NDArray[np.float32] = np.exp(-(across**2)).astype(np.float32)[:, np.newaxis]
    return images
