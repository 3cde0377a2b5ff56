"""What a version came from, and what was made from one thing."""

from typing import Any

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.version.register import GetVersion, ModelName
from modelyard_contracts.shapes import Shape


class TraceLineage(Shape):
    """Everything that was made from one thing: exactly one of the four is given."""

    training_job: str | None = Field(default=None, description="job_id, or job_id/V001 for one run")
    dataset: str | None = Field(default=None, description="digest or URI of a training dataset, or a dataset_id")
    code: str | None = Field(default=None, description="commit, or repository@commit")
    model_name: ModelName | None = None


class LineageNode(Shape):
    """`kind` is dataset, code, training-job, image, template, version, artifact, evaluation, listing or entry."""

    id: str
    kind: str
    label: str
    facts: dict[str, Any] = {}


class LineageEdge(Shape):
    source: str
    target: str
    relation: str


class Lineage(Shape):
    """`cut` says in words what was left out because there is too much of it."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    cut: str | None = None


LINEAGE = Call("version", "lineage", GetVersion, Lineage)
TRACE = Call("version", "trace", TraceLineage, Lineage)
