"""PyTorch: one `*.pt2`, `*.pt` or `*.pth`. What it is shows in its structure, not in its name; nothing is loaded."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from modelyard_contracts.shapes import Finding, Inspection, Signature
from modelyard_formats.errors import bad_source
from modelyard_formats.format import CUSTOM_CODE, MAX_TENSORS, MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.pytorch.archive import (
    NAME,
    program_member,
    read_data,
    read_program,
    read_script,
    stored_tensors,
)
from modelyard_formats.kinds.pytorch.tensors import Tensor, named_tensors
from modelyard_formats.pickle.model import class_of, objects_below
from modelyard_formats.pickle.reader import Allowance, Machine, Source, TooMuch, Unreadable
from modelyard_formats.pickle.rules import Audit
from modelyard_formats.pickle.values import Made
from modelyard_formats.scan.schema import Undecodable
from modelyard_formats.wire.archive_bytes import Bomb, CannotUnpack
from modelyard_formats.wire.zip_members import BadZip, read_zip

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PICKLES = 5  # magic, protocol, system, the object, the storages' keys

Found = tuple[Inspection, tuple[Finding, ...]]


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, ".pt2", ".pt", ".pth"))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name, path = f"{MODEL_FOLDER}/{files[0]}", folder / files[0]
    try:
        with path.open("rb") as file:
            inspection, findings = _read(file, path.stat().st_size, name)
    except (BadZip, CannotUnpack, Bomb, Undecodable, Unreadable, TooMuch) as error:
        rule = "a complete file of torch.export.save, torch.jit.save or torch.save"
        raise bad_source(f"{name} is no PyTorch model that can be read: {error}", file=name, rule=rule) from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        rule = "a complete exported program"
        message = f"{name} is no complete exported program: {error!r:.200}"
        raise bad_source(message, file=name, rule=rule) from error
    if inspection.details.get("kind") == "state dict" and not any(folder.rglob(CUSTOM_CODE)):
        message = f"{name} holds only tensors (a state dict); without code nobody can run it"
        raise bad_source(message, file=name, rule=f"a {CUSTOM_CODE} beside a state dict, or an exported program")
    return Reading(within_bounds(inspection, name), files, findings)


def _read(file: BinaryIO, size: int, name: str) -> Found:
    head = file.read(4)
    file.seek(0)
    if head != b"PK\x03\x04":
        root = legacy_object(file, size)
        return _saved(root, dict(named_tensors(root))), ()
    archive = read_zip(file, size)
    program = program_member(archive)
    if program:
        return read_program(archive, program, name)
    if archive.named("constants.pkl"):
        return read_script(archive, name)
    root = read_data(archive, "data.pkl")
    return _saved(root, stored_tensors(archive, root)), ()


def legacy_object(file: BinaryIO, size: int) -> object:
    """What releases before 1.6 wrote: five pickles behind each other, then the storages."""
    source, allowance = Source(file, size), Allowance()
    values = []
    for number in range(_LEGACY_PICKLES):
        values.append(Machine(source, Audit(), allowance, arrays=False).run())
        if number == 0 and values[0] != _LEGACY_MAGIC:
            raise Unreadable("it does not begin as torch.save begins; save it again with a current PyTorch")
    return values[3]


def _saved(root: object, tensors: dict[str, Tensor]) -> Inspection:
    modules = Counter(
        kind.rpartition(".")[2]
        for each in objects_below(root)
        if (kind := class_of(each)).startswith("torch.nn.modules.")
    )
    if not tensors and not modules:
        raise Unreadable("it holds no tensors")
    whole = isinstance(root, Made) and "_modules" in root.attributes()
    return Inspection(
        format=NAME,
        signature=Signature(inputs=(), outputs=()),
        producer="PyTorch",
        parameter_count=sum(math.prod(tensor.shape) for tensor in tensors.values()),
        operators=dict(sorted(modules.items())[:MAX_TENSORS]) if whole else {},
        details={"kind": "pickled module" if whole else "state dict", "tensors": len(tensors)},
    )


FORMAT = Format(
    name=NAME,
    model_types=("PyTorch",),
    wants="one *.pt2, *.pt or *.pth",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
)
