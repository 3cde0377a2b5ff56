"""What every door reaches behind the gateway: built once in `bootstrap`, kept on the application of each door."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from modelyard_bus.calls import CallClient
from modelyard_bus.connection import Bus
from modelyard_bus.deadletters import DeadLetters
from modelyard_gateway.attempts import Attempts
from modelyard_gateway.lanes import Lanes
from modelyard_gateway.lookups import Lookups
from modelyard_gateway.repository import AccessRepository
from modelyard_gateway.settings import GatewaySettings
from modelyard_gateway.streams import StreamCount
from modelyard_gateway.turns import Turns
from modelyard_gateway.watching import Watches


@dataclass(frozen=True)
class Backends:
    settings: GatewaySettings
    bus: Bus
    calls: CallClient
    access: AccessRepository
    lookups: Lookups
    dead_letters: DeadLetters
    now: Callable[[], int]
    streams: StreamCount
    turns: Turns
    unproven: Lanes  # of bodies that are read to see whether a signature is right
    attempts: Attempts
    watches: Watches


def backends_of(request: Request) -> Backends:
    """The one place that reads the application's untyped state."""
    backends: Backends = request.app.state.backends
    return backends
