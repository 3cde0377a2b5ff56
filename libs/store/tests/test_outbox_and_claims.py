"""Messages and claims kept in documents, also when the write happened and the caller got an error."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from modelyard_contracts.outcome import Outcome
from modelyard_store.attempts import Attempts
from modelyard_store.claims import Held, Lost, Trouble, claim, finish, let_go, renew
from modelyard_store.documents import Body, Collection, Document, Documents, Query, Stale, StoreUnavailable
from modelyard_store.outbox import Outbox, add_message
from modelyard_testkit.faults import Faults

Another = Callable[[], Awaitable[Documents]]
STATES = ("queued", "running")


def attempt_of(document: Document) -> int:
    return int(document.body["claim"]["attempt"])


def is_ours(document: Document | None, attempt: int) -> bool:
    """Whether this attempt is the newest one and has not finished."""
    assert document is not None
    return attempt_of(document) == attempt and not document.body["claim"].get("finished")


def body_with_messages(count: int) -> Body:
    body: Body = {"project": "p", "state": "queued"}
    for number in range(count):
        add_message(body, "modelyard.evt.x.v1", {"id": f"m{number}"})
    return body


async def job(documents: Documents, collection: Collection) -> Document:
    return await documents.add(collection, "job", {"project": "p", "state": "queued"})


def test_messages_are_numbered_for_ever() -> None:
    body: Body = {}
    assert [add_message(body, "s", {"id": "a"}), add_message(body, "s", {"id": "b"})] == [1, 2]
    body |= {"events": [], "outbox": 0}
    assert add_message(body, "s", {"id": "c"}) == 3
    assert body == {"events": [{"seq": 3, "subject": "s", "envelope": {"id": "c"}}], "outbox": 1, "event_seq": 3}


def test_adding_a_message_leaves_the_former_list_alone() -> None:
    former: Body = {"events": []}
    add_message(dict(former), "s", {})
    assert former["events"] == []


async def test_pending_and_trim(documents: Documents, versions: Collection) -> None:
    outbox = Outbox(documents, versions)
    await documents.add(versions, "a", body_with_messages(3))
    await documents.add(versions, "b", {"project": "p"})
    (pending,) = await outbox.pending(10)
    assert (pending.id, [message.seq for message in pending.messages]) == ("a", [1, 2, 3])
    assert pending.messages[0].envelope == {"id": "m0"}
    await outbox.trim("a", 2)
    await outbox.trim("a", 2)
    (pending,) = await outbox.pending(10)
    assert [message.seq for message in pending.messages] == [3]
    await outbox.trim("a", 3)
    await outbox.trim("gone", 3)
    assert await outbox.pending(10) == []
    kept = await documents.get(versions, "a")
    assert kept is not None
    assert (kept.revision, kept.body["outbox"], kept.body["event_seq"]) == (3, 0, 3)


async def test_trimming_races_with_saving_and_another_relay(another: Another, versions: Collection) -> None:
    """Every message is seen by a relay at least once, in order, and none is left."""
    service, *relays = [await another() for _ in range(3)]
    await service.add(versions, "a", {"project": "p"})
    seen: list[list[int]] = [[], []]
    done = asyncio.Event()

    async def change() -> None:
        for _ in range(40):
            while True:
                document = await service.get(versions, "a")
                assert document is not None
                add_message(document.body, "s", {})
                try:
                    await service.save(versions, document)
                    break
                except Stale:
                    continue
        done.set()

    async def relay(number: int) -> None:
        outbox = Outbox(relays[number], versions)
        while not (done.is_set() and not await outbox.pending(1)):
            for pending in await outbox.pending(10):
                seen[number] += [message.seq for message in pending.messages]
                await outbox.trim(pending.id, pending.messages[-1].seq)

    await asyncio.gather(change(), relay(0), relay(1))
    assert set(seen[0]) | set(seen[1]) == set(range(1, 41))
    assert all(order == sorted(order) for order in seen)
    final = await service.get(versions, "a")
    assert final is not None
    assert (final.body["events"], final.body["outbox"], final.body["event_seq"]) == ([], 0, 40)


async def test_a_trim_whose_answer_is_lost_loses_and_doubles_nothing(
    documents: Documents, versions: Collection
) -> None:
    await documents.add(versions, "a", body_with_messages(2))
    faults = Faults("save", lost=1)
    outbox = Outbox(faults.before(documents), versions)
    with pytest.raises(StoreUnavailable):
        await outbox.trim("a", 1)
    (pending,) = await outbox.pending(10)
    assert [message.seq for message in pending.messages] == [2]
    await outbox.trim("a", 1)
    faults.away = 1
    with pytest.raises(StoreUnavailable):
        await outbox.trim("a", 2)
    (pending,) = await outbox.pending(10)
    assert [message.seq for message in pending.messages] == [2]


async def test_claim_renew_finish(documents: Documents, versions: Collection) -> None:
    await job(documents, versions)
    taken = await claim(
        documents, versions, "job", now=1000, lease_ms=100, states=STATES, change=lambda b: b.update(state="running")
    )
    assert taken is not None
    assert (attempt_of(taken), taken.body["state"], taken.revision) == (1, "running", 2)
    assert is_ours(taken, 1)
    with pytest.raises(Held) as held:
        await claim(documents, versions, "job", now=1099, lease_ms=100, states=STATES)
    assert held.value.until == 1100
    await renew(documents, versions, "job", 1, now=1090, lease_ms=100, change=lambda b: b.update(progress=0.5))
    with pytest.raises(Held):
        await claim(documents, versions, "job", now=1189, lease_ms=100, states=STATES)
    done = await finish(documents, versions, "job", 1, lambda b: b.update(state="succeeded"))
    assert (done.body["state"], done.body["progress"]) == ("succeeded", 0.5)
    assert not is_ours(done, 1)
    assert await claim(documents, versions, "job", now=5000, lease_ms=100, states=STATES) is None
    assert await claim(documents, versions, "gone", now=5000, lease_ms=100, states=STATES) is None


async def test_a_clock_that_was_set_back_holds_nobody_up(documents: Documents, versions: Collection) -> None:
    """A lease that is longer than any is counted anew: of the dead it ends in time, and who lives renews it."""
    hour = 3_600_000
    await job(documents, versions)
    await claim(documents, versions, "job", now=2 * hour, lease_ms=100, states=STATES)
    with pytest.raises(Held) as held:
        await claim(documents, versions, "job", now=hour, lease_ms=100, states=STATES)
    assert held.value.until == hour + 100
    await renew(documents, versions, "job", 1, now=hour + 90, lease_ms=100)
    with pytest.raises(Held):
        await claim(documents, versions, "job", now=hour + 100, lease_ms=100, states=STATES)
    taken = await claim(documents, versions, "job", now=hour + 190, lease_ms=100, states=STATES)
    assert taken is not None
    assert attempt_of(taken) == 2


async def test_a_clock_that_was_set_forward_lets_one_of_two_finish(documents: Documents, versions: Collection) -> None:
    await job(documents, versions)
    await claim(documents, versions, "job", now=0, lease_ms=100, states=STATES)
    second = await claim(documents, versions, "job", now=3_600_000, lease_ms=100, states=STATES)
    assert second is not None
    with pytest.raises(Lost):
        await finish(documents, versions, "job", 1, dict)
    await finish(documents, versions, "job", 2, dict)


async def test_a_late_worker_is_fenced(documents: Documents, versions: Collection) -> None:
    await job(documents, versions)
    await claim(documents, versions, "job", now=0, lease_ms=100, states=STATES)
    second = await claim(documents, versions, "job", now=100, lease_ms=100, states=STATES)
    assert second is not None
    assert attempt_of(second) == 2
    for late in (
        renew(documents, versions, "job", 1, now=150, lease_ms=100),
        finish(documents, versions, "job", 1, dict),
    ):
        with pytest.raises(Lost):
            await late
    assert await documents.get(versions, "job") == second
    await finish(documents, versions, "job", 2, dict)
    with pytest.raises(Lost):
        await renew(documents, versions, "job", 2, now=160, lease_ms=100)


async def test_an_expired_lease_that_nobody_took_is_still_ours(documents: Documents, versions: Collection) -> None:
    await job(documents, versions)
    await claim(documents, versions, "job", now=0, lease_ms=100, states=STATES)
    assert is_ours(await renew(documents, versions, "job", 1, now=900, lease_ms=100), 1)


async def test_a_job_put_back_gets_a_new_attempt(documents: Documents, versions: Collection) -> None:
    await job(documents, versions)
    await claim(documents, versions, "job", now=0, lease_ms=1000, states=STATES)
    await finish(documents, versions, "job", 1, lambda body: body.update(state="queued"))
    again = await claim(documents, versions, "job", now=1, lease_ms=1000, states=STATES)
    assert again is not None
    assert is_ours(again, 2)


async def test_an_attempt_that_let_go_did_not_die(documents: Documents, versions: Collection) -> None:
    """Nobody else can tell a worker that was stopped from one that was killed."""
    await job(documents, versions)
    counted = []
    troubles: tuple[Trouble | Literal["silence"] | None, ...] = (None, None, "tries", "crashes", "silence", None)
    for now, trouble in enumerate(troubles):
        taken = await claim(documents, versions, "job", now=100 * now, lease_ms=50, states=STATES)
        assert taken is not None
        counted.append([taken.body["claim"].get(name, 0) for name in ("deaths", "tries", "crashes")])
        if trouble != "silence":
            await let_go(documents, versions, "job", now + 1, trouble=trouble)
    assert counted == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 1], [1, 1, 1]]


async def test_a_user_who_changes_a_claimed_aggregate_leaves_the_claim_alone(
    documents: Documents, versions: Collection
) -> None:
    """Otherwise the attempt's number would be given out a second time, and a late worker could write with it."""

    @dataclass(frozen=True)
    class Task:
        project: str
        state: str
        stop: bool = False

    tasks = Attempts(documents, versions, Task, "convert", lambda: None, now=lambda: 0, open_states=STATES)
    await tasks.add("p", "job", Outcome(Task("p", "queued")))
    await claim(documents, versions, "job", now=0, lease_ms=100, states=STATES)
    await tasks.change("p", "job", lambda task: Outcome(replace(task, stop=True)))
    told = await renew(documents, versions, "job", 1, now=50, lease_ms=100)
    assert told.body["stop"]
    again = await claim(documents, versions, "job", now=200, lease_ms=100, states=STATES)
    assert again is not None
    assert attempt_of(again) == 2


