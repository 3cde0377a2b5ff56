"""Free loopback ports for the embedded servers. Called by `servers` and by the test fixtures.

A port is free only until somebody takes it. Three things make that rare: ports are drawn at random from a wide range,
the range lies below the one from which the system gives ports to outgoing connections, and nothing is given out twice
by one process. Servers that choose their own ports start again with others when they lose the race.
"""

import random
import socket
from collections.abc import Iterable

GRPC_OFFSET = 10_000  # SeaweedFS derives inner port numbers by adding this
_LOWEST = 10_240
_HIGHEST = 32_767 - GRPC_OFFSET  # Linux gives outgoing connections 32768 and up
_DRAWS = 1_000

_given: set[int] = set()


def free_port(*offsets: int) -> int:
    """A port that nothing listens on, such that `port + offset` is free too for each offset.

    Raises OSError when no such port is found.
    """
    for _ in range(_DRAWS):
        port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 - spread, not secrecy
        wanted = {port, *(port + offset for offset in offsets)}
        if _given.isdisjoint(wanted) and all_free(wanted):
            _given.update(wanted)
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}")


def all_free(ports: Iterable[int]) -> bool:
    """Whether nothing listens on any of these ports, on loopback or on all addresses."""
    return all(_bindable("127.0.0.1", port) and _bindable("", port) for port in ports)


def _bindable(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # The servers set this as well: a port whose last connections are still in TIME_WAIT is free for them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
