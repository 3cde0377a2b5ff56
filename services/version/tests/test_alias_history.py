"""Who moved an alias when and from where, and which version it held at any time."""

import asyncio
from itertools import pairwise

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import AliasHistory, AliasView, GetAlias
from modelyard_contracts.events import VersionAliased
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_store.documents import Between, Equals, Query
from modelyard_version.domain.aliases import HISTORY
from modelyard_version.repository.moves import MOVES, NEWEST_FIRST

from .conftest import Register


async def hear(register: Register, times: int = 2) -> None:
    for message in await register.said():
        if message.type == catalogue.VERSION_ALIASED.subject:
            for _ in range(times):
                await register.aliasing.on_aliased(message, VersionAliased.model_validate(message.data))


async def held(register: Register, at: int | None = None, *, project: str = "p1") -> AliasView:
    request = GetAlias(model_name="digits", alias="prod", at=at)
    view: AliasView = await register.aliasing.get_alias(register.context(project=project), request)
    return view


async def history(register: Register, at: int | None = None, *, project: str = "p1") -> AliasHistory:
    request = GetAlias(model_name="digits", alias="prod", at=at)
    found: AliasHistory = await register.aliasing.history(register.context(project=project), request)
    return found


async def move(register: Register, at: int, number: str | None) -> None:
    register.now = at
    await register.alias("prod", number)


@pytest.mark.parametrize("stored", [True, False])
async def test_what_was_in_production_when(either: Register, stored: bool) -> None:
    first, second = await either.published(), await either.published()
    start = either.now
    for at, number in ((100, "0.0.1"), (200, "0.0.2"), (300, None), (400, "0.0.1")):
        await move(either, start + at, number)
        if stored:
            await hear(either)
    assert [(await held(either, start + at)).model_id for at in (100, 199, 200, 299, 400, 10**9)] == [
        first, first, second, second, first, first,
    ]  # fmt: skip
    assert (await held(either)).model_id == first
    for at in (99, 300, 399):
        with pytest.raises(Failure) as caught:
            await held(either, start + at)
        assert (caught.value.kind, caught.value.code) == (FailureKind.NOT_FOUND, "ModelArts.3001")
    moves = (await history(either)).moves
    assert [(each.move, each.at - start, each.by, each.model_version) for each in moves] == [
        (4, 400, "alice", "0.0.1"), (3, 300, "alice", None), (2, 200, "alice", "0.0.2"), (1, 100, "alice", "0.0.1"),
    ]  # fmt: skip
    assert [each.previous_model_id for each in moves] == [None, second, first, None]
    assert [each.move for each in (await history(either, start + 250)).moves] == [2, 1]


@pytest.mark.parametrize("heard_until", [0, 3, HISTORY * 2])
async def test_the_whole_history_stays_whatever_is_kept_already(register: Register, heard_until: int) -> None:
    made = [await register.published() for _ in range(2)]
    start, times = register.now, HISTORY * 2
    for number in range(times):
        await move(register, start + number * 10, f"0.0.{number % 2 + 1}")
        if number < heard_until or number < times - HISTORY:
            await hear(register, 1)
    moves = (await history(register)).moves
    assert [each.move for each in moves] == list(range(times, 0, -1))
    for newer, older in pairwise(moves):
        assert (newer.previous_model_id, newer.previous_model_version) == (older.model_id, older.model_version)
    for number in range(times):
        assert (await held(register, start + number * 10 + 9)).model_id == made[number % 2]


async def test_a_version_that_is_gone_is_still_named(register: Register) -> None:
    first, second = await register.published(), await register.published()
    await move(register, register.now + 1, "0.0.1")
    at = register.now
    await move(register, at + 1, "0.0.2")
    await hear(register)
    assert (await register.delete(first)).delete_success_list == (first,)
    assert (await held(register, at)).model_id == first
    assert (await history(register)).moves[0].previous_model_id == first
    assert (await register.delete(second)).delete_failed_list


async def test_time_never_runs_backwards_along_the_moves(register: Register) -> None:
    """The second move comes from a process whose clock is behind."""
    await register.published(), await register.published()
    start = register.now
    await move(register, start + 100, "0.0.1")
    await move(register, start + 50, "0.0.2")
    assert [each.at for each in (await history(register)).moves] == [start + 100, start + 100]
    assert (await held(register, start + 100)).model_version == "0.0.2"


async def test_moves_at_once_leave_one_unbroken_line(either: Register) -> None:
    made = [await either.published() for _ in range(4)]
    await asyncio.gather(*(either.alias("prod", f"0.0.{number}") for number in (1, 2, 3, 4) for _ in range(3)))
    await hear(either)
    moves = (await history(either)).moves
    assert [each.move for each in moves] == sorted({each.move for each in moves}, reverse=True)
    assert moves[-1].previous_model_id is None
    for newer, older in pairwise(moves):
        assert newer.previous_model_id == older.model_id
    assert (await held(either)).model_id == moves[0].model_id
    assert {each.model_id for each in moves} <= set(made)


async def test_another_project_hears_nothing(register: Register) -> None:
    await register.published()
    await register.published(project="p2")
    await register.alias("prod", "0.0.1")
    await hear(register)
    for ask in (held, history):
        for at in (None, register.now):
            with pytest.raises(Failure, match="no alias"):
                await ask(register, at, project="p2")


async def test_one_index_answers(register: Register) -> None:
    where = Equals("project", "p1"), Equals("model_name", "digits"), Equals("alias", "prod"), Between("at", high=5)
    plan = await register.documents.explain(MOVES, Query(where=where, sort=NEWEST_FIRST, limit=1))
    assert plan == "alias_moves (project,model_name,alias,at,move)"
