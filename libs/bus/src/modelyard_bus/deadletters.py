"""Messages that nobody could take. `consume` buries them here; the gateway and the operator look at them again.

A dead letter is the original bytes plus one header of ASCII JSON, so that it can be replayed exactly as it was.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import nats.js.errors
from nats.aio.msg import Msg
from nats.js import api

from modelyard_bus.connection import Bus
from modelyard_bus.errors import NoSuchDeadLetter
from modelyard_contracts.catalogue import DEAD_LETTERS
from modelyard_contracts.durables import Durable

ABOUT: Final = "Modelyard-Dead-Letter"
HEADROOM: Final = 512
NO_SUCH_MESSAGE: Final = (10037, 10043, 10057)  # NATS error codes: not found, sequence not found, deletion failed


@dataclass(frozen=True, slots=True)
class _About:
    subject: str
    durable: str
    reason: str
    deliveries: int
    time: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`seq` names it; `subject` is where it was first published, `time` when it was given up, `body` its bytes."""

    seq: int
    subject: str
    durable: str
    reason: str
    deliveries: int
    time: datetime
    body: bytes

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The message as JSON; None if it never was a JSON object."""
        try:
            decoded = json.loads(self.body)
        except ValueError:
            return None
        return decoded if isinstance(decoded, dict) else None


async def bury(bus: Bus, durable: Durable, message: Msg, reason: str) -> None:
    """Returns once the copy is stored. A second burial of the same message is swallowed. Raises PublishFailed."""
    about = _About(
        subject=message.subject,
        durable=durable.name,
        reason=reason,
        deliveries=message.metadata.num_delivered,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    headers = {
        "Nats-Msg-Id": f"{durable.name}:{message.metadata.sequence.stream}",
        ABOUT: json.dumps(asdict(about)),
    }
    await bus.store(f"modelyard.dlq.{durable.name}", message.data, headers, bus.nats.max_payload - HEADROOM)


class DeadLetters:
    """For the identities that may: `gateway` and `operator`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def list(self, limit: int = 100, *, after: int = 0) -> tuple[DeadLetter, ...]:
        """Oldest first, those with a `seq` above `after`."""
        found: list[DeadLetter] = []
        while len(found) < limit:
            try:
                letter = await self._get(after + 1, DEAD_LETTERS.subjects[0])
            except NoSuchDeadLetter:
                break
            found.append(letter)
            after = letter.seq
        return tuple(found)

    async def show(self, seq: int) -> DeadLetter:
        """Raises NoSuchDeadLetter."""
        return await self._get(seq, None)

    async def replay(self, seq: int) -> DeadLetter:
        """Publishes the same bytes to the original subject, then drops the dead letter. Raises NoSuchDeadLetter,
        PublishFailed.

        A job has one consumer. An event reaches all its consumers again, also those that had taken it: harmless,
        because every handler is idempotent by the state of its document. The new message id is derived from `seq`:
        it is none the stream has seen, and a replay that was cut off before the drop can be repeated.
        """
        letter = await self.show(seq)
        headers = {"Nats-Msg-Id": f"replay:{letter.durable}:{seq}:{letter.time.timestamp():.3f}"}
        await self._bus.store(letter.subject, letter.body, headers, self._bus.nats.max_payload - HEADROOM)
        await self.drop(seq)
        return letter

    async def drop(self, seq: int) -> None:
        """Raises NoSuchDeadLetter."""
        _check(seq)
        try:
            await self._bus.js.delete_msg(DEAD_LETTERS.name, seq)
        except nats.js.errors.APIError as error:
            if error.err_code not in NO_SUCH_MESSAGE:
                raise
            raise NoSuchDeadLetter(f"dead letter {seq}") from error

    async def _get(self, seq: int, next_of: str | None) -> DeadLetter:
        _check(seq)
        try:
            raw = await self._bus.js.get_msg(DEAD_LETTERS.name, seq, next_of, next=next_of is not None)
        except nats.js.errors.NotFoundError as error:
            raise NoSuchDeadLetter(f"dead letter {seq}") from error
        return _decode(raw)


def _check(seq: int) -> None:
    if seq < 1:
        raise NoSuchDeadLetter(f"dead letter {seq}")


def _decode(raw: api.RawStreamMsg) -> DeadLetter:
    about = json.loads((raw.headers or {})[ABOUT])
    about["time"] = datetime.fromisoformat(about["time"])
    return DeadLetter(seq=raw.seq or 0, body=raw.data or b"", **about)
