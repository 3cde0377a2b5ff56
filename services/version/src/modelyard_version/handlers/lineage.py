"""Lineage: of one version, and of everything that was made from a training job, a dataset, a commit or under a name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import GetVersion, Lineage, TraceLineage
from modelyard_store.documents import Condition, Equals, Has
from modelyard_version.domain.lineage import lineage
from modelyard_version.domain.versions import Version
from modelyard_version.errors import NotFound, OneTrace
from modelyard_version.repository.versions import VersionRepository

MOST: Final = 200
"""Versions in one graph."""
_RUN: Final = re.compile(r"(?P<job>.+)/(?P<run>V\d{3,6})")


@dataclass(frozen=True)
class LineageCalls:
    versions: VersionRepository
    bucket: str

    async def lineage(self, context: CallContext, request: GetVersion) -> Lineage:
        """With the version it was imported from, if that is one of the register, and all that came from it."""
        version = await self.versions.get(context.project, request.model_id)
        if version is None:
            raise NotFound("model", request.model_id, "model_id")
        return await self._graph([version], [])

    async def trace(self, context: CallContext, request: TraceLineage) -> Lineage:
        """Newest versions first. Raises OneTrace."""
        given = {name: value for name, value in request.model_dump().items() if value is not None}
        if len(given) != 1:
            raise OneTrace(tuple(given) or tuple(TraceLineage.model_fields))
        found: dict[str, Version] = {}
        for conditions in _wanted(request):
            matching = await self.versions.traced(context.project, conditions, MOST + 1)
            found.update((version.model_id, version) for version in matching)
        newest = sorted(found.values(), key=lambda version: (version.create_at, version.model_id), reverse=True)
        return await self._graph(newest[:MOST], newest[MOST:])

    async def _graph(self, wanted: list[Version], left_out: list[Version]) -> Lineage:
        """Around `wanted`: what they were imported from, on and on, and what was imported from them."""
        known = {version.model_id: version for version in wanted}
        cut = bool(left_out)
        for version in wanted:
            await self._ancestors(version, known)
        for version in (queue := list(wanted)):  # grows: what came from a copy came from its original
            room = MOST - len(known)
            copies = (Has("imported_from", version.model_id),)
            derived = await self.versions.traced(version.project, copies, max(room, 0) + 1)
            new = [each for each in derived if each.model_id not in known]
            cut = cut or len(new) > room
            for each in new[: max(room, 0)]:
                known[each.model_id] = each
                queue.append(each)
        return lineage(known.values(), self.bucket, f"only {len(known)} versions are shown" if cut else None)

    async def _ancestors(self, version: Version, known: dict[str, Version]) -> None:
        ids = list(version.imported_from)
        while ids and len(known) < MOST:
            model_id = ids.pop()
            if model_id not in known and (origin := await self.versions.get(version.project, model_id)):
                known[model_id] = origin
                ids += origin.imported_from


def _wanted(request: TraceLineage) -> Iterator[tuple[Condition, ...]]:
    """Each a set of conditions that a version must meet."""
    if request.training_job is not None:
        if run := _RUN.fullmatch(request.training_job):
            yield Equals("training.job_id", run["job"]), Equals("training.job_version", run["run"])
        yield (Equals("training.job_id", request.training_job),)
        yield (Equals("source.training_job_id", request.training_job),)
    if request.dataset is not None:
        yield (Equals("training.dataset.digest", request.dataset),)
        yield (Equals("training.dataset.uri", request.dataset),)
        yield (Has("evaluated_on", request.dataset),)
    if request.code is not None:
        repository, at, commit = request.code.rpartition("@")
        yield (Equals("training.code.commit", request.code),)
        if at:
            yield Equals("training.code.commit", commit), Equals("training.code.repository", repository)
    if request.model_name is not None:
        yield (Equals("model_name", request.model_name),)
