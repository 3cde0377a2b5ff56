"""The row of image classification in the tasks' table."""

from modelyard_contracts.catalogue import EVALUATE_IMAGE_CLASSIFICATION
from modelyard_evaluate.tasks.classification import NAME
from modelyard_evaluate.tasks.classification.classes import check
from modelyard_evaluate.tasks.classification.listing import count_images, count_npz, scan_images, scan_npz
from modelyard_evaluate.tasks.classification.scores import compare, headline
from modelyard_evaluate.tasks.task import Kind, Task

TASK = Task(
    name=NAME,
    job=EVALUATE_IMAGE_CLASSIFICATION,
    child="modelyard_evaluate.tasks.classification.child",
    kinds=(Kind("image-folder", scan_images, count_images), Kind("npz", scan_npz, count_npz)),
    check=check,
    compare=compare,
    headline=headline,
)
