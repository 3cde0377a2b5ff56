"""Aliases: where they point, who moved them, and that they never point at a deleted version whatever fails when."""

import asyncio
import itertools
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import AliasView, ListAliases, SetAlias
from modelyard_contracts.events import VersionAliased
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_store.documents import StoreUnavailable
from modelyard_testkit.faults import WRITES, Faults, meanwhile

from .conftest import Register


def jittery(documents: Any, seed: int) -> Any:
    """Documents that let other callers in before every operation."""
    dice = random.Random(seed)

    async def wait() -> None:
        for _ in range(dice.randrange(8)):
            await asyncio.sleep(0)

    return meanwhile(documents, wait)


async def aliases(register: Register) -> dict[str, AliasView]:
    found = await register.aliasing.list_aliases(register.context(), ListAliases(model_name="digits"))
    return {view.alias: view for view in found.aliases}


async def hear(register: Register) -> None:
    """Deliver every alias event, twice."""
    for message in await register.said():
        if message.type == catalogue.VERSION_ALIASED.subject:
            for _ in range(2):
                await register.aliasing.on_aliased(message, VersionAliased.model_validate(message.data))


async def living(register: Register, model_id: str) -> bool:
    return await register.versions.get("p1", model_id) is not None


async def test_an_alias_is_moved_only_while_it_is_held_or_only_while_it_is_not(register: Register) -> None:
    await register.published()
    await register.published()

    async def asked(number: str | None, held: bool) -> None:
        request = SetAlias(model_name="digits", alias="prod", model_version=number, held=held)
        await register.aliasing.set_alias(register.context(), request)

    for number in ("0.0.1", None):
        with pytest.raises(Failure, match="held by no version"):
            await asked(number, held=True)
    await asked("0.0.1", held=False)
    with pytest.raises(Failure, match="held already"):
        await asked("0.0.2", held=False)
    assert (await aliases(register))["prod"].model_version == "0.0.1"
    await asked("0.0.2", held=True)
    await asked(None, held=True)
    assert not await aliases(register)


async def test_an_alias_points_at_a_version_and_says_so(register: Register) -> None:
    model_id = await register.published()
    await register.said()
    await register.alias("prod", "0.0.1")
    await register.alias("prod", "0.0.1")
    view = (await aliases(register))["prod"]
    assert (view.model_id, view.model_version, view.moved_by, view.moved_at) == (
        model_id,
        "0.0.1",
        "alice",
        register.now,
    )
    [message] = await register.said()
    assert message.type == catalogue.VERSION_ALIASED.subject
    assert message.data["model_id"] == model_id
    assert (await register.view(model_id)).in_use == ("held by alias 'prod'",)


async def test_moving_and_removing_let_the_former_version_go(register: Register) -> None:
    first, second = await register.published(), await register.published()
    await register.alias("prod", "0.0.1")
    await register.alias("prod", "0.0.2")
    assert (await register.view(first)).aliases == ()
    assert (await register.view(second)).aliases == ("prod",)
    await register.alias("prod", None)
    assert await aliases(register) == {}
    assert (await register.view(second)).in_use == ()
    with pytest.raises(Failure) as caught:
        await register.alias("prod", None)
    assert caught.value.kind == FailureKind.NOT_FOUND
    history = (await register.aliases.get("p1", "digits", "prod")).history
    assert [move.model_id for move in history] == [first, second, None]


async def test_only_a_published_version_of_the_name_can_be_pointed_at(register: Register) -> None:
    await register.create()
    await register.published("other", model_version="2.0.0")
    with pytest.raises(Failure, match="publishing"):
        await register.alias("prod", "0.0.1")
    with pytest.raises(Failure) as caught:
        await register.alias("prod", "2.0.0")
    assert caught.value.kind == FailureKind.NOT_FOUND
    assert await aliases(register) == {}


