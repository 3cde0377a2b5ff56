"""skops: a scikit-learn model without pickle, one `*.skops`: a zip archive with `schema.json` and NumPy arrays."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MAX_TENSORS, MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.sklearn.format import label_dtype
from modelyard_formats.scan.schema import MAX_SCHEMA, Undecodable, objects_in, parse_json
from modelyard_formats.wire.archive_bytes import Bomb, CannotUnpack
from modelyard_formats.wire.zip_members import BadZip, Zip, read_zip

_SHAPE = re.compile(rb"'descr'\s*:\s*'([^']*)'.*?'shape'\s*:\s*\((\d*),?\s*\)", re.DOTALL)


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, ".skops"))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name, path = f"{MODEL_FOLDER}/{files[0]}", folder / files[0]
    try:
        with path.open("rb") as file:
            archive = read_zip(file, path.stat().st_size)
            return Reading(within_bounds(_inspection(_schema(archive), archive), name), files)
    except (BadZip, CannotUnpack, Bomb, Undecodable) as error:
        rule = "a complete skops file"
        raise bad_source(f"{name} is no skops file that can be read: {error}", file=name, rule=rule) from error


def _schema(archive: Zip) -> dict[str, Any]:
    member = next((each for each in archive.members if each.name == "schema.json"), None)
    schema = parse_json(archive.read(member, MAX_SCHEMA)) if member else None
    if not isinstance(schema, dict):
        raise CannotUnpack("it has no schema.json with a JSON object")
    return schema


def _inspection(schema: dict[str, Any], archive: Zip) -> Inspection:
    objects = [node for node in objects_in(schema) if node.get("__loader__") == "ObjectNode"]
    attributes = [_attributes(node) for node in objects]
    features = next((v for each in attributes if isinstance(v := _plain(each.get("n_features_in_")), int)), None)
    version = next((v for each in attributes if isinstance(v := _plain(each.get("_sklearn_version")), str)), "")
    classes = next((v for each in attributes if (v := _array(each.get("classes_"), archive))), None)
    estimator = _type(schema)
    details: dict[str, str | int] = {"estimator": estimator, "skops": str(schema.get("_skops_version"))[:50]}
    details |= {"features": features} if features is not None else {}
    details |= {"classes": classes[1]} if classes else {}
    dtype = label_dtype(classes[0] if classes else "f")
    return Inspection(
        format=FORMAT.name,
        signature=Signature(
            inputs=(TensorSpec(name="X", dtype="float64", shape=(None, features)),),
            outputs=(TensorSpec(name="predict", dtype=dtype, shape=(None,)),),
        ),
        producer=f"scikit-learn {version}".strip()[:200],
        operators=dict(sorted(Counter(_type(node) for node in objects).items())[:MAX_TENSORS]),
        details=details,
    )


def _type(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"[:200]


def _attributes(node: dict[str, Any]) -> dict[str, Any]:
    content = node.get("content")
    inner = content.get("content") if isinstance(content, dict) else None
    return inner if isinstance(inner, dict) else {}


def _plain(node: Any) -> object:
    """The value of a JSON node: skops writes JSON into JSON."""
    text = node.get("content") if isinstance(node, dict) and node.get("__loader__") == "JsonNode" else None
    try:
        return parse_json(text.encode()) if isinstance(text, str) and len(text) < 1000 else None
    except (Undecodable, UnicodeEncodeError):
        return None


def _array(node: Any, archive: Zip) -> tuple[str, int] | None:
    """Short dtype and length of a stored vector."""
    if not isinstance(node, dict):
        return None
    if isinstance(node.get("content"), list):
        return "O", len(node["content"])
    member = next((each for each in archive.members if each.name == node.get("file")), None)
    match = _SHAPE.search(archive.start(member, 512)) if member else None
    return (match[1].decode("ascii", "replace"), int(match[2][:18] or 1)) if match else None


FORMAT = Format(
    name="skops",
    model_types=("Scikit_Learn",),
    wants="one *.skops",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
)
