"""LightGBM: one model as text, as the JSON of `dump_model`, or in a pickle. Read as structure, never loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.pickle.model import inspect_booster, is_pickle
from modelyard_formats.scan.schema import Undecodable, parse_json

SUFFIXES = (".txt", ".json", ".m", ".model", ".pkl", ".pickle", ".joblib")
MAX_HEADER = 16 * 2**20
MAX_JSON = 128 * 2**20
RULE = "a complete LightGBM model"
# Texts that lie beside a model. When one file is called model.txt or model.json, no other text is taken for one.
_BESIDE = ("requirements", "readme", "license", "labels", "classes", "notes", "vocab")


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    found = at_top(names, *SUFFIXES)
    named = {"model.txt", "model.json"} & set(found)
    texts = [name for name in found if name.endswith((".txt", ".json")) and not name.lower().startswith(_BESIDE)]
    others = [name for name in found if not name.endswith((".txt", ".json"))]
    return tuple((name,) for name in sorted([*others, *(named or texts)]))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name, path = f"{MODEL_FOLDER}/{files[0]}", folder / files[0]
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if is_pickle(path, head):
            inspection = inspect_booster(
                path,
                name,
                package="lightgbm",
                rule=RULE,
                handle="_handle",
                read=lambda content, _: _from_text(content, name),
            )
        elif head[:1] == b"{":
            inspection = _from_json(file, path.stat().st_size, name)
        else:
            inspection = _from_text(file, name)
    return Reading(within_bounds(inspection, name), files)


def _from_json(file: BinaryIO, size: int, name: str) -> Inspection:
    if size > MAX_JSON:
        raise bad_source(f"{name} has {size:,} bytes of JSON", file=name, rule="large models are saved as .txt")
    try:
        tree = parse_json(file.read(size))
        _must_be_tree(tree["name"])
        return _inspection(tree, tree["feature_names"], len(tree["tree_info"]))
    except (Undecodable, KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_source(f"{name} is no LightGBM model: {error!s:.200}", file=name, rule=RULE) from error


def _from_text(file: BinaryIO, name: str) -> Inspection:
    """`name=value` lines up to the first tree."""
    found: dict[str, str] = {}
    left = MAX_HEADER
    try:
        _must_be_tree(file.readline(10).strip().decode())
        while left > 0 and not (line := file.readline(left)).startswith(b"Tree="):
            if not line:
                break
            left -= len(line)
            key, _, value = line.decode().strip().partition("=")
            found[key] = value
        return _inspection(found, found["feature_names"].split(" "), len(found["tree_sizes"].split()))
    except (KeyError, ValueError) as error:
        raise bad_source(f"{name} is no LightGBM model: {error!s:.200}", file=name, rule=RULE) from error


def _must_be_tree(name: str) -> None:
    if name != "tree":
        raise ValueError("it does not begin as such a model does")


def _inspection(header: dict[str, Any], names: Sequence[Any], trees: int) -> Inspection:
    features, classes = int(header["max_feature_idx"]) + 1, int(header["num_class"])
    if features != len(names) or not 0 < classes < 2**31:
        raise ValueError(f"{len(names):,} feature names for {features:,} features")
    objective = str(header.get("objective", "")).partition(" ")[0][:100]
    details: dict[str, str | int] = {"objective": objective, "features": features, "trees": trees}
    details["feature_names"] = ", ".join(str(name) for name in names)[:1000]
    return Inspection(
        format=FORMAT.name,
        signature=Signature(
            inputs=(TensorSpec(name="data", dtype="float64", shape=(None, features)),),
            outputs=(TensorSpec(name="predict", dtype="float64", shape=(None, classes) if classes > 1 else (None,)),),
        ),
        producer=f"LightGBM model {str(header.get('version', ''))[:20]}".strip(),
        details=details | ({"classes": classes} if classes > 1 else {}),
    )


FORMAT = Format(
    name="lightgbm",
    model_types=("LightGBM",),
    wants="one *.txt, *.json or *.pkl",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
    by_type_only=True,
)
