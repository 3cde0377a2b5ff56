"""Brings a run's model and samples onto the worker's disk, verified. Called by the job before the subprocess."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelyard_contracts.dataset import Listed
from modelyard_evaluate.domain.runs import Data, Model
from modelyard_evaluate.errors import ArtifactChanged, ArtifactDamaged, DatasetChanged, NotEvaluable
from modelyard_evaluate.scanning import Scanner
from modelyard_store.objects import NoSuchObject, ObjectChanged, Objects
from modelyard_work.downloads import FileDamaged, download_files, side_by_side


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
        try:
            await download_files(self.objects, model.location, files, root)
        except FileDamaged as damaged:
            if damaged.changed:
                raise ArtifactChanged(damaged.path, damaged.changed) from damaged
            raise ArtifactDamaged(damaged.path, damaged.found) from damaged

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


def _local_name(index: int, file: Listed) -> str:
    """Names of datasets may be too long or too strange for this machine's disk."""
    return f"{index:06d}{PurePosixPath(file.path).suffix.lower()}"
