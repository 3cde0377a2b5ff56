"""Pages that follow a task: they share one watch, and each of them sees what it should until the task has ended."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message

from modelyard_contracts.calls import convert, evaluate, version
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role
from modelyard_testkit.refusals import refused

from .a_version import a_version

GET = convert.GET.subject
CONVERSION = "conversions/c/progress"
ENDED, CUT = ("", "ended"), ("", "cut")


class Page:
    """A browser page with server-sent events. It is sent no more than it reads: one that does not read is slow."""

    def __init__(self, yard: Any, path: str, headers: dict[str, str]) -> None:
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)
        self._left = asyncio.Event()
        self._asked = False
        self._answering = asyncio.create_task(self._answer(yard.app))

    async def _answer(self, app: Any) -> None:
        await app(self._scope, self._receive, self._sent.put)
        await self._sent.put(None)

    async def _receive(self) -> Message:
        if self._asked:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b""}

    async def event(self) -> tuple[str, Any]:
        """(name, data); ENDED behind the last one, CUT when the stream broke off."""
        while (message := await self._sent.get()) is not None:
            if body := message.get("body"):
                fields = dict(line.split(": ", 1) for line in body.decode().splitlines() if line)
                return fields["event"], json.loads(fields["data"])
            if message["type"] == "http.response.body" and not message.get("more_body"):
                return ENDED
        return CUT

    async def state(self) -> str:
        """Of the next event, which must be a state."""
        name, data = await self.event()
        assert name == "state", data
        return str(data["state"])

    async def leave(self) -> None:
        self._left.set()
        await self._answering

    async def drop(self) -> None:
        self._answering.cancel()
        await asyncio.wait([self._answering])


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def opened(yard) -> AsyncIterator[Open]:
    """Opens pages, each with a token of its own; what is still open at the end is dropped."""
    pages: list[Page] = []

    async def one(path: str = CONVERSION, project: str = "default") -> Page:
        headers = await yard.token(Role.READER, project, f"reader-{len(pages)}")
        pages.append(Page(yard, f"/v1/{project}/{path}", headers))
        return pages[-1]

    yield one
    for page in pages:
        await page.drop()


def becomes(yard: Any, state: str, step: str = "") -> None:
    view = convert.ConversionView.model_construct(conversion_id="c", state=state, progress=step)
    yard.calls.answers[GET] = view


async def test_two_pages_cost_one_question_a_beat_and_both_see_everything(yard, opened) -> None:
    becomes(yard, "initialising")
    pages = [await opened(), await opened()]
    assert [await page.state() for page in pages] == ["initialising"] * 2
    assert len(yard.calls.asked) == 2  # each in its own name: may it see this, and how is it now
    for beat, state in enumerate(("running", "succeeded"), start=1):
        becomes(yard, state)
        await yard.beats.tick()
        assert [await page.state() for page in pages] == [state] * 2
        assert len(yard.calls.asked) == 2 + beat
    assert [await page.event() for page in pages] == [ENDED] * 2
    await yard.announcements.heard_by(0)
    assert yard.beats.waiting == 0


async def test_a_page_that_joins_sees_the_present_at_once_and_then_what_the_others_see(yard, opened) -> None:
    becomes(yard, "initialising")
    first = await opened()
    assert await first.state() == "initialising"
    becomes(yard, "running")
    second = await opened()
    assert await second.state() == "running"
    await yard.beats.tick()
    assert await first.state() == "running"
    becomes(yard, "failed")
    await yard.beats.tick()
    assert [await page.state() for page in (first, second)] == ["failed"] * 2
    assert [await page.event() for page in (first, second)] == [ENDED] * 2


async def test_what_does_not_change_is_not_told_again(yard, opened) -> None:
    becomes(yard, "running", "loading")
    page = await opened()
    assert (await page.event())[1]["progress"] == "loading"
    await yard.beats.tick()
    await yard.beats.tick()
    becomes(yard, "running", "proving")
    await yard.beats.tick()
    assert (await page.event())[1]["progress"] == "proving"


async def test_what_a_worker_announces_reaches_every_page(yard, opened) -> None:
    becomes(yard, "running")
    pages = [await opened(), await opened()]
    assert [await page.state() for page in pages] == ["running"] * 2
    await yard.announcements.announce("conversion", "c", {"log": "第一行"})
    assert [await page.event() for page in pages] == [("progress", {"log": "第一行"})] * 2


async def test_states_are_told_also_where_no_announcement_can_be_heard(yard, opened) -> None:
    yard.announcements.deaf = OSError("no connection")
    becomes(yard, "running")
    page = await opened()
    assert await page.state() == "running"
    becomes(yard, "succeeded")
    await yard.beats.tick()
    assert await page.state() == "succeeded"
    assert await page.event() == ENDED


async def test_the_watch_goes_on_without_the_page_that_began_it_and_ends_with_the_last(yard, opened) -> None:
    becomes(yard, "initialising")
    first, second = await opened(), await opened()
    assert [await page.state() for page in (first, second)] == ["initialising"] * 2
    await first.leave()
    becomes(yard, "running")
    await yard.beats.tick()
    assert await second.state() == "running"
    asked = len(yard.calls.asked)
    await second.leave()
    await yard.announcements.heard_by(0)
    assert (yard.beats.waiting, len(yard.calls.asked)) == (0, asked)
    third = await opened()
    assert await third.state() == "running"
    await yard.beats.tick()  # of a watch of its own


async def test_a_slow_page_holds_nobody_up_and_sees_how_it_ended(yard, opened) -> None:
    becomes(yard, "running", "0")
    slow, fast = await opened(), await opened()
    assert [(await page.event())[1]["progress"] for page in (slow, fast)] == ["0", "0"]
    steps = [str(step) for step in range(1, 10)]
    for step in steps:
        becomes(yard, "succeeded" if step == steps[-1] else "running", step)
        await yard.beats.tick()
        assert (await fast.event())[1]["progress"] == step
    assert await fast.event() == ENDED
    late = [event[1]["progress"] async for event in _rest(slow)]
    assert late == sorted(set(late))
    assert late[-1] == steps[-1]
    assert len(late) < len(steps)  # what was over when the page read again is left out


async def _rest(page: Page) -> AsyncIterator[tuple[str, Any]]:
    while (event := await page.event()) not in (ENDED, CUT):
        yield event


async def test_a_slow_page_keeps_a_bounded_number_of_announcements(yard, opened) -> None:
    becomes(yard, "running")
    slow, fast = await opened(), await opened()
    assert [await page.state() for page in (slow, fast)] == ["running"] * 2
    for number in range(1100):
        await yard.announcements.announce("conversion", "c", {"line": number})
        assert await fast.event() == ("progress", {"line": number})
    becomes(yard, "failed")
    await yard.beats.tick()
    told = [name async for name, _ in _rest(slow)]
    assert told[-1] == "state"
    assert 1000 <= told.count("progress") < 1010


async def test_a_question_that_fails_breaks_off_every_page_and_the_next_page_begins_anew(yard, opened) -> None:
    becomes(yard, "running")
    pages = [await opened(), await opened()]
    assert [await page.state() for page in pages] == ["running"] * 2
    yard.calls.answers[GET] = Failure(FailureKind.UNAVAILABLE, "ModelArts.9002", "convert.get did not answer")
    await yard.beats.tick()
    assert [await page.event() for page in pages] == [CUT] * 2
    becomes(yard, "running", "again")
    page = await opened()
    assert (await page.event())[1]["progress"] == "again"
    becomes(yard, "succeeded")
    await yard.beats.tick()
    assert await page.state() == "succeeded"


async def test_an_unexpected_error_breaks_off_every_page_too(yard, opened) -> None:
    becomes(yard, "running")
    pages = [await opened(), await opened()]
    assert [await page.state() for page in pages] == ["running"] * 2
    del yard.calls.answers[GET]  # the recorder has no answer: KeyError
    await yard.beats.tick()
    assert [await page.event() for page in pages] == [CUT] * 2


async def test_a_watch_that_is_cancelled_from_below_breaks_off_every_page(yard, opened) -> None:
    """As the bus does when it closes; no page may be left with nothing but pings."""
    becomes(yard, "running")
    pages = [await opened(), await opened()]
    assert [await page.state() for page in pages] == ["running"] * 2
    await yard.beats.tick(cancel=True)
    assert [await page.event() for page in pages] == [CUT] * 2


async def test_what_has_ended_is_shown_and_not_watched(yard, opened) -> None:
    becomes(yard, "succeeded")
    page = await opened()
    assert [await page.state(), await page.event()] == ["succeeded", ENDED]
    assert (yard.beats.waiting, yard.announcements.ears) == (0, [])


async def test_what_is_missing_is_a_plain_refusal(yard) -> None:
    yard.calls.answers[GET] = Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "none")
    reply = await yard.http.get(f"/v1/default/{CONVERSION}", headers=await yard.token(Role.READER))
    refused(reply, 404, "ModelArts.3001")
    yard.calls.answers[evaluate.GET.subject] = evaluation("running")
    path = "/v1/default/evaluations/e/versions/V0009/progress"
    refused(await yard.http.get(path, headers=await yard.token(Role.READER, name="b")), 404, "ModelArts.3001")


async def test_two_projects_never_share_a_watch(yard, opened) -> None:
    becomes(yard, "running")
    pages = [await opened(project="default"), await opened(project="theirs")]
    assert [await page.state() for page in pages] == ["running"] * 2
    becomes(yard, "succeeded")
    await yard.beats.tick(waiting=2)
    assert [await page.state() for page in pages] == ["succeeded"] * 2
    assert sorted(context.project for _, context, _ in yard.calls.asked) == ["default"] * 2 + ["theirs"] * 2


def evaluation(state: str) -> evaluate.EvaluationView:
    runs = [evaluate.RunView.model_construct(run_id=f"r{n}", version=f"V000{n}", state=state) for n in (1, 2)]
    return evaluate.EvaluationView.model_construct(evaluation_id="e", versions=tuple(runs))


async def test_a_version_and_a_run_are_followed_by_their_own_names(yard, opened) -> None:
    yard.calls.answers[evaluate.GET.subject] = evaluation("running")
    yard.calls.answers[version.GET.subject] = a_version(model_status="publishing")
    run = await opened("evaluations/e/versions/V0002/progress")
    assert (await run.event())[1]["run_id"] == "r2"
    await yard.announcements.announce("evaluation", "r2", {"done": 7})
    assert await run.event() == ("progress", {"done": 7})
    await run.leave()
    model = await opened("models/m/progress")
    assert (await model.event())[1]["model_status"] == "publishing"
    await yard.announcements.announce("import", "m", {"bytes": 7})
    assert await model.event() == ("progress", {"bytes": 7})
    yard.calls.answers[version.GET.subject] = a_version()
    await yard.beats.tick()
    assert (await model.event())[1]["model_status"] == "published"
    assert await model.event() == ENDED


async def test_pages_beyond_the_limit_are_refused_until_one_is_left(yard, opened) -> None:
    becomes(yard, "running")
    pages = [await opened() for _ in range(3)]
    assert [await page.state() for page in pages] == ["running"] * 3
    path, headers = f"/v1/default/{CONVERSION}", await yard.token(Role.READER)
    refused(await yard.http.get(path, headers=headers), 429, "ModelArts.9429")
    await pages[0].leave()
    assert await (await opened()).state() == "running"
