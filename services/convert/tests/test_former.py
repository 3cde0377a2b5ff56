"""Conversions that an earlier release stored read, show what they showed, and are worked on.

`former_documents.json` holds bodies as the service stored them then, and what it showed of them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.outcome import Cause
from modelyard_convert import domain
from modelyard_convert.bootstrap import asked_again
from modelyard_convert.repository import CONVERSIONS
from modelyard_runtime.clock import now_ms
from modelyard_store.watched import SILENT_MS
from modelyard_work.revival import Revival

FORMER: dict[str, Any] = json.loads((Path(__file__).parent / "former_documents.json").read_text("utf-8"))


@pytest.fixture
async def former(yard: Any) -> Any:
    for identifier, body in FORMER["conversions"].items():
        await yard.documents.add(CONVERSIONS, identifier, body)
    return yard


async def test_they_show_what_they_showed(former: Any) -> None:
    shown = {name: domain.view(await former.known(name)).model_dump(mode="json") for name in FORMER["conversions"]}
    assert shown == {name: view | {"kept_until": None} for name, view in FORMER["conversion views"].items()}


async def test_those_that_are_open_are_looked_at_again(former: Any) -> None:
    assert await former.repository.conversions.adopt() == 3
    former.now = lambda: now_ms() + SILENT_MS + 1000
    assert await Revival(former.repository.conversions, asked_again).sweep() == 3


async def test_an_attempt_goes_on_counting(former: Any) -> None:
    counts = []
    for name in ("waiting", "running", "let-go", "failed"):
        taken = await former.repository.conversions.take(name, lambda found, _: domain.begun(found), Cause("c"), 1000)
        counts.append(taken and (taken.value.attempt, taken.counts.deaths))
    assert counts == [(1, 0), (2, 1), (2, 1), None]
