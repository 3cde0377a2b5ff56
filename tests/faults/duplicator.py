"""A network at its worst: every event and every job is delivered again, at once and once more when all is over."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from modelyard_testkit.yard import Yard, eventually

MARK = "Modelyard-Said-Again"
SUBJECTS = ("modelyard.evt.>", "modelyard.job.>")


@dataclass
class Duplicator:
    """`heard` are the originals. Each goes to its stream a second time under a message id that nobody has seen."""

    yard: Yard
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    repeated: int = 0
    listening: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        connected = await self._connect()

        async def again(message: Msg) -> None:
            if MARK in (message.headers or {}):
                return
            self.heard.append((message.subject, message.data))
            await self._say(connected, message.subject, message.data)

        for subject in SUBJECTS:
            await connected.subscribe(subject, cb=again)
        await connected.flush()
        self.listening.set()
        await asyncio.to_thread(self.over.wait)
        await connected.drain()

    def once_more(self) -> None:
        """All of it, in the order in which it was said."""

        async def say() -> None:
            connected = await self._connect()
            for subject, data in tuple(self.heard):
                await self._say(connected, subject, data)
            await connected.drain()

        asyncio.run(say())

    async def _connect(self) -> Client:
        password = json.loads((self.yard.data / "credentials.json").read_text("utf-8"))["nats"]["operator"]
        return await nats.connect(
            self.yard.details["nats_url"], user="operator", password=password, inbox_prefix=b"_INBOX_operator"
        )

    async def _say(self, connected: Client, subject: str, data: bytes) -> None:
        self.repeated += 1
        headers = {"Nats-Msg-Id": f"again-{id(self)}-{self.repeated}", MARK: "yes"}
        await connected.jetstream().publish(subject, data, headers=headers)


@contextmanager
def doubling(yard: Yard) -> Iterator[Duplicator]:
    duplicator = Duplicator(yard)
    thread = threading.Thread(target=duplicator.run, name="duplicator")
    thread.start()
    try:
        eventually(duplicator.listening.is_set, "a listening duplicator")
        yield duplicator
    finally:
        duplicator.over.set()
        thread.join()
