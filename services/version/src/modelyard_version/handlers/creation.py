"""Registers versions: a repeat meets what it made before, and of two that race for one number only one gets it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.calls.version import CREATE, CheckNew, CreateVersion, NumberFree, VersionCreated
from modelyard_contracts.failures import Failure
from modelyard_contracts.outcome import Cause
from modelyard_store.documents import Duplicate
from modelyard_version.domain.numbers import next_number, order_of
from modelyard_version.domain.versions import Version, requested
from modelyard_version.errors import Contended, Exists, NameTwin, NumbersUsedUp, UsedBefore
from modelyard_version.handlers.arranging import Arranging
from modelyard_version.handlers.templates import Arrangement
from modelyard_version.repository.versions import VersionRepository

ATTEMPTS: Final = 100
"""Every lost race means that somebody else got a number, so this many callers may create one name at once."""


@dataclass(frozen=True)
class CreationCalls:
    versions: VersionRepository
    arranging: Arranging
    bucket: str
    now: Callable[[], int]

    async def create(self, context: CallContext, request: CreateVersion) -> VersionCreated:
        """Raises Exists, UsedBefore, NameTwin, NumbersUsedUp, Contended, and what `Arranging` refuses."""
        model_id = created_id(context, CREATE)
        if context.idempotency_key and (made := await self.versions.any(model_id)):
            return _repeated(made, request)  # also when its template or origin is gone since
        highest = await self._known(context.project, request.model_name)
        arranged = await self.arranging.arrange(context.project, request, model_id)
        cause = Cause.asked(context)
        for _ in range(ATTEMPTS):
            number = request.model_version or _next(highest, request.model_name)
            digest, now = request_digest(request), self.now()
            version = _publishing(context, arranged, digest, model_id=model_id, number=number, now=now)
            told = requested(version, self.bucket, arranged.assembly, request.declared, arranged.original)
            try:
                await self.versions.add(told, cause)
                return _created(version)
            except Duplicate as duplicate:
                if made := await self.versions.any(model_id):
                    return _repeated(made, request)
                if request.model_version:
                    raise await self._taken(context.project, request.model_name, number) from duplicate
                highest = await self.versions.highest(context.project, request.model_name)
        raise Contended(f"model {request.model_name!r}")

    async def check(self, context: CallContext, request: CheckNew) -> NumberFree:
        """For who has much to send first. Raises Exists, UsedBefore, NameTwin and NumbersUsedUp."""
        name, wanted = request.model_name, request.model_version
        highest = await self._known(context.project, name)
        if wanted and await self.versions.used(context.project, name, wanted):
            raise await self._taken(context.project, name, wanted)
        return NumberFree(model_name=name, model_version=wanted or _next(highest, name))

    async def _known(self, project: str, model_name: str) -> int | None:
        """The highest number of the name so far. Raises NameTwin for a new name that nearly is another."""
        highest = await self.versions.highest(project, model_name)
        if highest is None and (twin := await self.versions.twin(project, model_name)):
            raise NameTwin(model_name, twin)
        return highest

    async def _taken(self, project: str, model_name: str, number: str) -> Failure:
        living = await self.versions.numbered(project, model_name, number)
        return (Exists if living else UsedBefore)(model_name, number)


def _next(highest: int | None, model_name: str) -> str:
    """Raises NumbersUsedUp."""
    number = next_number(highest)
    if number is None:
        raise NumbersUsedUp(model_name)
    return number


def _publishing(
    context: CallContext, arranged: Arrangement, request_digest: str, *, model_id: str, number: str, now: int
) -> Version:
    request = arranged.request
    return Version(
        model_id=model_id,
        project=context.project,
        home=context.project,
        model_name=request.model_name,
        model_version=number,
        version_order=order_of(number),
        source=request.source,
        specification=request.specification,
        plan=request.plan,
        created_by=context.actor,
        create_at=now,
        updated_at=now,
        request_digest=request_digest,
        keyed=context.idempotency_key is not None,
        description=request.description,
        labels=request.labels,
        tags=request.tags,
        model_docs=request.model_docs,
        install_type=arranged.install_type,
        imported_from=arranged.imported_from,
        source_type=request.source_type,
        workspace_id=request.workspace_id,
        asked=request.asked,
        model_type=request.asked.model_type,
    )


def _repeated(made: Version, request: CreateVersion) -> VersionCreated:
    """Also when it was deleted since: the key has made its version, and makes no second one."""
    if made.request_digest != request_digest(request):
        raise KeyReused
    return _created(made)


def _created(version: Version) -> VersionCreated:
    return VersionCreated(model_id=version.model_id, model_name=version.model_name, model_version=version.model_version)
