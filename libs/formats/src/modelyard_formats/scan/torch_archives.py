"""What PyTorch's archives hold beside pickles that loading runs. Called by `scan.archive`.

`torch.export` writes sizes as expressions that loading hands to SymPy, which evaluates them as Python
(torch/_export/serde); `torch.package` imports the Python files of its archive; AOTInductor's packages are libraries, or
sources and the command that compiles them; TorchScript may save and map files, whichever way it is written down.
"""

import re
from collections.abc import Iterator

from modelyard_formats.scan.schema import Undecodable, is_small, objects_in, parse_json
from modelyard_formats.scan.search import Part, Search
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
_GAP = rb"[\s()\\]*+"  # what may stand within a name
_SAVES = re.compile(rb"\." + _GAP + rb"(?:save|from_file)\b")
_FILES = re.compile(rb"\b(?:torch|aten)" + _GAP + _SAVES.pattern)
_BY_ANOTHER_NAME = re.compile(rb"[=,(\[.]" + _GAP + rb"(?:torch|ops|aten)[ \t)\\]*+(?=[,;\]\r\n=#]|$)")
_COMMENT = re.compile(rb"#[^\n]*")
_FILE_OPERATORS = re.compile(rb"aten::(?:save|from_file)")
_COMPILED = "aotinductor/"
_LIBRARIES = (".so", ".dylib", ".dll", ".pyd", ".o", ".a", ".cpp", ".c", ".cu", ".h", ".py", "_flags.json")


def scan_torch(archive: Zip, search: Search, inside: tuple[str, ...]) -> None:
    if any(member.name.endswith(_PACKAGE) for member in archive.members):
        message = (
            "a torch.package archive brings Python code that loading it runs; save a state_dict or export the model"
        )
        search.found("dangerous", "torch-package", message, inside)
    for name, text in _texts(archive, search, ".json"):
        for what in _code(text) if is_small(text, search) else ():
            message = f"its program in {name[:100]} runs {what[:80]!r}, which no export writes; export the model again"
            search.found("dangerous", "torch-expression", message, inside)
    for name, text in _texts(archive, search, ".py"):
        if "code/" in name and uses_files(text):
            _tell_files(f"its code in {name[:100]}", search, inside)
    for name, text in _texts(archive, search, "bytecode.pkl"):
        if _FILE_OPERATORS.search(text):
            _tell_files(f"its code in {name[:100]}", search, inside)
    if any(member.name.endswith("MAR-INF/MANIFEST.json") for member in archive.members):
        message = "a model archive of TorchServe brings a handler, which whoever serves it runs"
        search.found("suspicious", "program", message, inside)
    for member in archive.members:
        if _COMPILED in member.name and member.name.endswith(_LIBRARIES):
            message = f"loading it runs or compiles {member.name[:100]}; export the model without AOTInductor"
            search.found("dangerous", "torch-compiled", message, inside)


def scan_flatbuffer(part: Part, search: Search) -> None:
    message = "TorchScript in a flatbuffer cannot be checked; save it as an archive"
    search.found("suspicious", "torch-flatbuffer", message, part.inside)
    part.file.seek(0)
    before = b""
    while chunk := part.file.read(2**20):
        if _FILE_OPERATORS.search(before + chunk):
            _tell_files("its code", search, part.inside)
            return
        before = chunk[-32:]


def uses_files(code: bytes) -> bool:
    """Comments may stand in the middle of a name, and what looks like one may be text."""
    for text in (code, _COMMENT.sub(b"", code)):
        if _FILES.search(text) or (_SAVES.search(text) and _BY_ANOTHER_NAME.search(text)):
            return True
    return False


def _tell_files(what: str, search: Search, inside: tuple[str, ...]) -> None:
    message = f"{what} saves or maps files; leave that to who calls the model"
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
