"""Documents stored by the service as it is: `former_documents.json` holds their bodies and what its calls answered."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaluate_yard import Yard, context
from pydantic import BaseModel

from modelyard_contracts.calls import evaluate
from modelyard_contracts.shapes import Role
from modelyard_evaluate.repository import COLLECTIONS

FORMER: dict[str, Any] = json.loads((Path(__file__).parent / "former_documents.json").read_text("utf-8"))


@pytest.fixture
async def former(yard: Yard) -> Yard:
    for collection in COLLECTIONS:
        for identifier, body in FORMER["documents"][collection.name].items():
            await yard.documents.add(collection, identifier, body)
            if body.get("scores"):
                place, result = body["scores"]["location"], FORMER["shown"]["result"]["result"]
                yard.objects.content[place["bucket"], f"{place['prefix']}result.json"] = json.dumps(result).encode()
    for digit in range(10):
        yard.objects.content["datasets", f"held-out/{digit}/1.png"] = b"image"
    yard.version()
    return yard


def shown(view: BaseModel) -> str:
    """As it goes over the wire, with the order of its fields."""
    return json.dumps(view.model_dump(mode="json"))


async def test_they_show_what_they_showed(former: Yard) -> None:
    expected = {name: json.dumps(view) for name, view in FORMER["shown"].items()}
    first = evaluate.GetRun(evaluation_id=FORMER["evaluations"]["compared"], version="V0001")
    entry = evaluate.GetRun(evaluation_id=FORMER["evaluations"]["entry"], version="V0001")
    compared = evaluate.CompareRuns(evaluation_id=FORMER["evaluations"]["compared"])
    assert {
        "datasets": shown(await former.datasets.list(context(Role.ADMIN), evaluate.ListDatasets())),
        "evaluations": shown(await former.evaluations.list(context(), evaluate.ListEvaluations())),
        "comparison": shown(await former.results.compare(context(), compared)),
        "result": shown(await former.results.result(context(), first)),
        "headline": shown(await former.results.result(context(Role.WRITER), entry)),
    } == expected
