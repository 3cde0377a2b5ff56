"""PyTorch's zip archives: exported programs, TorchScript, and what `torch.save` writes. Used by `pytorch.format`."""

import math
import re
from collections import Counter
from typing import Any

from modelyard_contracts.shapes import Finding, Inspection, Signature, TensorSpec
from modelyard_formats.format import MAX_TENSORS, UNKNOWN_RANK
from modelyard_formats.kinds.pytorch.tensors import Tensor, named_tensors
from modelyard_formats.pickle.reader import Allowance, Machine, Source, Unreadable
from modelyard_formats.pickle.rules import Audit
from modelyard_formats.pickle.values import Global, Made
from modelyard_formats.scan.schema import objects_in, parse_json
from modelyard_formats.wire.archive_bytes import MAX_UNPACKED
from modelyard_formats.wire.zip_members import Member, Zip

NAME = "pytorch"
MAX_PROGRAM = 128 * 2**20
MAX_CODE = 16 * 2**20
MAX_CODE_FILES = 5_000
MAX_METHOD = 100_000  # characters of its arguments
_METHOD = re.compile(r"def forward\(self:[^,)]*,?(.*?)\)\s*->\s*([^\n]*):\n", re.DOTALL)
# torch's ScalarType → numpy's or ml_dtypes' name.
_SCALARS = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn",
    30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
_PLAIN = {"as_int": "int64", "as_float": "float64", "as_bool": "bool", "as_string": "object"}
_OWN_OPERATORS = ("aten", "prim", "prims", "higher_order", "quantized", "quantized_decomposed", "torchvision", "c10d")
_TYPES = {"Tensor": "undefined", "int": "int64", "float": "float64", "bool": "bool", "str": "object"}
_SYMBOL = re.compile(r"(?:Symbol\('(\w{1,60})'.*\)|([A-Za-z_]\w{0,60}))")


def program_member(archive: Zip) -> Member | None:
    """The exported program, as torch 2.8 and later write it, or as before."""
    models = [each for each in archive.members if re.search(r"(^|/)models/[^/]+\.json$", each.name)]
    return min(models, key=lambda each: each.name, default=None) or archive.named("serialized_exported_program.json")


def read_program(archive: Zip, member: Member, file: str) -> tuple[Inspection, tuple[Finding, ...]]:
    """An exported program. Raises `KeyError`, `TypeError`, `ValueError` and what `Zip.read` raises."""
    program = parse_json(archive.read(member, MAX_PROGRAM))
    module = program["graph_module"]
    graph, signature = module["graph"], module["signature"]
    values = graph["tensor_values"]
    operators = Counter(
        str(node["target"]).removeprefix("torch.ops.")[:200]
        for node in objects_in(module)
        if isinstance(node.get("target"), str) and isinstance(node.get("inputs"), list)
    )
    stored = [
        spec["arg"]["name"] for each in signature["input_specs"] for kind, spec in each.items() if kind in _STORED
    ]
    inspection = Inspection(
        format=NAME,
        signature=Signature(
            inputs=tuple(_user_values(signature["input_specs"], "user_input", values)),
            outputs=tuple(_user_values(signature["output_specs"], "user_output", values)),
        ),
        opsets={str(name): int(number) for name, number in program.get("opset_version", {}).items()},
        producer=f"PyTorch {program.get('torch_version', '')}".strip()[:200],
        parameter_count=sum(math.prod(_static(axis) for axis in values[name]["sizes"]) for name in stored),
        operators=dict(sorted(operators.items())),
        details={"kind": "exported program"},
    )
    return inspection, _foreign(operators, file)


_STORED = ("parameter", "buffer", "tensor_constant")


def _static(size: dict[str, Any]) -> int:
    axis = size["as_int"]
    if not isinstance(axis, int) or axis < 0:
        raise ValueError("a parameter has an impossible shape")
    return axis


def _user_values(specs: list[Any], kind: str, values: dict[str, Any]) -> list[TensorSpec]:
    """Tensors and plain numbers, in the order of the call."""
    found = []
    for spec in specs:
        argument = spec[kind]["arg"] if kind in spec else {}
        for form, content in argument.items():
            if form == "as_tensor":
                found.append(_tensor_spec(content["name"], values[content["name"]]))
            elif form in _PLAIN or form in ("as_sym_int", "as_sym_bool", "as_sym_float"):
                plain = _PLAIN.get(form.replace("sym_", ""), "int64")
                found.append(TensorSpec(name=f"{kind.removeprefix('user_')}_{len(found)}", dtype=plain, shape=()))
    return found


