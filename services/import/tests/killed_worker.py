"""A worker that is killed in the middle of an import: started by test_faults, it halts before the last copy."""

import asyncio
import os
import sys
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
from modelyard_import.fetching.transfer import Transfer
from modelyard_import.handlers.fetch import FetchJobs
from modelyard_import.repository import COLLECTIONS, Repository
from modelyard_runtime.subprocesses import Limits
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_store.sqlite import SqliteDocuments
from modelyard_work.ending import Policy


class Halting(Inspector):
    async def __call__(self, folder: Path) -> Any:
        sys.stdout.write("in the middle\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def halt(self: Transfer, file: Any) -> Any:
    await asyncio.Event().wait()


async def main(path: str, import_id: str, project: str, bucket: str) -> None:
    objects = Objects.connect(ObjectSettings(os.environ["S3"], os.environ["KEY"], os.environ["SECRET"]))
    documents = SqliteDocuments(Path(path))
    await documents.open(COLLECTIONS)
    repository = Repository(documents, lambda: None, lambda: 1_000_010)
    Transfer.copy = halt  # type: ignore[method-assign]  # the last file never arrives
    images = Images(objects, registry_http(), Registries(()), {}, 0)
    limits, places = PackageLimits(50, 1 << 30), Places((bucket,))
    bring = Bring(repository, objects, Halting(Limits()), images, limits, places, lambda: 1_000_010)
    handler = FetchJobs(repository, objects, cast(Bus, None), bring, lambda: 1_000_010, Policy(lease_ms=10_000))
    envelope = Envelope(source="test", type="test", subject=import_id, project=project, data={})
    await handler.fetch(envelope, ImportJob(import_id=import_id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
