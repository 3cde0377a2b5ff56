"""What the bus did, counted. `Bus.stats` holds one; everything in this package adds to it."""

from dataclasses import dataclass


@dataclass(slots=True)
class BusStats:
    """Counts since the start of the process; the runtime exports them as metrics."""

    published: int = 0
    publish_retries: int = 0
    publish_failures: int = 0
    acked: int = 0
    retried: int = 0
    dead_lettered: int = 0
    interrupted: int = 0
    calls_answered: int = 0
    calls_failed: int = 0
    relayed: int = 0
    relay_failures: int = 0
    reconnects: int = 0
    refused: int = 0
