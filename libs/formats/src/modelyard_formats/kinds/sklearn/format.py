"""scikit-learn: one pickle or joblib file (`*.m`, `*.pkl`, `*.joblib`), read as symbols. Nothing is unpickled."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MAX_TENSORS, MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.pickle.model import class_of, dtype_of, objects_below, read_pickle, shape_of
from modelyard_formats.pickle.values import Made

SUFFIXES = (".m", ".pkl", ".pickle", ".joblib")
_ELSEWHERE = {"xgboost": "XGBoost", "lightgbm": "LightGBM", "torch": "PyTorch"}


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, *SUFFIXES))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name = f"{MODEL_FOLDER}/{files[0]}"
    with read_pickle(folder / files[0], name) as pickled:
        estimator = class_of(pickled.root)
        if not estimator or not isinstance(pickled.root, Made):
            raise bad_source(f"{name} holds no estimator", file=name, rule="one fitted estimator or pipeline")
        other = _ELSEWHERE.get(estimator.partition(".")[0])
        if other:
            rule = f"a scikit-learn estimator, or model_type {other}"
            raise bad_source(f"{name} holds a {estimator[:200]}", file=name, rule=rule)
        return Reading(within_bounds(_inspection(pickled.root, estimator), name), files)


def _inspection(root: Made, estimator: str) -> Inspection:
    inside = list(_estimators(root))
    features = part_with(root, "n_features_in_", step=0)
    classes = part_with(root, "classes_", step=-1)
    count = shape_of(classes) or ()
    version = next((v for each in inside if isinstance(v := each.attributes().get("_sklearn_version"), str)), "")
    details: dict[str, str | int] = {"estimator": estimator[:200]}
    details |= {"features": features} if isinstance(features, int) else {}
    details |= {"classes": count[0]} if len(count) == 1 else {}
    kinds = Counter(class_of(each) for each in inside)
    return Inspection(
        format=FORMAT.name,
        signature=Signature(
            inputs=(TensorSpec(name="X", dtype="float64", shape=(None, _known(features))),),
            outputs=(TensorSpec(name="predict", dtype=label_dtype(dtype_of(classes)), shape=(None,)),),
        ),
        producer=f"scikit-learn {version}".strip()[:200],
        operators=dict(sorted(kinds.items())[:MAX_TENSORS]),
        details=details,
    )


def _estimators(root: Made) -> Iterable[Made]:
    """The root and the estimators in it that know their parameters, in no particular order but the root first."""
    seen = set()
    for value in objects_below(root):
        if (
            isinstance(value, Made)
            and id(value) not in seen
            and (value is root or "_sklearn_version" in value.attributes())
        ):
            seen.add(id(value))
            yield value


def part_with(estimator: object, attribute: str, *, step: int) -> object:
    """The attribute of the estimator, or of the first or last step of a pipeline, or of what a search found best."""
    for _ in range(10):
        known = estimator.attributes() if isinstance(estimator, Made) else {}
        if attribute in known:
            return known[attribute]
        steps = known.get("steps")
        if isinstance(steps, list) and steps and isinstance(steps[step], tuple) and len(steps[step]) == 2:
            estimator = steps[step][1]
        else:
            estimator = known.get("best_estimator_")
    return None


def _known(features: object) -> int | None:
    return features if isinstance(features, int) and features >= 0 else None


def label_dtype(short: str) -> str:
    """What predictions are, from the short dtype of the classes."""
    return {"i": "int64", "u": "int64", "U": "object", "O": "object", "S": "object", "b": "bool"}.get(
        short.lstrip("<>|=")[:1], "float64"
    )


FORMAT = Format(
    name="sklearn",
    model_types=("Scikit_Learn",),
    wants="one *.m, *.pkl or *.joblib",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
    by_type_only=True,
)
