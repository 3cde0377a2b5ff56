"""Which of the model's scores belongs to which class of the dataset. Used before a run and in the subprocess."""

from collections.abc import Iterable, Sequence

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.package import PackageConfig
from modelyard_evaluate.domain.datasets import Dataset
from modelyard_evaluate.errors import NotEvaluable, named

_RULE = "every class of the dataset is one of `labels` in config.json"


class LabelsDiffer(Failure):
    """The dataset's classes and the model's classes do not fit together."""

    def __init__(self, message: str, *, field: str, rule: str) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.LABELS_DIFFER, message, field=field, rule=rule)


def check(dataset: Dataset, config: PackageConfig | None) -> None:
    """Before a run, of image folders: the names in an npz may be indices. Raises LabelsDiffer."""
    if dataset.kind == "image-folder" and config and config.labels:
        check_known(dataset.counts, config.labels)


def check_known(classes: Iterable[str], labels: Sequence[str]) -> None:
    """Raises LabelsDiffer, naming the classes that the model has no label for and those that it knows."""
    known = frozenset(labels)
    unknown = sorted(set(classes) - known)
    if unknown:
        what = "class" if len(unknown) == 1 else "classes"
        message = f"the model does not know the {what} {named(unknown)}; it knows {named(list(labels))}"
        raise LabelsDiffer(message, field="labels", rule=_RULE)


def labels_for(classes: Iterable[str], labels: Sequence[str], width: int) -> tuple[str, ...]:
    """The name of each of the model's `width` scores. Without labels the sorted class names must be as many.

    Raises LabelsDiffer and NotEvaluable.
    """
    if labels:
        if len(labels) != width:
            message = f"config.json has {len(labels)} labels, the model's score vector has {width} values"
            raise NotEvaluable(message, field="labels", rule="one label per score")
        check_known(classes, labels)
        return tuple(labels)
    names = sorted(set(classes))
    if len(names) != width:
        message = (
            f"the model has {width} scores and config.json has no labels, the dataset has {len(names)} classes: "
            f"{named(names)}; add `labels` to config.json"
        )
        raise LabelsDiffer(message, field="labels", rule="labels, or as many classes as scores")
    return tuple(names)


def labels_for_indices(indices: Iterable[int], labels: Sequence[str], width: int) -> tuple[str, ...]:
    """As `labels_for`, for a dataset that numbers its classes; without labels the names are the numbers."""
    if labels and len(labels) != width:
        return labels_for((), labels, width)
    outside = sorted({index for index in indices if not 0 <= index < width})
    if outside:
        shown = ", ".join(map(str, outside[:10]))
        message = f"the dataset has the label {shown}; the model has {width} scores, numbered 0 to {width - 1}"
        raise LabelsDiffer(message, field="labels", rule=f"0 ≤ label < {width}")
    return tuple(labels) or tuple(str(index) for index in range(width))
