"""Reads what a dataset's folder holds now. Used when a dataset is created and again by the worker before each run."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from modelyard_contracts.failures import FailureKind, Problem
from modelyard_contracts.shapes import Location
from modelyard_evaluate.domain.datasets import Kind
from modelyard_evaluate.domain.listing import (
    Limits,
    Listed,
    Scan,
    check_samples,
    class_of,
    count_classes,
    is_data,
    scan_images,
    scan_npz,
)
from modelyard_evaluate.errors import DatasetRefused, SourceRefused
from modelyard_runtime.scratch import scratch_folder
from modelyard_store.objects import AccessDenied, NoSuchBucket, Objects


@dataclass(frozen=True, slots=True)
class Scanner:
    objects: Objects
    limits: Limits
    work_dir: Path

    async def scan(self, kind: Kind, location: Location) -> Scan:
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
        return (scan_images if kind == "image-folder" else scan_npz)(listed, self.limits, place)

    async def classes(self, kind: Kind, location: Location, scan: Scan) -> dict[str, int]:
        """Samples per class; for an npz its labels are fetched and read. Raises DatasetRefused."""
        if kind == "image-folder":
            return count_classes(class_of(file) for file in scan.files)
        from modelyard_evaluate.npz import read_labels  # brings numpy, which the service needs for nothing else

        with scratch_folder(self.work_dir, "evaluate") as folder:
            path = folder / "data.npz"
            await self.objects.download(location.bucket, location.prefix + scan.files[0].path, path)
            counted = count_classes(await asyncio.to_thread(read_labels, path))
        check_samples(sum(counted.values()), len(counted), self.limits)
        return counted

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
