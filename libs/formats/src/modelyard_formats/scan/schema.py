"""Archives whose JSON says what to build: Keras models and skops files. Called by `scan.archive`."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from modelyard_formats.pickle.attributes import CALLED_WHILE_LOADING, TEMPLATE
from modelyard_formats.pickle.changes import may_be_kept
from modelyard_formats.pickle.rules import Severity, is_allowed, is_code
from modelyard_formats.pickle.values import Global
from modelyard_formats.scan.search import Part, Search
from modelyard_formats.wire.archive_bytes import Bomb, CannotUnpack
from modelyard_formats.wire.zip_members import Zip

MAX_SCHEMA = 64 * 2**20
MAX_ITEMS = 8_000_000  # a list or object counts as four
_CLASS_NAMES = tuple("class_name".encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
_KERAS = ("keras", "tf_keras", "tensorflow", "builtins")
_BUILTIN_CODE = frozenset(
    {"eval", "exec", "compile", "open", "__import__", "getattr", "setattr", "delattr", "breakpoint", "input", "globals"}
)
# Where Keras keeps functions of numbers; those of its other modules fetch, write and load files.
_KERAS_NUMBERS = re.compile(
    r"(tf_)?keras\.((src|api|_tf_keras\.keras)\.)*"
    r"(activations|losses|metrics|initializers|regularizers|constraints|ops|quantizers|applications)(\.\w+)*"
    r"|tensorflow\.(python\.)?keras\.(\w+\.)*(activations|losses|metrics|initializers|regularizers|constraints)(\.\w+)*"
)
_READS_FILES = frozenset({"TFSMLayer", "JaxLayer", "FlaxLayer"})
_VOCABULARY = ("vocabulary", "idf_weights", "file_path", "filepath")
_SKOPS_PLAIN = frozenset({"JsonNode", "CachedNode"})  # they name no type to import
# Its arrays are indexed by numbers from the file, unchecked.
_SKOPS_DISTRUSTS = frozenset({"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})


class Undecodable(Exception):
    """The text is no JSON that can be read."""


def parse_json(text: bytes) -> Any:
    """Raises `Undecodable`, also for half of a surrogate pair: no such text can be stored or sent."""
    try:
        decoded = text.decode("utf-8-sig")
        value = json.loads(decoded)
        if "\\ud" in decoded or "\\uD" in decoded:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"no JSON that can be read: {error}") from error
    return value


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in it, the outermost first."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def scan_schemas(archive: Zip, search: Search, inside: tuple[str, ...]) -> None:
    """Keras and skops read these members by name; Keras builds its layers before it asks for anything else."""
    is_keras = any(
        member.name == "metadata.json" or member.name.startswith("model.weights.") for member in archive.members
    )
    for member in archive.members:
        scan = {"schema.json": scan_skops, "config.json": scan_keras}.get(member.name)
        if scan is None:
            continue
        try:
            found = _as_its_reader(archive.read(member, min(MAX_SCHEMA, search.room)), search)
        except (CannotUnpack, Bomb, Undecodable) as error:
            if isinstance(error, Undecodable) and scan is scan_keras and not is_keras:
                continue  # somebody else's configuration
            search.found("dangerous", "schema-unreadable", f"{member.name} cannot be read: {error}", inside)
        else:
            scan(found, search, inside)


def is_small(text: bytes, search: Search) -> bool:
    """Whether parsing it takes no more memory and time than it may."""
    items = text.count(b",") + 4 * (text.count(b"{") + text.count(b"["))
    search.items -= items
    if items <= MAX_ITEMS and search.items >= 0:
        return True
    search.found("dangerous", "archive-bomb", f"JSON of {items:,} items would take all memory")
    return False


def _as_its_reader(text: bytes, search: Search) -> Any:
    """Keras and skops hand over bytes, and Python takes them for UTF-8, -16 or -32. Raises `Undecodable`."""
    if not is_small(text, search):
        raise Undecodable(f"it has more than {MAX_ITEMS:,} items")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"no JSON that can be read: {error}") from error


def scan_json(part: Part, search: Search) -> None:
    """A JSON file by itself: Keras also builds models from those. One that cannot be read is for others to judge."""
    part.file.seek(0)
    text = part.file.read(min(part.size, MAX_SCHEMA))
    try:
        found = _as_its_reader(text, search)
    except Undecodable as error:
        if part.size > MAX_SCHEMA or any(name in text for name in _CLASS_NAMES):
            search.found("suspicious", "schema-unreadable", f"what it builds cannot be read: {error}", part.inside)
    else:
        if any("class_name" in item for item in objects_in(found)):
            scan_keras(found, search, part.inside)


def judge_names(modules: Iterable[str], configs: Iterable[str], search: Search, inside: tuple[str, ...]) -> None:
    """Of a Keras model that is not parsed: the modules it names, and what its layers are configured with."""
    for module in modules:
        if module.partition(".")[0] not in _KERAS and is_code(Global(module, "?"), named=True):
            search.found("dangerous", "keras-import", f"it builds from {module[:200]}, which is not Keras's", inside)
    for name in _BUILTIN_CODE.intersection(configs):
        search.found("dangerous", "keras-import", f"it may build builtins.{name}", inside)


def scan_keras(config: Any, search: Search, inside: tuple[str, ...]) -> None:
    """Layers that carry code of their own, and names that lead out of Keras."""
    for item in objects_in(config):
        kind, module = item.get("class_name"), item.get("module")
        if kind == "__lambda__" or (kind == "Lambda" and _carries_code(item)):
            message = "a Lambda layer holds compiled Python code; write it as a registered layer"
            search.found("dangerous", "keras-lambda", message, inside)
        elif kind == "Lambda":
            message = "a Lambda layer calls a function by its name; write it as a registered layer"
            search.found("suspicious", "keras-lambda", message, inside)
        if kind == "TorchModuleWrapper":
            message = "a TorchModuleWrapper layer holds a pickled module; write it as a registered layer"
            search.found("dangerous", "keras-import", message, inside)
        if kind in _READS_FILES or _reads_file(item.get("config")):
            message = f"a layer ({str(kind)[:60]}) reads a file by its name; save the model with what it holds"
            search.found("dangerous", "keras-import", message, inside)
        if isinstance(module, str) and isinstance(kind, str):
            _judge_module(module, kind, item.get("config"), search, inside)


def _carries_code(layer: dict[str, Any]) -> bool:
    config = layer.get("config")
    function = config.get("function") if isinstance(config, dict) else None
    return isinstance(function, list) or (isinstance(function, dict) and function.get("class_name") == "__lambda__")


def _reads_file(config: Any) -> bool:
    return isinstance(config, dict) and any(isinstance(config.get(name), str) for name in _VOCABULARY)


def _judge_module(module: str, kind: str, config: Any, search: Search, inside: tuple[str, ...]) -> None:
    name = config if kind == "function" and isinstance(config, str) else kind
    what = Global(module, name)
    if module == "builtins" and name in _BUILTIN_CODE:
        search.found("dangerous", "keras-import", f"it builds {what}", inside)
    elif module != "builtins" and not name[:1].isupper() and not _KERAS_NUMBERS.fullmatch(module):
        search.found("dangerous", "keras-import", f"it calls {str(what)[:200]} to be built", inside)
    elif module.partition(".")[0] not in _KERAS:
        severity: Severity = "dangerous" if is_code(what) else "suspicious"
        search.found(severity, "keras-import", f"it builds {str(what)[:200]}, which is not Keras's", inside)


def skops_types(schema: Any) -> Iterator[tuple[str, Global]]:
    """Loader and type of every node, as skops's own audit names them."""
    for node in objects_in(schema):
        loader = node.get("__loader__")
        if isinstance(loader, str) and loader not in _SKOPS_PLAIN:
            yield loader, Global(str(node.get("__module__")), str(node.get("__class__")))


