"""What a service stands on: clients opened in one place, started and stopped in one order. Used by each bootstrap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from modelyard_bus.calls import CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer
from modelyard_bus.relay import Relay
from modelyard_runtime.health import Check, Readiness
from modelyard_runtime.process import Service, Step
from modelyard_runtime.settings import ServiceSettings
from modelyard_store.documents import Collection, Documents
from modelyard_store.objects import Objects
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox
from modelyard_store.watched import Watched
from modelyard_work.chores import Chore, Chores
from modelyard_work.retelling import STREAMS, Retelling

GRACE_SECONDS: Final = 1.0
"""For handlers to finish when the service stops. A long job takes longer, and is gone on with by the next worker."""
PROOF_SECONDS: Final = 5.0
"""For which a write to the streams is proof enough here: the gateway, whose light is looked at, writes each second."""
LOOK_SECONDS: Final = 5.0
"""Between two looks whether the streams are still those that were told."""


@dataclass(frozen=True)
class Ground:
    """`calls` and `consumer` are bound by the bootstrap before `service` is asked for."""

    name: str
    settings: ServiceSettings
    bus: Bus
    documents: Documents
    relay: Relay
    calls: CallServer
    consumer: Consumer
    telling: Sequence[Collection]

    @classmethod
    async def open(cls, name: str, settings: ServiceSettings, telling: Sequence[Collection]) -> "Ground":
        """`telling` are the collections whose documents have something to say. Raises Unreachable."""
        documents = open_documents(settings.document_url)
        bus = await Bus.connect(BusSettings(**settings.nats(name)))
        relay = Relay(bus, [Outbox(documents, collection) for collection in telling])
        return cls(name, settings, bus, documents, relay, CallServer(bus, name), Consumer(bus, name), telling)

    def service(
        self,
        collections: Sequence[Collection],
        *,
        objects: Objects | None = None,
        watched: Sequence[Watched[Any]] = (),
        workers: Sequence[Step] = (),
        chores: Sequence[Chore] = (),
        closing: Sequence[Step] = (),
        checks: Mapping[str, Check] = MappingProxyType({}),
        confinement: str | None = None,
    ) -> Service:
        """`workers` start before anything is taken, `closing` are what the service opened besides, `confinement` is
        what holds for the children of a worker. Raises ValueError for watched documents whose collection is not
        `telling`: what asks for them would never leave."""
        if mute := [each.collection.name for each in watched if each.collection not in self.telling]:
            raise ValueError(f"{self.name}: {', '.join(mute)} is watched and is not among the telling collections")
        outboxes = [Outbox(self.documents, collection) for collection in self.telling]
        forgetting = (outbox.forget_told for outbox in outboxes)
        cleaning = Chores((*chores, *forgetting), self.settings.housekeeping_seconds)
        retelling = Retelling(self.bus, self.documents, self.name, outboxes, self.relay.nudge)
        looking = Chores((retelling.look,), LOOK_SECONDS)
        bucket = self.settings.artifacts_bucket
        own = {
            "nats": lambda: self.bus.check(PROOF_SECONDS),
            "durables": retelling.check,
            "documents": self.documents.check,
            **checks,
        }

        async def open_collections() -> None:
            await self.documents.open((*collections, STREAMS))
            for each in watched:
                await each.adopt()
            await retelling.look()

        async def stop_consumer() -> None:
            await self.consumer.stop(GRACE_SECONDS)

        return Service(
            name=self.name,
            checks=own if objects is None else own | {"objects": lambda: objects.check(bucket)},
            # Calls before events: the first event of a plan asks whether a worker, perhaps this one, is there.
            start=(
                open_collections, *workers, self.relay.start, self.calls.start, self.consumer.start, cleaning.start,
                looking.start,
            ),
            stop=(
                self.bus.close, self.documents.close, *((objects.close,) if objects else ()), *closing,
                self.relay.stop, self.calls.stop, stop_consumer, cleaning.stop, looking.stop,
            ),
            closed=self.bus.closed,
            stats={"bus": self.bus.stats},
            facts={"confinement": confinement} if confinement else {},
            http_host=self.settings.http_host,
            http_port=self.settings.http_port,
            on_readiness=self._tell_readiness,
        )  # fmt: skip

    def _tell_readiness(self, readiness: Readiness) -> None:
        """To who asks over the bus: the gateway is ready when all are."""
        self.calls.missing = readiness.missing
