"""Creating versions: numbers, races, repeats."""

import asyncio
import re
from typing import Any

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls.repeats import created_id
from modelyard_contracts.calls.version import CREATE, CheckNew
from modelyard_contracts.events import VersionRequested
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_store.documents import Query, StoreUnavailable
from modelyard_testkit.faults import Faults
from modelyard_version.errors import Exists
from modelyard_version.repository.history import HISTORY
from modelyard_version.repository.versions import VERSIONS

from .conftest import Register


async def number_of(register: Register, model_id: str) -> str:
    return str((await register.view(model_id)).model_version)


async def test_a_new_version_is_publishing_and_asks_for_its_import(register: Register) -> None:
    model_id = await register.create(description="digits 8x8", labels=("demo",))
    view = await register.view(model_id)
    assert (view.model_status, view.model_version, view.created_by) == ("publishing", "0.0.1", "alice")
    assert (view.description, view.labels, view.model_type, view.model_size) == ("digits 8x8", ("demo",), None, 0)
    [message] = await register.said()
    assert message.type == catalogue.VERSION_REQUESTED.subject
    assert (message.subject, message.project) == (model_id, "p1")
    assert re.fullmatch(f"{model_id}:1:[0-9a-f]{{16}}", message.id), "nobody foresees it, or could take it beforehand"
    assert (message.correlationid, message.source) == ("c-1", "modelyard/version")
    assert VersionRequested.model_validate(message.data).destination.prefix == f"p1/models/{model_id}/source/"


async def test_numbers_go_on_after_the_highest(register: Register) -> None:
    for number in ("0.0.9", "0.0.3"):
        await register.create(model_version=number)
    assert await number_of(register, await register.create()) == "0.0.10"
    await register.create(model_version="0.0.99")
    assert await number_of(register, await register.create()) == "0.1.0"
    assert await number_of(register, await register.create("other")) == "0.0.1"
    assert await number_of(register, await register.create("digits-2")) == "0.0.1"


async def test_after_the_last_number_the_caller_must_name_one(register: Register) -> None:
    await register.create(model_version="99.99.99")
    with pytest.raises(Failure, match=r"99\.99\.99") as caught:
        await register.create()
    assert caught.value.problems[0].field == "model_version"
    await register.create(model_version="0.0.1")


async def test_a_taken_number_is_refused(register: Register) -> None:
    await register.create(model_version="1.0.0")
    with pytest.raises(Failure) as caught:
        await register.create(model_version="1.0.0")
    assert (caught.value.kind, caught.value.code) == (FailureKind.CONFLICT, "ModelArts.3002")
    view_of_another = await register.create(project="p2", model_version="1.0.0")
    assert (await register.view(view_of_another, project="p2")).model_version == "1.0.0"


async def test_a_name_is_checked_without_making_anything(register: Register) -> None:
    model_id = await register.create(model_version="1.0.0")

    async def number(project: str = "p1", **fields: Any) -> str:
        return (await register.creation.check(register.context(project=project), CheckNew(**fields))).model_version

    async def refusal(**fields: Any) -> str:
        with pytest.raises(Failure) as caught:
            await number(**fields)
        assert (caught.value.kind, caught.value.code) == (FailureKind.CONFLICT, "ModelArts.3002")
        return caught.value.message

    assert "1.0.0" in await refusal(model_name="digits", model_version="1.0.0")
    assert "upper and lower case" in await refusal(model_name="Digits")
    await register.delete(model_id)
    assert "never used again" in await refusal(model_name="digits", model_version="1.0.0")
    assert await number(model_name="digits") == "1.0.1"
    assert await number(model_name="other") == "0.0.1"
    assert await number("p2", model_name="digits", model_version="1.0.0") == "1.0.0"
    assert await number_of(register, await register.create()) == "1.0.1"


async def test_of_twenty_that_want_one_number_one_gets_it(either: Register) -> None:
    results = await asyncio.gather(*(either.create(model_version="1.0.0") for _ in range(20)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Failure)]
    assert len(refusals) == 19
    assert {refusal.code for refusal in refusals} == {"ModelArts.3002"}
    assert len(await either.said()) == 1


async def test_of_two_processes_that_want_one_number_the_loser_leaves_nothing(
    either: Register, another_register: Any
) -> None:
    """No document, no record, no message: so no import begins and no object is ever written for it."""
    results = await asyncio.gather(
        *(
            process.create(model_version="1.0.0", description=f"try {n}", key=f"k{n}")
            for n in range(6)
            for process in (either, another_register)
        ),
        return_exceptions=True,
    )
    [winner] = {result for result in results if isinstance(result, str)}
    assert {type(result) for result in results} <= {str, Exists}
    stored = await either.documents.find(VERSIONS, Query())
    assert [document.id for document in stored] == [winner]
    [message] = await either.said()
    assert (message.type, message.subject) == (catalogue.VERSION_REQUESTED.subject, winner)
    records = await either.documents.find(HISTORY, Query())
    assert [document.id for document in records] == [f"{winner}:1"]
    page = await either.listed()
    assert [row.model_id for row in page.models] == [winner]
    with pytest.raises(Exists) as caught:
        await either.create(model_version="1.0.0", key="late")
    assert (caught.value.kind, caught.value.code) == (FailureKind.CONFLICT, "ModelArts.3002")
    assert either.objects.removed == []


async def test_twenty_without_a_number_get_twenty(either: Register) -> None:
    made = await asyncio.gather(*(either.create() for _ in range(20)))
    numbers = {await number_of(either, model_id) for model_id in made}
    assert numbers == {f"0.0.{patch}" for patch in range(1, 21)}


async def test_a_key_makes_one_version(either: Register) -> None:
    made = await asyncio.gather(*(either.create(key="k") for _ in range(5)))
    assert len(set(made)) == 1
    assert len(await either.said()) == 1
    assert await either.create(key="k") == made[0]
    assert await either.create(key="k", project="p2") != made[0]


async def test_a_key_also_answers_for_a_named_number(register: Register) -> None:
    made = await register.create(key="k", model_version="1.0.0")
    assert await register.create(key="k", model_version="1.0.0") == made


async def test_a_key_is_for_one_request(register: Register) -> None:
    await register.create(key="k")
    with pytest.raises(Failure, match="Idempotency-Key was used with another request") as caught:
        await register.create(key="k", description="another")
    assert caught.value.kind == FailureKind.CONFLICT


async def test_a_key_answers_after_the_version_was_deleted(register: Register) -> None:
    made = await register.create(key="k")
    await register.delete(made)
    assert await register.create(key="k") == made
    with pytest.raises(Failure, match="no model"):
        await register.view(made)


async def test_a_repeat_after_a_write_that_happened_makes_no_second_version(register: Register) -> None:
    real = register.documents
    register.build(Faults("add", lost=1).before(real))
    with pytest.raises(StoreUnavailable):
        await register.create(key="k")
    register.build(real)
    assert await register.create(key="k") == created_id(register.context(key="k"), CREATE)
    assert len(await register.said()) == 1
