"""How documents read that were written when image classification was the only task. Used by the fields it changed.

Runs named no task and kept `correct` beside their metrics; datasets counted under `classes`. A document gets its new
shape when it changes for another reason, if ever.
"""

from typing import Annotated, Any

from pydantic import AliasChoices, Field

TASK = "image-classification"

Counts = Annotated[dict[str, int], Field(validation_alias=AliasChoices("counts", "classes"))]


def scores_as_now(stored: Any) -> Any:
    if isinstance(stored, dict) and "correct" in stored:
        return {**stored, "counts": {"correct": stored["correct"]}}
    return stored
