"""Reads what a dataset's folder holds now. Used when a dataset is created and again by the worker before each run."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from modelyard_contracts.calls.evaluate import DatasetKind
from modelyard_contracts.dataset import Listed, is_data
from modelyard_contracts.failures import FailureKind, Problem
from modelyard_contracts.shapes import Location
from modelyard_evaluate.domain.listing import Counted, Limits, Scan
from modelyard_evaluate.errors import DatasetRefused, SourceRefused
from modelyard_evaluate.tasks.table import kind_of
from modelyard_runtime.scratch import scratch_folder
from modelyard_store.objects import AccessDenied, NoSuchBucket, Objects


@dataclass(frozen=True, slots=True)
class Scanner:
    objects: Objects
    limits: Limits
    work_dir: Path

    async def scan(self, kind: DatasetKind, location: Location) -> Scan:
        """Raises DatasetRefused and SourceRefused."""
        place = f"{location.bucket}/{location.prefix}"
        try:
            listed = [each async for each in self._list(location)]
        except NoSuchBucket as error:
            message = f"bucket {location.bucket!r} does not exist"
            raise SourceRefused(message, field="source.location.bucket", rule="exists") from error
        except AccessDenied as error:
            message = f"{place!r} may not be read by this service"
            raise SourceRefused(message, field="source.location", rule="readable") from error
        return kind_of(kind).scan(listed, self.limits, place)

    async def count(self, kind: DatasetKind, location: Location, scan: Scan) -> Counted:
        """What the listing does not tell is fetched and read. Raises DatasetRefused."""
        with scratch_folder(self.work_dir, "evaluate") as folder:
            read = [folder / str(index) for index in range(len(scan.to_read))]
            for file, path in zip(scan.to_read, read, strict=True):
                await self.objects.download(location.bucket, location.prefix + file.path, path)
            return await asyncio.to_thread(kind_of(kind).count, scan, read, self.limits)

    async def _list(self, location: Location) -> AsyncIterator[Listed]:
        """Stops where there are more files than samples may be, whatever they are."""
        count = 0
        async for found in self.objects.list(location.bucket, location.prefix):
            path = found.key[len(location.prefix) :]
            if path and is_data(path):
                count += 1
                yield Listed(path, found.size, found.etag)
            if count > self.limits.most_samples:
                most = f"at most {self.limits.most_samples} files"
                message = f"there are more than {self.limits.most_samples} files below {location.prefix!r}"
                raise DatasetRefused((Problem(message=message, field="source", rule=most),), FailureKind.TOO_LARGE)