@pytest.mark.parametrize("happened", [True, False], ids=["happened", "did-not"])
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "left"])
async def test_a_move_that_broke_off_leaves_nothing_wrong(
    either: Register, at: int, happened: bool, repeated: bool
) -> None:
    """A move is three writes. After a failure of any of them a repeat finishes it; left alone it holds nothing."""
    first, second = await either.published(), await either.published()
    await either.alias("prod", "0.0.1")
    real = either.documents
    faults = Faults(*WRITES, passing=at - 1, lost=happened, away=not happened)
    either.build(faults.before(real))
    with pytest.raises(StoreUnavailable):
        await either.alias("prod", "0.0.2")
    either.build(real)
    if repeated:
        await either.alias("prod", "0.0.2")
    await hear(either)

    held = (await aliases(either))["prod"].model_id
    free = first if held == second else second
    if repeated:
        assert held == second
    assert (await either.delete(held)).delete_failed_list[0].error_code == "ModelArts.3009"
    assert (await either.delete(free)).delete_success_list == (free,)
    assert (await either.view(held)).aliases == ("prod",)


async def test_a_first_move_that_broke_off_can_be_overruled(register: Register) -> None:
    """The mark is there, the alias document is not: the deletion makes it, so that the move cannot come late."""
    model_id = await register.published()
    real = register.documents
    register.build(Faults(*WRITES, passing=1, away=1).before(real))
    with pytest.raises(StoreUnavailable):
        await register.alias("prod", "0.0.1")
    register.build(real)
    assert (await register.delete(model_id)).delete_success_list == (model_id,)
    assert await aliases(register) == {}
    assert (await register.aliases.get("p1", "digits", "prod")).move == 1


async def test_a_move_that_lost_to_a_deletion_does_not_come_late(register: Register) -> None:
    """The move has marked the version and is about to save the alias; just then the version is deleted."""
    first, second = await register.published(), await register.published()
    await register.alias("prod", "0.0.1")
    real = register.documents

    writes = itertools.count(1)

    async def interrupt() -> None:
        if next(writes) == 2:
            register.build(real)
            assert (await register.delete(second)).delete_success_list == (second,)

    register.build(meanwhile(real, interrupt, *WRITES))
    with pytest.raises(Failure) as caught:
        await register.alias("prod", "0.0.2")
    assert caught.value.kind == FailureKind.NOT_FOUND
    assert (await aliases(register))["prod"].model_id == first


@pytest.mark.parametrize("at", range(1, 5))
async def test_a_deletion_that_broke_off_can_be_repeated(register: Register, at: int) -> None:
    """The version carries the mark of a broken move: fence, release, tombstone; each may fail after it happened."""
    first, second = await register.published(), await register.published()
    await register.alias("prod", "0.0.1")
    real = register.documents
    register.build(Faults(*WRITES, passing=1, away=1).before(real))
    with pytest.raises(StoreUnavailable):
        await register.alias("prod", "0.0.2")
    faults = Faults(*WRITES, passing=at - 1, lost=1)
    register.build(faults.before(real))
    try:
        await register.delete(second)
        assert faults.seen == 3
    except StoreUnavailable:
        register.build(real)
        if await living(register, second):
            await register.delete(second)
    assert not await living(register, second)
    assert (await aliases(register))["prod"].model_id == first


@pytest.mark.parametrize("seed", range(25))
async def test_moves_and_deletions_at_once_agree(register: Register, seed: int) -> None:
    made = [await register.published() for _ in range(3)]
    await register.alias("prod", "0.0.1")
    real = register.documents
    register.build(jittery(real, seed))
    order = random.Random(seed)
    work: list[Coroutine[Any, Any, object]] = [
        register.alias(alias, f"0.0.{n}") for n in (1, 2, 3) for alias in ("prod", "next")
    ]
    work += [register.delete(model_id) for model_id in made[:2]]
    order.shuffle(work)
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(o, Failure) for o in outcomes if isinstance(o, BaseException)), outcomes
    register.build(real)
    await hear(register)

    pointed = {view.model_id for view in (await aliases(register)).values()}
    for model_id in made:
        if await living(register, model_id):
            report = await register.delete(model_id)
            assert bool(report.delete_failed_list) == (model_id in pointed)
        else:
            assert model_id not in pointed
