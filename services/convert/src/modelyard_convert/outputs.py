"""Where results lie in the artifacts bucket: written under the attempt's own prefix, removed again when not wanted."""

from dataclasses import dataclass
from pathlib import Path

from modelyard_contracts.calls.version.files import FileLink
from modelyard_contracts.shapes import FileEntry, Location
from modelyard_convert import domain
from modelyard_convert.domain import Conversion
from modelyard_runtime.scratch import written
from modelyard_store.objects import Objects

LOG_NAME = "job_log.txt"


@dataclass(frozen=True, slots=True)
class Outputs:
    objects: Objects
    bucket: str

    async def upload(self, result: Path, log_file: Path, place: Location) -> tuple[FileEntry, ...]:
        """`result/model/…` and the log. Everything in `result` is written by the toolchain under names of its own."""
        files = []
        for name, path in sorted({**written(result), LOG_NAME: log_file}.items()):
            sha256, size = await self.objects.upload(place.bucket, place.prefix + name, path)
            files.append(FileEntry(path=name, size=size, sha256=sha256))
        return tuple(files)

    async def discard(self, conversion: Conversion) -> None:
        """What the attempt wrote that took it like this, and has lost it since."""
        await self._discard(conversion, conversion.attempt)

    async def tidy(self, conversion: Conversion) -> None:
        """After the end: only the artifact stays, or what failed and is kept for a while; of no other attempt."""
        for attempt in range(1, conversion.attempt + 1):
            own = domain.artifact_id_of(conversion.conversion_id, attempt)
            is_artifact = conversion.artifact is not None and conversion.artifact.artifact_id == own
            if not is_artifact and not (conversion.kept_until and attempt == conversion.attempt):
                await self._discard(conversion, attempt)

    async def links(self, conversion: Conversion, seconds: int) -> tuple[FileLink, ...]:
        """To what is kept."""
        place = domain.output_location(conversion, conversion.attempt, self.bucket)
        links = []
        for file in conversion.kept_files:
            name = file.path.rpartition("/")[2]
            url = await self.objects.presign_get(place.bucket, place.prefix + file.path, seconds, name)
            links.append(FileLink(path=file.path, size=file.size, sha256=file.sha256, url=url))
        return tuple(links)

    async def _discard(self, conversion: Conversion, attempt: int) -> None:
        await self._remove(domain.output_location(conversion, attempt, self.bucket).prefix)

    async def forget_version(self, project: str, model_id: str) -> None:
        """Everything that conversions of a deleted version wrote."""
        await self._remove(f"{project}/models/{model_id}/variants/")

    async def _remove(self, prefix: str) -> None:
        """Raises ObjectError: the job or event comes again, and with it the removal."""
        await self.objects.remove_prefix(self.bucket, prefix)
