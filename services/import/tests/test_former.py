"""Imports that an earlier release stored read, show what they showed, and are worked on.

`former_documents.json` holds bodies as the service stored them then, and what it showed of them.
"""

import json
from pathlib import Path
from typing import Any

from modelyard_contracts.outcome import Cause
from modelyard_import.domain.imports import asked_again, start, view
from modelyard_import.repository import IMPORTS, Repository
from modelyard_store.sqlite import SqliteDocuments
from modelyard_store.watched import SILENT_MS
from modelyard_work.revival import Revival

FORMER: dict[str, Any] = json.loads((Path(__file__).parent / "former_documents.json").read_text("utf-8"))


async def test_they_read_show_what_they_showed_and_go_on(documents: SqliteDocuments) -> None:
    now = [10_000]
    repository = Repository(documents, lambda: None, lambda: now[0])
    for identifier, body in FORMER["imports"].items():
        await documents.add(IMPORTS, identifier, body)
    for identifier, shown in FORMER["import views"].items():
        job = await repository.imports.get("mine", identifier)
        assert job is not None
        assert view(job).model_dump(mode="json") == shown | {"waits_for": None}
    assert await repository.imports.adopt() == 0, "imports always knew when to be looked at"
    now[0] += 2 * SILENT_MS
    assert await Revival(repository.imports, lambda job: asked_again(job, now=now[0])).sweep() == 3
    taken = await repository.imports.take("let-go", lambda job, _: start(job, now=now[0]), Cause("c"), 1000)
    assert taken is not None
    assert (taken.value.attempt, taken.value.folder, taken.value.pins) == (2, 1, "x"), "it goes on where it was"
    assert await repository.imports.take("failed", lambda job, _: start(job, now=now[0]), Cause("c"), 1000) is None
