"""`python -m modelyard_bus.declare`: makes streams and durables, once per deployment, with the operator's identity.

Reads MODELYARD_NATS_URL, MODELYARD_NATS_USER (default `operator`), MODELYARD_NATS_PASSWORD and
MODELYARD_NATS_REPLICAS (default 1). Exit status 1, with the reason on stderr, when NATS cannot be reached.
"""

import asyncio
import os
import sys
from collections.abc import Mapping

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.errors import Unreachable
from modelyard_contracts.permissions import OPERATOR


async def declare(environment: Mapping[str, str]) -> None:
    """Raises Unreachable, or nats.js.errors.APIError when JetStream refuses a change."""
    settings = BusSettings(
        url=environment.get("MODELYARD_NATS_URL", "nats://127.0.0.1:4222"),
        name=OPERATOR,
        user=environment.get("MODELYARD_NATS_USER", OPERATOR),
        password=environment.get("MODELYARD_NATS_PASSWORD"),
    )
    bus = await Bus.connect(settings)
    try:
        await bus.declare(replicas=int(environment.get("MODELYARD_NATS_REPLICAS", "1")))
    finally:
        await bus.close()


def main() -> int:
    try:
        asyncio.run(declare(os.environ))
    except Unreachable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
