"""A process that owns servers, for tests that kill it: `owner.py FOLDER [--orphan]`.

With `--orphan` its only server is one that outlives it, as on a system without PR_SET_PDEATHSIG.
"""

import asyncio
import os
import sys
from pathlib import Path

from modelyard_local import child
from modelyard_local.child import ChildServer
from modelyard_local.servers import NatsServer, S3Server


async def main(folder: Path, orphan: bool) -> None:
    servers: list[ChildServer] = [NatsServer(folder / "nats", lambda store, port: os.environ["NATS_USERS"])]
    if orphan:
        child.before_program = lambda command: command  # type: ignore[attr-defined]  # imported there
    else:
        servers.append(S3Server(folder / "s3", "yard-key", "yard-secret"))
    await asyncio.gather(*(server.start() for server in servers))
    sys.stdout.write("started\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), "--orphan" in sys.argv))
