"""What a document has told stays with it for a while, and is told again when nobody can have heard it."""

from dataclasses import dataclass, replace

import pytest

from modelyard_contracts.catalogue import VERSION_FAILED
from modelyard_contracts.events import VersionFailed
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.documents import Collection, Documents
from modelyard_store.outbox import KEPT_MS, TOLD, Outbox
from modelyard_store.watched import SILENT_MS, Watched, due_by

FACT = VersionFailed(model_id="m", model_name="n", model_version="1.0.0", code="c", reason="r")
CAUSE = Cause("c-1")


@dataclass(frozen=True)
class Wish:
    project: str
    state: str


class Shop:
    """Wishes on a store, with a clock and a relay that publishes nothing."""

    def __init__(self, documents: Documents, collection: Collection) -> None:
        self.now = 1_000
        self.nudged = 0
        self.ids: dict[str, object] = {}
        self.outbox = Outbox(documents, collection, lambda: self.now)
        self.wishes = Watched(
            documents, collection, Wish, "version", self._nudge,
            now=lambda: self.now, waits_by="state", waits_in=("open",),
        )  # fmt: skip

    def _nudge(self) -> None:
        self.nudged += 1

    async def relayed(self) -> list[str]:
        """Publishes what waits; document and number of each message, in order. One that is said again has its id."""
        said: list[str] = []
        for pending in await self.outbox.pending(1000):
            for message in pending.messages:
                name = f"{pending.id}:{message.seq}"
                assert self.ids.setdefault(name, message.envelope["id"]) == message.envelope["id"]
                said.append(name)
            await self.outbox.trim(pending.id, pending.messages[-1].seq)
        return said

    async def wish(self, identifier: str = "w") -> None:
        await self.wishes.add("p", identifier, Outcome(Wish("p", "open"), ((VERSION_FAILED, FACT),)), CAUSE)

    async def end(self, identifier: str = "w") -> None:
        def ended(value: Wish) -> Outcome[Wish]:
            return Outcome(replace(value, state="done"), ((VERSION_FAILED, FACT),))

        await self.wishes.change("p", identifier, ended, CAUSE)


@pytest.fixture
def versions() -> Collection:
    return Collection("versions", indexes=(due_by("state"), TOLD))


@pytest.fixture
def shop(documents: Documents, versions: Collection) -> Shop:
    return Shop(documents, versions)


async def test_all_is_said_again_under_the_same_ids_and_in_order(shop: Shop) -> None:
    for name in ("a", "b"):
        await shop.wish(name)
    assert await shop.relayed() == ["a:1", "b:1"]
    await shop.end("a")
    assert await shop.outbox.say_again() == 2
    assert await shop.relayed() == ["a:1", "a:2", "b:1"]
    assert await shop.relayed() == []


async def test_what_is_said_again_is_not_lost_when_only_half_of_it_goes_out(shop: Shop) -> None:
    await shop.wish()
    await shop.end()
    await shop.relayed()
    await shop.outbox.say_again()
    await shop.outbox.trim("w", 1)
    assert await shop.relayed() == ["w:2"]
    await shop.outbox.say_again()
    assert await shop.relayed() == ["w:1", "w:2"]


async def test_a_thousand_documents_are_said_again_page_by_page(shop: Shop) -> None:
    for number in range(250):
        await shop.wish(f"w{number:03d}")
    await shop.relayed()
    assert await shop.outbox.say_again() == 250
    assert len(await shop.relayed()) == 250


async def test_it_is_forgotten_after_a_while_but_for_what_still_waits(shop: Shop) -> None:
    for name in ("ended", "open"):
        await shop.wish(name)
    await shop.end("ended")
    await shop.relayed()
    await shop.outbox.forget_told()
    shop.now += KEPT_MS + 1
    await shop.outbox.forget_told()
    assert await shop.outbox.say_again() == 1
    assert await shop.relayed() == ["open:1"]


async def test_one_that_waits_says_again_what_it_has_told(shop: Shop) -> None:
    await shop.wish()
    await shop.relayed()
    assert await shop.wishes.due() == []
    shop.now += SILENT_MS
    assert await shop.wishes.due() == ["w"]
    assert await shop.wishes.revive("w")
    assert shop.nudged == 2
    assert await shop.relayed() == ["w:1"]
    shop.now += SILENT_MS - 1
    assert await shop.wishes.due() == []
    await shop.end()
    shop.now += 100 * SILENT_MS
    assert await shop.wishes.due() == []


async def test_who_asks_long_after_the_end_hears_it_again(shop: Shop) -> None:
    await shop.wish()
    await shop.relayed()
    shop.now += SILENT_MS
    await shop.wishes.remind("w")
    assert await shop.relayed() == [], "it has not ended"
    await shop.end()
    await shop.relayed()
    await shop.wishes.remind("w")
    assert await shop.relayed() == [], "its end was told just now"
    shop.now += SILENT_MS
    await shop.wishes.remind("w")
    assert await shop.relayed() == ["w:1", "w:2"]
    await shop.wishes.remind("nobody")


async def test_documents_of_the_release_before_are_watched_too(
    shop: Shop, documents: Documents, versions: Collection
) -> None:
    await documents.add(versions, "old", {"project": "p", "state": "open"})
    await documents.add(versions, "over", {"project": "p", "state": "done"})
    assert await shop.wishes.adopt() == 1
    shop.now += SILENT_MS
    assert await shop.wishes.due() == ["old"]
    await shop.wishes.revive("old")
    assert await shop.relayed() == []