async def test_of_racing_claims_one_wins(another: Another, versions: Collection) -> None:
    stores = [await another(), await another()]
    await job(stores[0], versions)

    async def race(number: int) -> bool:
        try:
            return await claim(stores[number % 2], versions, "job", now=0, lease_ms=10, states=STATES) is not None
        except Held:
            return False

    assert sum(await asyncio.gather(*(race(number) for number in range(20)))) == 1


async def test_a_claim_survives_other_writers(another: Another, versions: Collection) -> None:
    """The outbox is trimmed and progress saved while the worker renews."""
    ours, theirs = await another(), await another()
    await job(ours, versions)
    await claim(ours, versions, "job", now=0, lease_ms=10, states=STATES, change=lambda b: add_message(b, "s", {}))

    async def touch() -> None:
        for _ in range(20):
            document = await theirs.get(versions, "job")
            assert document is not None
            try:
                await theirs.save(versions, replace(document, body=document.body | {"touched": True}))
            except Stale:
                continue

    await asyncio.gather(touch(), *(renew(ours, versions, "job", 1, now=n, lease_ms=10) for n in range(5)))
    await Outbox(theirs, versions).trim("job", 1)
    assert is_ours(await ours.get(versions, "job"), 1)


@pytest.mark.parametrize(("lost", "away"), [(1, 0), (0, 1)])
async def test_a_claim_whose_answer_is_lost_is_made_once(
    documents: Documents, versions: Collection, lost: int, away: int
) -> None:
    await job(documents, versions)
    faulty = Faults("save", lost=lost, away=away).before(documents)
    taken = await claim(
        faulty, versions, "job", now=0, lease_ms=100, states=("queued",),
        change=lambda body: (body.update(state="running"), add_message(body, "started", {})),
    )  # fmt: skip
    assert taken is not None
    assert (attempt_of(taken), taken.revision, taken.body["outbox"]) == (1, 2, 1)
    assert taken == await documents.get(versions, "job")


async def test_a_store_that_stays_away_ends_the_claim(documents: Documents, versions: Collection) -> None:
    before = await job(documents, versions)
    faulty = Faults("save", away=9).before(documents)
    with pytest.raises(StoreUnavailable):
        await claim(faulty, versions, "job", now=0, lease_ms=100, states=STATES)
    assert await documents.get(versions, "job") == before


async def test_a_finish_whose_answer_is_lost_is_made_once(documents: Documents, versions: Collection) -> None:
    await job(documents, versions)
    await claim(documents, versions, "job", now=0, lease_ms=100, states=STATES)
    faulty = Faults("save", lost=1).before(documents)

    def succeed(body: Body) -> None:
        add_message(body, "succeeded", {})

    with pytest.raises(StoreUnavailable):
        await finish(faulty, versions, "job", 1, succeed)
    done = await finish(faulty, versions, "job", 1, succeed)
    assert done.body["outbox"] == 1
    assert await documents.find(versions, Query()) == [done]
