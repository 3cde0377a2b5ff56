"""A worker that is killed with half of its copies made: started by test_resume, it halts at its n-th copy or part.

What it has done is saved every 20 ms, so that the test need not wait.
"""

import asyncio
import os
import sys
import threading
from pathlib import Path
from typing import Any, cast

from modelyard_bus.connection import Bus
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import ImportJob
from modelyard_import.domain.images import Registries
from modelyard_import.domain.sources import Places
from modelyard_import.fetching.bring import Bring
from modelyard_import.fetching.image import Images
from modelyard_import.fetching.inspection import Inspector
from modelyard_import.fetching.listing import PackageLimits
from modelyard_import.fetching.registry import registry_http
from modelyard_import.handlers import fetch
from modelyard_import.repository import COLLECTIONS, Repository
from modelyard_runtime.subprocesses import Limits
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_store.sqlite import SqliteDocuments
from modelyard_work import long_job
from modelyard_work.ending import Policy

PART = 6 << 20


class Silent:
    async def announce(self, kind: str, entity_id: str, payload: dict[str, Any]) -> None:
        """Nobody watches."""


class Unmoved(Inspector):
    async def __call__(self, folder: Path) -> Any:
        """Never comes to an end, so that the copies decide."""
        await asyncio.Event().wait()


def halting(real: Any, kind: str, most: int) -> Any:
    """`Minio._execute` that stops for ever at copies of a `part` of a higher number, or of more `whole` objects."""
    asked, counting = 0, threading.Lock()

    def execute(method: str, *args: Any, **more: Any) -> Any:
        nonlocal asked
        part = int((more.get("query_params") or {}).get("partNumber", 0))
        if method == "PUT" and "x-amz-copy-source" in (more.get("headers") or {}):
            with counting:
                asked += not part
                halted = part > most if kind == "part" else asked > most
            if halted:
                threading.Event().wait()
        return real(method, *args, **more)

    return execute


async def main(path: str, import_id: str, project: str, bucket: str, kind: str, most: str, now: str) -> None:
    server = os.environ["S3"], os.environ["KEY"], os.environ["SECRET"]
    objects = Objects.connect(ObjectSettings(*server, copy_part_size=PART))
    objects._client._execute = halting(objects._client._execute, kind, int(most))  # type: ignore[method-assign]  # the halt
    documents = SqliteDocuments(Path(path))
    await documents.open(COLLECTIONS)
    repository = Repository(documents, lambda: None, lambda: int(now))
    images = Images(objects, registry_http(), Registries(()), {}, 0)
    limits, places = PackageLimits(50, 1 << 30), Places((bucket,))
    bring = Bring(repository, objects, Unmoved(Limits()), images, limits, places, lambda: int(now))
    long_job.BEAT_SECONDS = 0.02  # type: ignore[misc]  # a second is what people see, not what a test waits for
    handler = fetch.FetchJobs(
        repository, objects, cast(Bus, Silent()), bring, lambda: int(now), Policy(lease_ms=10_000)
    )
    envelope = Envelope(source="test", type="test", subject=import_id, project=project, data={})
    await handler.fetch(envelope, ImportJob(import_id=import_id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