def scan_skops(schema: Any, search: Search, inside: tuple[str, ...]) -> None:
    """skops loads nothing that is not on its list of trusted types; what it would refuse is shown."""
    for node in objects_in(schema):
        if bad := CALLED_WHILE_LOADING.union({TEMPLATE}).intersection(node):
            message = f"it sets {', '.join(sorted(bad))}, which loading itself calls or runs; save the model without it"
            search.found("dangerous", "skops-untrusted", message, inside)
    for loader, what in skops_types(schema):
        if loader != "MethodNode" and str(what) not in _SKOPS_DISTRUSTS and (_is_trusted(what) or _is_ufunc(what)):
            continue
        severity: Severity = "dangerous" if is_code(what, named=loader == "TypeNode") else "suspicious"
        message = f"it builds {str(what)[:200]}, which skops does not trust by itself"
        search.found(severity, "skops-untrusted", message, inside)


def _is_trusted(what: Global) -> bool:
    return is_allowed(what) and may_be_kept(what) and what.module.partition(".")[0] not in _SKOPS_ASKS


_SKOPS_ASKS = frozenset({"types", "argparse", "random", "zoneinfo", "joblib"})


def _is_ufunc(what: Global) -> bool:
    if what.module not in ("numpy", "numpy._core._multiarray_umath", "scipy.special._ufuncs"):
        return False
    if what.module.startswith("scipy"):
        return what.name in ("expit", "logit", "xlogy", "entr", "erf", "gammaln")
    import numpy as np

    return isinstance(getattr(np, what.name, None), np.ufunc)
