"""XGBoost: one model as JSON, UBJSON, in the old binary format, or in a pickle. Read as structure, never loaded."""

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.xgboost.ubjson import Malformed, Ubjson
from modelyard_formats.pickle.model import inspect_booster, is_pickle
from modelyard_formats.scan.schema import Undecodable, parse_json

SUFFIXES = (".json", ".ubj", ".m", ".model", ".bst", ".pkl", ".pickle", ".joblib")
MAX_JSON = 128 * 2**20
RULE = "a complete XGBoost model"
_OLD_HEAD = struct.Struct("<fIiiiII")  # base_score, num_feature, num_class, two flags, version
_OLD_SIZE = 136


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    found = at_top(names, *SUFFIXES)
    named = [name for name in found if name == "model.json"]  # beside it, other JSON files are the package's data
    return tuple((name,) for name in found if not named or not name.endswith(".json") or name in named)


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name, path = f"{MODEL_FOLDER}/{files[0]}", folder / files[0]
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if is_pickle(path, head):
            inspection = inspect_booster(
                path,
                name,
                package="xgboost",
                rule=RULE,
                handle="handle",
                read=lambda content, size: _from_tree(content, size, name),
            )
        elif head[:1] == b"{":
            inspection = _from_tree(file, path.stat().st_size, name)
        else:
            inspection = _from_old(file, name)
    return Reading(within_bounds(inspection, name), files)


def _from_tree(file: BinaryIO, size: int, name: str) -> Inspection:
    try:
        second = file.read(2)[1:]
        file.seek(0)
        if second in (b"L", b"i", b"U", b"I", b"l", b"#"):
            tree = Ubjson(file, size).read()
        elif size > MAX_JSON:
            raise bad_source(f"{name} has {size:,} bytes of JSON", file=name, rule="large models are saved as .ubj")
        else:
            tree = parse_json(file.read(size))
        return _inspection(tree.get("Model", tree))
    except (Malformed, Undecodable, KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_source(f"{name} is no XGBoost model: {error!s:.200}", file=name, rule=RULE) from error


def _inspection(tree: dict[str, Any]) -> Inspection:
    learner = tree["learner"]
    parameters, booster = learner["learner_model_param"], learner["gradient_booster"]
    kind = str(booster["name"])[:50]
    forest = booster.get("gbtree", booster).get("model", {})
    trees = int(str(forest.get("gbtree_model_param", {}).get("num_trees", 0)))
    version = ".".join(str(int(part)) for part in tree.get("version", [])[:3])
    names = learner.get("feature_names")
    details: dict[str, str | int] = {"booster": kind, "trees": trees}
    if isinstance(names, list) and names:
        details["feature_names"] = ", ".join(str(name) for name in names)[:1000]
    return described(
        features=int(str(parameters["num_feature"])),
        classes=int(str(parameters.get("num_class", 0))),
        objective=str(learner["objective"]["name"]),
        version=version,
        details=details,
    )


def described(
    *, features: int, classes: int, objective: str, version: str, details: dict[str, str | int]
) -> Inspection:
    """`classes` is 0 or 1 unless there are several."""
    if not 0 <= features < 2**31 or not 0 <= classes < 2**31:
        raise ValueError("impossible numbers of features or classes")
    several = classes > 1 and objective != "multi:softmax"
    shape = (None, classes) if several else (None,)
    found: dict[str, str | int] = {"objective": objective[:100], "features": features, **details}
    return Inspection(
        format=FORMAT.name,
        signature=Signature(
            inputs=(TensorSpec(name="data", dtype="float32", shape=(None, features)),),
            outputs=(TensorSpec(name="predict", dtype="float32", shape=shape),),
        ),
        producer=f"XGBoost {version}".strip()[:200],
        details=found | ({"classes": classes} if classes > 1 else {}),
    )


def _from_old(file: BinaryIO, name: str) -> Inspection:
    """The binary format of releases before 3: a fixed head, then the names of objective and booster."""
    if file.read(4) != b"binf":
        file.seek(0)
    head = file.read(_OLD_SIZE)
    try:
        _, features, classes, _, _, major, minor = _OLD_HEAD.unpack_from(head)
        objective, booster = _old_text(file), _old_text(file)
        _known(objective, booster)
        details: dict[str, str | int] = {"booster": booster}
        if booster != "gblinear":
            details["trees"] = struct.unpack("<i", file.read(4))[0]
        version = f"{major}.{minor}" if major < 100 and minor < 100 else ""
        return described(
            features=features, classes=max(classes, 0), objective=objective, version=version, details=details
        )
    except (struct.error, ValueError) as error:
        raise bad_source(f"{name} is no XGBoost model: {error}", file=name, rule=RULE) from error


def _old_text(file: BinaryIO) -> str:
    size = struct.unpack("<Q", file.read(8))[0]
    if size > 100:
        raise ValueError("there is no name of an objective")
    return file.read(size).decode("ascii")


def _known(objective: str, booster: str) -> None:
    if not re.fullmatch(r"[a-z]+:[a-z0-9_:]+", objective) or booster not in ("gbtree", "gblinear", "dart"):
        raise ValueError("there is no name of an objective")


FORMAT = Format(
    name="xgboost",
    model_types=("XGBoost",),
    wants="one *.json, *.ubj, *.m, *.model or *.pkl",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
    by_type_only=True,
)
