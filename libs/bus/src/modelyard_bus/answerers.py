"""One question to a service, and who is known not to answer. Used by `calls`.

A question waits for as long as its work takes, but only while somebody is there: who waits asks in between whether the
service still hears (`PROBE`, which is answered before any work). A service that is known to be silent is asked that
first, so an outage is told at once, and its end is noticed by the next call.
"""

import asyncio
from typing import Any, Final

import nats.errors
import structlog
from nats.aio.msg import Msg

from modelyard_bus.connection import Bus
from modelyard_contracts import codes
from modelyard_contracts.calls import Call
from modelyard_contracts.failures import Failure, FailureKind

log = structlog.get_logger()

PROBE: Final = "Modelyard-Probe"
"""A request with this header asks whether somebody is there ("1"), or what he misses (READY)."""
READY: Final = "ready"
INTERRUPTION: Final = 0.5  # seconds without NATS that a call waits out
_LOOK_EVERY: Final = 0.5  # seconds
_PROBED_WITHIN: Final = 1.0
_SILENT_WITHIN: Final = 0.5  # for a service that was silent before
_LOOKS_BEFORE_PROBE: Final = 2


class Answerers:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._silent: set[str] = set()

    async def ask(self, call: Call[Any, Any], data: bytes, timeout: float) -> Msg:
        """Raises Failure when nobody answers within `timeout` seconds, or nobody can."""
        if not await self._bus.connected(INTERRUPTION):
            raise _away(f"{_name(call)} cannot be asked: no connection to NATS")
        if call.service in self._silent and not await self.hears(call, _SILENT_WITHIN):
            raise _away(f"the {call.service} service does not answer")
        asked = asyncio.ensure_future(self._bus.nats.request(call.subject, data, timeout=timeout))
        try:
            await self._until_answered(call, asked)
            return await asked
        except nats.errors.NoRespondersError as error:
            text = f"no worker answers {_name(call)}: the {call.service} service is away"
            raise Failure(FailureKind.UNAVAILABLE, codes.NO_WORKER, text) from error
        except nats.errors.TimeoutError as error:
            raise _away(f"{_name(call)} did not answer within {timeout:g} s") from error
        except (nats.errors.Error, OSError) as error:
            raise _away(f"{_name(call)} cannot be asked: no connection to NATS") from error
        finally:
            asked.cancel()

    async def hears(self, call: Call[Any, Any], within: float = _PROBED_WITHIN) -> bool:
        """Someone is there to answer it. What is learned is for all calls of the service."""
        try:
            await self._bus.nats.request(call.subject, b"", timeout=within, headers={PROBE: "1"})
        except nats.errors.NoRespondersError:  # that is told at once as it is
            self._silent.discard(call.service)
            return False
        except (nats.errors.Error, OSError):
            self._silent.add(call.service)
            return False
        self._silent.discard(call.service)
        return True

    async def missing(self, call: Call[Any, Any], within: float) -> str | None:
        """What the service misses, in words; None when it is ready. `within` seconds for that it hears, and as many for
        what it says."""
        if await self.hears(call, within):
            try:
                told = await self._bus.nats.request(call.subject, b"", timeout=within, headers={PROBE: READY})
            except (nats.errors.Error, OSError) as error:
                log.info("readiness_unknown", service=call.service, error=str(error))
            else:
                return f"the {call.service} service: {told.data.decode()}" if told.data else None
        return f"the {call.service} service does not answer"

    async def _until_answered(self, call: Call[Any, Any], asked: asyncio.Future[Msg]) -> None:
        """Raises Failure when nobody is there any more. Twice unheard, since one probe may meet a busy moment."""
        looks = 0
        while not (await asyncio.wait({asked}, timeout=_LOOK_EVERY))[0]:
            looks += 1
            if not self._bus.nats.is_connected:
                raise _away(f"{_name(call)} was not answered: the connection to NATS is lost")
            if looks < _LOOKS_BEFORE_PROBE and call.service not in self._silent:
                continue
            if not await self.hears(call) and not await self.hears(call) and not asked.done():
                raise _away(f"the {call.service} service does not answer")


def _name(call: Call[Any, Any]) -> str:
    return f"{call.service}.{call.verb}"


def _away(text: str) -> Failure:
    return Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, text)
