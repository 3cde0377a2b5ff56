"""Verifications that an earlier release stored read, and those that had not ended are looked at again.

`former_documents.json` holds bodies as the service stored them then. Audits are kept in the same way.
"""

import json
from pathlib import Path
from typing import Any

from modelyard_store.watched import SILENT_MS
from modelyard_version.domain.verification import asked
from modelyard_version.repository.checks import VERIFICATIONS, verifications_in
from modelyard_work.revival import Revival

from .conftest import Register

FORMER: dict[str, Any] = json.loads((Path(__file__).parent / "former_documents.json").read_text("utf-8"))


async def test_they_read_and_are_looked_at_again(register: Register) -> None:
    now = [10_000]
    checks = verifications_in(register.documents, lambda: None, lambda: now[0])
    for identifier, body in FORMER["verifications"].items():
        await register.documents.add(VERIFICATIONS, identifier, body)
    known = [await checks.get("mine", identifier) for identifier in ("waiting", "running", "failed")]
    assert [each and (each.state, each.attempt, each.reason) for each in known] == [
        ("waiting", 0, None),
        ("running", 1, None),
        ("failed", 1, "it was tried 12 times"),
    ]
    assert await checks.adopt() == 2
    now[0] += 2 * SILENT_MS
    assert await Revival(checks, asked).sweep() == 2
