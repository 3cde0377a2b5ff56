"""Fills the version service's documents with versions in their real shape, while no stack is running."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from modelyard_contracts.calls.version import Specification
from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.ids import new_id
from modelyard_contracts.outcome import Cause
from modelyard_contracts.shapes import Location, Plan, StorageSource
from modelyard_store.documents import Body, Documents
from modelyard_store.opening import open_documents
from modelyard_version.domain.numbers import number_of, order_of
from modelyard_version.domain.versions import GENESIS, Version, VersionOutcome, published
from modelyard_version.repository.derived import derived
from modelyard_version.repository.versions import COLLECTIONS, VERSIONS, VersionRepository

_GOLDEN = Path(__file__).parents[2] / "libs/contracts/golden/modelyard.evt.import.succeeded.v1.json"
_VERSION = TypeAdapter(Version)
_PER_NAME = 50
_AT_ONCE = 500
YEAR_BEGAN = 1_735_689_600_000  # 2025-01-01
YEAR = 365 * 86_400_000  # ms
LABELS = {"nightly": 0.3, "reviewed": 0.05, "candidate": 0.01, "incident": 0.001}
"""Each with the share of versions that carry it."""
WORDS = ("retrained", "baseline", "distilled", "experimental", "handwriting")


async def seed(file: Path, have: int, want: int) -> list[str]:
    """Adds versions `have`…`want`, 50 of each name; their ids."""
    documents = open_documents(f"sqlite:///{file}")
    await documents.open(COLLECTIONS)
    template = _template(have)
    await VersionRepository(documents, lambda: None).add(VersionOutcome(template), Cause("seed"))
    template_body = await _body(documents, template.model_id)
    ids = [new_id() for _ in range(want - have - 1)]
    for start in range(0, len(ids), _AT_ONCE):
        bodies = {}
        for place in range(start, min(start + _AT_ONCE, len(ids))):
            name, order = divmod(have + place, _PER_NAME)
            bodies[ids[place]] = _varied(
                template_body,
                model_id=ids[place],
                model_name=f"seeded-{name:06}",
                model_version=number_of(order + 1),
                version_order=order + 1,
                create_at=template_body["create_at"] + place,
            )
        await asyncio.gather(*(documents.add(VERSIONS, id, body) for id, body in bodies.items()))
    await documents.close()
    return [template.model_id, *ids]


async def seed_beside(url: str, name: str, versions: int, names: int) -> list[str]:
    """As `mlflow_seed` does: `name` with many versions, every 200th labelled `rare`, and many names with one."""
    documents = open_documents(url)
    await documents.open(COLLECTIONS)
    template = _template(0)
    await VersionRepository(documents, lambda: None).add(VersionOutcome(template), Cause("seed"))
    template_body = await _body(documents, template.model_id)
    wanted = [(name, number) for number in range(1, versions + 1)]
    wanted += [(f"seeded-{number:06}", 1) for number in range(names)]
    ids = [new_id() for _ in wanted]
    for start in range(0, len(ids), _AT_ONCE):
        bodies = {
            id: _varied(
                template_body,
                model_id=id,
                model_name=model_name,
                model_version=number_of(number),
                version_order=number,
                create_at=template_body["create_at"] + number,
                labels=["rare"] if model_name == name and number % 200 == 0 else [],
            )
            for id, (model_name, number) in zip(ids[start : start + _AT_ONCE], wanted[start:], strict=False)
        }
        await asyncio.gather(*(documents.add(VERSIONS, id, body) for id, body in bodies.items()))
    await documents.close()
    return ids


async def seed_searched(file: Path, versions: int) -> None:
    """One year of versions, as many each day: accuracies spread evenly, labels from frequent to rare, some words."""
    documents = open_documents(f"sqlite:///{file}")
    await documents.open(COLLECTIONS)
    template = _template(0)
    await VersionRepository(documents, lambda: None).add(VersionOutcome(template), Cause("seed"))
    template_body = await _body(documents, template.model_id)
    chance = random.Random(1)
    numbers = range(versions - 1)
    for start in range(0, len(numbers), _AT_ONCE):
        bodies = {}
        for number in numbers[start : start + _AT_ONCE]:
            name, order = divmod(number, _PER_NAME)
            id = new_id()
            bodies[id] = _varied(
                template_body,
                model_id=id,
                model_name=f"seeded-{name:06}",
                model_version=number_of(order + 1),
                version_order=order + 1,
                create_at=YEAR_BEGAN + number * YEAR // versions,
                description=" ".join(chance.choices(WORDS, weights=(50, 30, 15, 4, 1), k=3)),
                labels=[label for label, share in LABELS.items() if chance.random() < share],
                training={**template_body["training"], "metrics": {"accuracy": round(chance.random(), 6)}},
            )
        await asyncio.gather(*(documents.add(VERSIONS, id, body) for id, body in bodies.items()))
    await documents.close()


def _varied(template: Body, **fields: Any) -> Body:
    """Another version, with what lists look for (`derived`)."""
    body = template | fields | {"home": template["project"]}
    return body | derived(_VERSION.validate_python(body, extra="ignore"))


async def _body(documents: Documents, model_id: str) -> Body:
    """As it is stored, but with nothing to send and a history that has not begun: those belong to one version only."""
    found = await documents.get(VERSIONS, model_id)
    if found is None:
        raise LookupError(model_id)
    return found.body | {"events": [], "outbox": 0, "history_seq": 0, "history_hash": GENESIS}


def _template(have: int) -> Version:
    """A published version with its artifact, as the import service described one."""
    fact = ImportSucceeded.model_validate(json.loads(_GOLDEN.read_text())["data"])
    number = "0.0.1"
    version = Version(
        model_id=new_id(),
        project="default",
        model_name=f"template-{have}",
        model_version=number,
        version_order=order_of(number),
        source=StorageSource(location=Location(bucket="training", prefix="seeded/")),
        specification=Specification(),
        plan=Plan(),
        created_by="service:import",
        create_at=1_700_000_000_000 + have,
        updated_at=1_700_000_000_000 + have,
        request_digest="0" * 64,
        keyed=True,
        description="A classifier of handwritten digits",
        labels=("digits", "seeded"),
        install_type=("real-time", "batch", "edge"),
    )
    outcome = published(version, fact, version.create_at)
    if outcome is None:
        raise RuntimeError("a new version cannot be published")
    return outcome.value
