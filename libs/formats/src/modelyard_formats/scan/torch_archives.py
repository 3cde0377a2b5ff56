"""What PyTorch's archives hold beside pickles that loading runs. Called by `scan.archive`.

`torch.export` writes sizes as expressions that loading hands to SymPy, which evaluates them as Python
(torch/_export/serde); `torch.package` imports the Python files of its archive; TorchScript may save and map files.
"""

import re
from collections.abc import Iterator

from modelyard_formats.scan.schema import Undecodable, objects_in, parse_json
from modelyard_formats.scan.search import Search
from modelyard_formats.wire.archive_bytes import Bomb, CannotUnpack
from modelyard_formats.wire.zip_members import Member, Zip

_MOST = 64 * 2**20  # bytes of one text
_LONGEST = 10_000  # characters
_OPERATORS = ("torch.ops.", "torch.sym_", "torch._sym_", "torch._higher_order_ops.", "torch._C.", "torch.autograd.")
_PACKAGE = ".data/extern_modules"
# Symbols as torch calls them, SymPy's classes with a capital, and numbers: no name of Python's, no text, no attribute.
_EXPRESSION = re.compile(
    r"(?>'[a-z]{1,5}\d+'|[a-z_]+=(?:True|False)|[A-Z]\w*|[a-z]{1,5}\d+\b|(?:int_)?oo\b|(?:floor|ceiling|log|sqrt|exp)\("
    r"|\d+(?:\.\d+)?(?:e[+-]?\d+)?|[\s()+\-*/%,<>=!&|~])*+"
)
_FILES = re.compile(rb"\btorch\.(?:save|from_file)\(|\baten\.(?:save|from_file)\b")


def scan_torch(archive: Zip, search: Search, inside: tuple[str, ...]) -> None:
    if any(member.name.endswith(_PACKAGE) for member in archive.members):
        message = (
            "a torch.package archive brings Python code that loading it runs; save a state_dict or export the model"
        )
        search.found("dangerous", "torch-package", message, inside)
    for name, text in _texts(archive, search, ".json"):
        for what in _code(text):
            message = f"its program in {name[:100]} runs {what[:80]!r}, which no export writes; export the model again"
            search.found("dangerous", "torch-expression", message, inside)
    for name, text in _texts(archive, search, ".py"):
        if "code/" in name and _FILES.search(text):
            message = f"its code in {name[:100]} saves or maps files; leave that to who calls the model"
            search.found("dangerous", "torchscript-file-access", message, inside)


def _code(text: bytes) -> Iterator[str]:
    """Sizes that are no sizes, and operators that are reached through PyTorch but are none of its own."""
    try:
        found = parse_json(text)
    except Undecodable:
        return
    for item in objects_in(found):
        size, target = item.get("expr_str"), item.get("target")
        if isinstance(size, str) and (len(size) > _LONGEST or not _EXPRESSION.fullmatch(size)):
            yield size
        if isinstance(target, str) and target.startswith("torch.") and not target.startswith(_OPERATORS):
            yield target


def _texts(archive: Zip, search: Search, suffix: str) -> Iterator[tuple[str, bytes]]:
    for member in archive.members:
        if member.name.endswith(suffix) and (text := _read(archive, member, search)) is not None:
            yield member.name, text


def _read(archive: Zip, member: Member, search: Search) -> bytes | None:
    try:
        return archive.read(member, min(_MOST, search.room))
    except (CannotUnpack, Bomb):
        return None  # which is told where every member is looked at
