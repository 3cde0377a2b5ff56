"""Lineage asks for dotted fields and for members of lists: each has an index that finds and orders."""

import pytest

from modelyard_store.documents import Equals, Has, Query, Sort
from modelyard_version.repository.versions import VERSIONS

from .conftest import Register


@pytest.mark.parametrize(
    "fields",
    [
        ("training.job_id",),
        ("training.job_id", "training.job_version"),
        ("training.dataset.digest",),
        ("training.dataset.uri",),
        ("training.code.commit",),
        ("training.code.commit", "training.code.repository"),
        ("source.training_job_id",),
        ("evaluated_on",),
        ("imported_from",),
    ],
)
async def test_every_trace_has_its_index(register: Register, fields: tuple[str, ...]) -> None:
    await register.published()
    where = (
        Equals("project", "p1"),
        *(Has(name, "x") if name in VERSIONS.members else Equals(name, "x") for name in fields),
    )
    plan = await register.documents.explain(VERSIONS, Query(where=where, sort=(Sort("create_at", descending=True),)))
    assert plan is not None
    assert fields[-1].rpartition(".")[2] in plan
    assert not plan.endswith("+ sort")
