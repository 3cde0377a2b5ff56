"""Brings what a conversion needs onto the worker's disk, verified. Called by the conversion job."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from modelyard_contracts.calls.evaluate import DatasetView
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_convert.errors import CalibrationProblem, SourceChanged, SourceDamaged, SourceTooLarge
from modelyard_convert.orders import packed_samples
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.objects import NoSuchObject, ObjectChanged, ObjectInfo, Objects

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
        for file in wanted:
            await self._fetch(source, file, _below(root, file.path))

    async def _fetch(self, source: Artifact, file: FileEntry, path: Path) -> None:
        """Files that were not copied are pinned: others than we may write to them."""
        bucket, key = source.location.bucket, source.location.prefix + file.path
        try:
            found = await self.objects.download(bucket, key, path, if_etag=file.etag)
        except NoSuchObject as error:
            raise SourceDamaged(file.path, "it is gone") from error
        except ObjectChanged as error:
            raise SourceChanged(file.path, f"{bucket}/{key}") from error
        if found != (file.sha256, file.size):
            if file.etag is not None:
                raise SourceChanged(file.path, f"{bucket}/{key}")
            raise SourceDamaged(file.path, f"{found[1]} bytes with sha256 {found[0]}")

    async def fetch_dataset(self, dataset: DatasetView, folder: Path) -> None:
        """The `.npz`, or some images of every class. Raises CalibrationProblem when nothing fits the limit."""
        place = dataset.location
        listed = [found async for found in self.objects.list(place.bucket, place.prefix)]
        if dataset.kind == "npz":
            chosen = [found for found in listed if found.key.endswith(".npz")][:1]
        else:
            chosen = _some_of_each([found for found in listed if _is_image(found)], len(place.prefix))
        left = self.most_calibration
        for found in chosen:
            if found.size <= left:
                left -= found.size
                await self.objects.download(place.bucket, found.key, _below(folder, found.key[len(place.prefix) :]))
        if left == self.most_calibration:
            raise CalibrationProblem(f"dataset {dataset.name} holds nothing of at most {left} bytes to calibrate with")


def _below(root: Path, relative: str) -> Path:
    try:
        path = root / safe_key("", relative)
    except UnsafeKey as error:
        raise SourceDamaged(relative, str(error)) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _is_image(found: ObjectInfo) -> bool:
    return PurePosixPath(found.key).suffix.lower() in _IMAGE_SUFFIXES


def _some_of_each(images: list[ObjectInfo], prefix: int) -> list[ObjectInfo]:
    """One of each class in turn, so that a cut anywhere leaves the classes even."""
    classes: dict[str, list[ObjectInfo]] = defaultdict(list)
    for image in images:
        classes[image.key[prefix:].split("/")[0]].append(image)
    turns = zip_longest(*classes.values())
    return [image for turn in turns for image in turn if image is not None][:IMAGES]