def _tensor_spec(name: str, value: dict[str, Any]) -> TensorSpec:
    dtype = _SCALARS.get(value["dtype"], "undefined")
    return TensorSpec(name=name, dtype=dtype, shape=tuple(_axis(size) for size in value["sizes"]))


def _axis(size: dict[str, Any]) -> int | str | None:
    if "as_int" in size:
        return int(size["as_int"])
    match = _SYMBOL.fullmatch(str(size["as_expr"]["expr_str"])[:500])
    return (match[1] or match[2]) if match else None


def _foreign(operators: Counter[str], file: str) -> tuple[Finding, ...]:
    """Operators that need a library of somebody's own beside PyTorch."""
    names = sorted(name for name in operators if "." in name and not name.startswith("_operator."))
    foreign = [name for name in names if name.partition(".")[0] not in _OWN_OPERATORS]
    if not foreign:
        return ()
    message = f"it calls operators that PyTorch itself does not bring: {', '.join(foreign[:8])}"
    return (Finding(file=file, severity="suspicious", rule="custom-operator", message=message),)


def read_script(archive: Zip, file: str) -> tuple[Inspection, tuple[Finding, ...]]:
    """TorchScript: the forward method's arguments, as far as its code names their types."""
    root = read_data(archive, "data.pkl")
    what = root.by if isinstance(root, Made) and isinstance(root.by, Global) else Global("__torch__", "")
    codes = [each for each in archive.members if re.search(r"(^|/)code/.*\.py$", each.name)][:MAX_CODE_FILES]
    left, operators, forward = MAX_CODE, Counter[str](), ""
    home = f"/code/{what.module.replace('.', '/')}.py"
    for member in codes:
        code = archive.read(member, left).decode("utf-8", "replace")
        left -= len(code)
        operators.update(f"aten.{name}" for name in re.findall(r"\btorch\.(\w{1,80})\(", code))
        operators.update(f"{space}.{name}" for space, name in re.findall(r"\bops\.(\w{1,80})\.(\w{1,80})\(", code))
        if f"/{member.name}".endswith(home):
            forward = code
    inputs, outputs = _forward(forward, what.name)
    tensors = stored_tensors(archive, root)
    inspection = Inspection(
        format=NAME,
        signature=Signature(inputs=inputs, outputs=outputs),
        producer="PyTorch TorchScript",
        parameter_count=sum(math.prod(tensor.shape) for tensor in tensors.values()),
        operators=dict(sorted(operators.items())[:MAX_TENSORS]),
        details={"kind": "TorchScript", "tensors": len(tensors)},
    )
    return inspection, _foreign(operators, file)


def _forward(code: str, name: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    start = code.find(f"class {name}(")
    begin = code.find("def forward(self:", max(start, 0))
    method = _METHOD.match(code, begin, begin + MAX_METHOD) if begin >= 0 else None
    if start < 0 or method is None:
        return (), ()
    arguments = re.findall(
        r"(\w{1,200})\s*:\s*([\w.\[\], ]+?)\s*(?:=[^,]*)?(?:,\s*\n|,\s*(?=\w+\s*:)|$)", method[1].strip()
    )
    result = method[2].strip()
    parts = [part.strip() for part in result[6:-1].split(",")] if result.startswith("Tuple[") else [result]
    outputs = tuple(_typed(f"output_{i}" if len(parts) > 1 else "output", part) for i, part in enumerate(parts))
    return tuple(_typed(name, kind) for name, kind in arguments), outputs


def _typed(name: str, kind: str) -> TensorSpec:
    shape: tuple[str, ...] = () if kind in _TYPES and kind != "Tensor" else UNKNOWN_RANK
    return TensorSpec(name=name, dtype=_TYPES.get(kind, "undefined"), shape=shape)


def read_data(archive: Zip, ending: str) -> object:
    """One of its pickles as symbols. Raises `Unreadable`, `TooMuch`, `CannotUnpack`, `Bomb`."""
    member = archive.named(ending)
    if member is None:
        raise Unreadable(f"it has no {ending}")
    file, size = archive.open(member, MAX_UNPACKED)
    with file:
        return Machine(Source(file, size), Audit(), Allowance(), arrays=False).run()


def stored_tensors(archive: Zip, root: object) -> dict[str, Tensor]:
    """By name. Raises `Unreadable` when their data are not in the archive."""
    sizes = {
        each.name.rpartition("/")[2]: each.size for each in archive.members if re.search(r"(^|/)data/[^/]+$", each.name)
    }
    tensors = dict(named_tensors(root))
    for name, tensor in tensors.items():
        if sizes.get(tensor.storage, -1) < tensor.needs:
            raise Unreadable(f"the data of tensor {name[:200]!r} are missing or cut off")
    return tensors
