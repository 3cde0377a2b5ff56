"""Brings what a conversion needs onto the worker's disk, verified. Called by the conversion job."""

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from modelyard_contracts.calls.evaluate import DatasetView
from modelyard_contracts.dataset import Listed, digest_of, in_order
from modelyard_contracts.shapes import Artifact, Location
from modelyard_convert.errors import CalibrationProblem, SourceChanged, SourceDamaged, SourceTooLarge
from modelyard_convert.orders import packed_samples
from modelyard_store.objects import NoSuchObject, ObjectChanged, Objects
from modelyard_work.downloads import FileDamaged, download_files, path_below, side_by_side

IMAGES = 640  # as many as the largest calibration and the proof can use
_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"})


@dataclass(frozen=True, slots=True)
class Inputs:
    """Sizes are bytes."""

    objects: Objects
    most_source: int
    most_calibration: int

    async def fetch_source(self, source: Artifact, root: Path, *, with_samples: bool) -> None:
        """`root/model/…`, and `root/calibration_data/…` as far as the limit reaches.

        Raises SourceTooLarge, SourceDamaged when a file is not what the manifest says, and SourceChanged when it is
        kept by reference and somebody wrote to it.
        """
        wanted = [file for file in source.files if file.path.startswith("model/")]
        if sum(file.size for file in wanted) > self.most_source:
            raise SourceTooLarge(self.most_source)
        samples = set(packed_samples(source)) if with_samples else set()
        left = self.most_calibration
        for file in sorted((file for file in source.files if file.path in samples), key=lambda file: file.path):
            if file.size <= left:
                wanted.append(file)
                left -= file.size
        if samples and left == self.most_calibration:
            raise CalibrationProblem(f"every file in calibration_data/ is larger than {left} bytes")
        try:
            await download_files(self.objects, source.location, wanted, root)
        except FileDamaged as damaged:
            if damaged.changed:
                raise SourceChanged(damaged.path, damaged.changed) from damaged
            raise SourceDamaged(damaged.path, damaged.found) from damaged

    async def fetch_dataset(self, dataset: DatasetView, folder: Path) -> None:
        """The `.npz`, or some images of every class, as they were when the dataset was added. Raises
        CalibrationProblem when anything in it has changed since, or nothing fits the limit."""
        listed = in_order([file async for file in self._list(dataset.location)])
        if digest_of(listed) != dataset.digest:
            raise CalibrationProblem(f"dataset {dataset.name} changed since it was added; add it again")
        if dataset.kind == "npz":
            chosen = [file for file in listed if file.path.endswith(".npz")][:1]
        else:
            chosen = _some_of_each([file for file in listed if _is_image(file)])
        fitting, left = [], self.most_calibration
        for file in chosen:
            if file.size <= left:
                left -= file.size
                fitting.append(file)
        if not fitting:
            raise CalibrationProblem(f"dataset {dataset.name} holds nothing of at most {left} bytes to calibrate with")
        await side_by_side(fitting, lambda file: self._sample(dataset, file, folder))

    async def _list(self, place: Location) -> AsyncIterator[Listed]:
        async for found in self.objects.list(place.bucket, place.prefix):
            yield Listed(found.key.removeprefix(place.prefix), found.size, found.etag)

    async def _sample(self, dataset: DatasetView, file: Listed, folder: Path) -> None:
        place = dataset.location
        try:
            path = path_below(folder, file.path)
            await self.objects.download(place.bucket, place.prefix + file.path, path, if_etag=file.etag)
        except (FileDamaged, NoSuchObject, ObjectChanged) as error:
            message = f"{file.path!r} of dataset {dataset.name} is not what it was a moment ago: {error}"
            raise CalibrationProblem(message) from error


def _is_image(file: Listed) -> bool:
    return PurePosixPath(file.path).suffix.lower() in _IMAGE_SUFFIXES


def _some_of_each(images: list[Listed]) -> list[Listed]:
    """One of each class in turn, so that a cut anywhere leaves the classes even."""
    classes: dict[str, list[Listed]] = defaultdict(list)
    for image in images:
        classes[image.path.split("/")[0]].append(image)
    turns = zip_longest(*classes.values())
    return [image for turn in turns for image in turn if image is not None][:IMAGES]
