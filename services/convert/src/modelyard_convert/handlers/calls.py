"""The calls of the convert service: order a conversion, look at it, delete it; and what there is to order."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.convert import (
    CREATE,
    ConversionPage,
    ConversionView,
    CreateConversion,
    DeleteConversions,
    DeletedConversions,
    GetConversion,
    GetLog,
    ListConversions,
    LogPiece,
    ResultLinks,
    TargetList,
    TargetView,
)
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.outcome import Cause
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.domain import Conversion
from modelyard_convert.errors import UnknownConversion
from modelyard_convert.handlers.kept import KeptResults
from modelyard_convert.repository import Repository
from modelyard_convert.toolchains import TOOLCHAINS
from modelyard_store.documents import Duplicate, Stale
from modelyard_work import bounds


@dataclass(frozen=True, slots=True)
class ConversionCalls:
    repository: Repository
    admission: Admission
    kept: KeptResults
    now: Callable[[], int]

    async def create(self, context: CallContext, request: CreateConversion) -> ConversionView:
        """Raises what Admission raises, NoWorker, TooMuchWork, KeyReused."""
        conversion_id, digest = created_id(context, CREATE), request_digest(request)
        if context.idempotency_key and (made := await self.repository.get(context.project, conversion_id)):
            return _repeated(made, digest)
        admitted = await self.admission.examine(context.project, context.correlationid, request.model_id, request.order)
        await self.admission.require_worker(admitted.toolchain.name)
        if await self.repository.count_unfinished(context.project, request.model_id) >= bounds.MOST_UNFINISHED:
            raise bounds.TooMuchWork("conversions")
        conversion = Conversion(
            conversion_id=conversion_id,
            project=context.project,
            model_id=request.model_id,
            model_name=admitted.version.model_name,
            model_version=admitted.version.model_version,
            name=request.name or f"{admitted.version.model_name}-{request.order.target}"[:64],
            description=request.description,
            order=request.order,
            toolchain=admitted.toolchain.name,
            origin="request",
            created_at=self.now(),
            correlationid=context.correlationid,
            request_digest=digest,
        )
        try:
            await self.repository.add(domain.created(conversion, admitted.toolchain.job), Cause(context.correlationid))
        except Duplicate:
            return _repeated(await self._found(context, conversion_id), digest)
        return domain.view(conversion)

    async def get(self, context: CallContext, request: GetConversion) -> ConversionView:
        """Raises UnknownConversion."""
        return domain.view(await self._found(context, request.conversion_id))

    async def list(self, context: CallContext, request: ListConversions) -> ConversionPage:
        total, page = await self.repository.page(
            context.project, request.model_id, request.state, request.offset, request.limit
        )
        return ConversionPage(total_count=total, count=len(page), conversions=tuple(map(domain.view, page)))

    async def log(self, context: CallContext, request: GetLog) -> LogPiece:
        """Raises UnknownConversion."""
        return domain.log_piece(await self._found(context, request.conversion_id), request.offset)

    async def result(self, context: CallContext, request: GetConversion) -> ResultLinks:
        """Raises UnknownConversion, NothingKept."""
        return await self.kept.links(await self._found(context, request.conversion_id))

    async def delete(self, context: CallContext, request: DeleteConversions) -> DeletedConversions:
        """The artifact of a success belongs to its version and stays; what a failure has left goes."""
        refused: dict[str, str] = {}
        for conversion_id in dict.fromkeys(request.conversion_ids):
            try:
                await self.kept.forget(await self.repository.get(context.project, conversion_id))
                why = await self.repository.remove(context.project, conversion_id)
            except Stale:
                why = "it is being changed; try again"
            if why:
                refused[conversion_id] = why
        deleted = tuple(each for each in dict.fromkeys(request.conversion_ids) if each not in refused)
        return DeletedConversions(deleted=deleted, refused=refused)

    async def targets(self, _context: CallContext, _request: Nothing) -> TargetList:
        rows: list[TargetView] = []
        for chain in TOOLCHAINS.values():
            offered = await self.admission.offered(chain.name)
            rows += [
                TargetView(
                    target=row.target,
                    toolchain=chain.name,
                    source_formats=row.source_formats,
                    result_format=row.result_format,
                    description=row.description,
                    options_schema=row.options_schema,
                    default_tolerance=row.tolerance,
                    offered=offered,
                )
                for row in chain.targets
            ]
        return TargetList(targets=tuple(rows))

    async def _found(self, context: CallContext, conversion_id: str) -> Conversion:
        found = await self.repository.get(context.project, conversion_id)
        if found is None:
            raise UnknownConversion(conversion_id)
        return found


def _repeated(made: Conversion, digest: str) -> ConversionView:
    if made.request_digest != digest:
        raise KeyReused
    return domain.view(made)
