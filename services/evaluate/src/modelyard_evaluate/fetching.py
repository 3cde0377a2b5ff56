"""Brings a run's model and samples onto the worker's disk, verified. Called by the job before the subprocess."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from modelyard_contracts.shapes import FileEntry, Location
from modelyard_evaluate.domain.listing import Listed
from modelyard_evaluate.domain.runs import Data, Model
from modelyard_evaluate.errors import ArtifactChanged, ArtifactDamaged, DatasetChanged, NotEvaluable
from modelyard_evaluate.scanning import Scanner
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.objects import NoSuchObject, ObjectChanged, Objects

AT_ONCE: Final = 8
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Fetcher:
    """`most_model` in bytes."""

    objects: Objects
    scanner: Scanner
    most_model: int

    async def model(self, model: Model, root: Path) -> None:
        """`root/model/…`. Raises ArtifactDamaged and ArtifactChanged, naming the file, and NotEvaluable."""
        files = model.model_files
        size = sum(file.size for file in files)
        if size > self.most_model:
            raise NotEvaluable(f"the model has {size} bytes", rule=f"at most {self.most_model} bytes")
        for file in files:
            await self._model_file(model.location, file, root)

    async def _model_file(self, place: Location, file: FileEntry, root: Path) -> None:
        """Files that were not copied are pinned: others than we may write to them."""
        key = place.prefix + file.path
        try:
            path = root / safe_key("", file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            found = await self.objects.download(place.bucket, key, path, if_etag=file.etag)
        except NoSuchObject as error:
            raise ArtifactDamaged(file.path, "it is gone") from error
        except ObjectChanged as error:
            raise ArtifactChanged(file.path, f"{place.bucket}/{key}") from error
        except UnsafeKey as error:
            raise ArtifactDamaged(file.path, str(error)) from error
        if found != (file.sha256, file.size):
            if file.etag is not None:
                raise ArtifactChanged(file.path, f"{place.bucket}/{key}")
            raise ArtifactDamaged(file.path, f"{found[1]} bytes with sha256 {found[0]}, not {file.sha256}")

    async def data(self, data: Data, folder: Path) -> Path:
        """The file that lists the samples' files: [file in the folder, path in the dataset], sorted by path. Raises
        DatasetChanged, and what scanning raises."""
        scan = await self.scanner.scan(data.kind, data.location)
        if scan.digest != data.digest:
            raise DatasetChanged(data.name, "files were added, removed or replaced")
        paths = {file.path: folder / _local_name(index, file) for index, file in enumerate(scan.files)}

        async def bring(file: Listed) -> None:
            key = data.location.prefix + file.path
            try:
                await self.objects.download(data.location.bucket, key, paths[file.path], if_etag=file.etag)
            except (NoSuchObject, ObjectChanged) as error:
                raise DatasetChanged(data.name, f"{file.path!r} is not what it was a moment ago") from error

        await side_by_side(scan.files, bring)
        samples = folder / "samples.json"
        samples.write_text(json.dumps([[path.name, name] for name, path in paths.items()]))
        return samples


async def side_by_side(items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[None]]) -> None:
    """AT_ONCE of them at a time, without a task for each of a hundred thousand. Raises the first error."""
    waiting = iter(items)

    async def lane() -> None:
        for item in waiting:
            await work(item)

    lanes = [asyncio.ensure_future(lane()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for each in lanes:
            each.cancel()
        await asyncio.wait(lanes)


def _local_name(index: int, file: Listed) -> str:
    """Names of datasets may be too long or too strange for this machine's disk."""
    return f"{index:06d}{PurePosixPath(file.path).suffix.lower()}"
