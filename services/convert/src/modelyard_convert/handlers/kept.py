"""Results that failed their proof: kept for some days to look at, then removed. Never artifacts."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls.convert import ResultLinks
from modelyard_contracts.outcome import Cause
from modelyard_convert import domain
from modelyard_convert.domain import Conversion
from modelyard_convert.errors import NothingKept
from modelyard_convert.outputs import Outputs
from modelyard_convert.repository import Repository
from modelyard_store.manifest import manifest_digest


@dataclass(frozen=True, slots=True)
class KeptResults:
    """`link_seconds`: how long a link works."""

    repository: Repository
    outputs: Outputs
    link_seconds: int
    now: Callable[[], int]

    async def links(self, conversion: Conversion) -> ResultLinks:
        """Raises NothingKept."""
        if conversion.kept_until is None or conversion.kept_until <= self.now():
            raise NothingKept(conversion.state)
        seconds = min(self.link_seconds, (conversion.kept_until - self.now()) // 1000 + 1)
        return ResultLinks(
            conversion_id=conversion.conversion_id,
            digest=manifest_digest(conversion.kept_files),
            files=await self.outputs.links(conversion, seconds),
            expires_at=self.now() + seconds * 1000,
        )

    async def forget(self, conversion: Conversion | None) -> None:
        """Nothing happens where nothing is kept. Done half it is done again: the document says so until the end."""
        if conversion is None or conversion.kept_until is None:
            return
        await self.outputs.discard(conversion)
        await self.repository.change(
            conversion.project, conversion.conversion_id, domain.forgotten, Cause(conversion.correlationid)
        )

    async def sweep(self) -> None:
        """Those whose time is over."""
        for conversion in await self.repository.kept_too_long(self.now()):
            await self.forget(conversion)
