"""Moves aliases between versions of a name; domain.aliases says why in three saves. Deletion asks `clear` here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import AliasHistory, AliasList, AliasView, GetAlias, ListAliases, SetAlias
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionAliased
from modelyard_contracts.outcome import Cause
from modelyard_version.domain.aliases import Alias, Move, at_time, fenced, history_of, marked, moved, released
from modelyard_version.domain.versions import Mark, Version
from modelyard_version.errors import Changed, Contended, HeldOrNot, NoAlias, NotFound, NotPublished
from modelyard_version.handlers.views import alias_view
from modelyard_version.repository.moves import MoveRepository
from modelyard_version.repository.versions import AliasRepository, Overtaken, VersionRepository

ATTEMPTS: Final = 50
MOST_MOVES: Final = 1000
"""Of one answer; older ones by the same call with `at`."""


@dataclass(frozen=True)
class AliasHandlers:
    versions: VersionRepository
    aliases: AliasRepository
    moves: MoveRepository
    now: Callable[[], int]

    async def set_alias(self, context: CallContext, request: SetAlias) -> Nothing:
        """Raises NotFound, NotPublished, Changed, HeldOrNot, Contended. Repeating it after an error is safe and
        finishes it."""
        for _ in range(ATTEMPTS):
            seen = await self.aliases.get(context.project, request.model_name, request.alias)
            if request.held not in (None, seen.held is not None):
                raise HeldOrNot(request.alias, request.model_name, held=seen.held is not None)
            if request.revisions is not None and seen.move not in request.revisions:
                raise Changed(f"alias {request.alias!r} of {request.model_name!r}", seen.move)
            target = await self._target(context.project, request)
            try:
                await self._move(seen, target, context)
            except Overtaken:
                continue
            return Nothing()
        raise Contended(f"alias {request.alias!r}")

    async def list_aliases(self, context: CallContext, request: ListAliases) -> AliasList:
        found = await self.aliases.of_name(context.project, request.model_name)
        views = (alias_view(alias, alias.held) for alias in found)
        return AliasList(aliases=tuple(view for view in views if view))

    async def get_alias(self, context: CallContext, request: GetAlias) -> AliasView:
        """Where the alias points, or pointed at that time: at a version that may be deleted since. Raises NotFound."""
        alias = await self.aliases.get(context.project, request.model_name, request.alias)
        view = alias_view(alias, alias.held if request.at is None else await self._held_at(alias, request.at))
        if view is None:
            raise NoAlias(request.model_name, request.alias)
        return view

    async def history(self, context: CallContext, request: GetAlias) -> AliasHistory:
        """The newest moves, those at or before `at` when it is given. Raises NoAlias for one never moved."""
        alias = await self.aliases.get(context.project, request.model_name, request.alias)
        if not alias.history:
            raise NoAlias(request.model_name, request.alias)
        kept = await self.moves.newest(
            context.project, request.model_name, request.alias, at=request.at, limit=MOST_MOVES
        )
        moves = history_of(kept, alias, request.at)[:MOST_MOVES]
        return AliasHistory(model_name=request.model_name, alias=request.alias, moves=moves)

    async def on_aliased(self, envelope: Envelope, fact: VersionAliased) -> None:
        """Our own word comes back: the move is kept for ever, and whoever moved the alias may have died before
        releasing the former version."""
        await self.moves.keep(envelope.project, fact)
        if fact.previous_model_id:
            alias = await self.aliases.get(envelope.project, fact.model_name, fact.alias)
            await self._release(alias, fact.previous_model_id, Cause.of(envelope, by=fact.by))

    async def clear(self, version: Version, cause: Cause) -> None:
        """Take off the marks of aliases that point elsewhere. Those that hold the version stay."""
        for mark in version.marks:
            alias = await self._fence(version, mark, cause)
            await self._release(alias, version.model_id, cause)

    async def _held_at(self, alias: Alias, at: int) -> Move | None:
        if recent := at_time(alias, at):
            return recent
        kept = await self.moves.newest(alias.project, alias.model_name, alias.alias, at=at)
        return Move(kept[0].model_id, kept[0].model_version, kept[0].at, kept[0].by) if kept else None

    async def _target(self, project: str, request: SetAlias) -> Version | None:
        if request.model_version is None:
            return None
        version = await self.versions.numbered(project, request.model_name, request.model_version)
        if version is None:
            raise NotFound("version", f"{request.model_name} {request.model_version}", "model_version")
        if version.model_status != "published":
            raise NotPublished(version.title, version.model_status)
        return version

    async def _move(self, seen: Alias, target: Version | None, context: CallContext) -> None:
        cause = Cause.asked(context)
        if target is None and seen.held is None:
            raise NoAlias(seen.model_name, seen.alias)
        if target and target.model_id == seen.model_id:
            return
        if target and not await self._mark(seen, target, cause):
            raise NotFound("version", f"{seen.model_name} {target.model_version}", "model_version")
        model_id, number = (target.model_id, target.model_version) if target else (None, None)
        outcome = moved(seen, Move(model_id, number, self.now(), context.actor))
        await self.aliases.replace(seen, outcome, cause)
        if seen.model_id:
            await self._release(outcome.value, seen.model_id, cause)

    async def _mark(self, seen: Alias, target: Version, cause: Cause) -> bool:
        """False when the version was deleted meanwhile."""
        marking = await self.versions.change(seen.project, target.model_id, lambda v: marked(v, seen), cause)
        return marking is not None

    async def _release(self, alias: Alias, model_id: str, cause: Cause) -> None:
        await self.versions.change(alias.project, model_id, lambda version: released(version, alias), cause)

    async def _fence(self, version: Version, mark: Mark, cause: Cause) -> Alias:
        """The alias, with no move under way that could still come to this version by this mark."""
        for _ in range(ATTEMPTS):
            alias = await self.aliases.get(version.project, version.model_name, mark.alias)
            if alias.model_id == version.model_id or mark.move <= alias.move:
                return alias
            outcome = fenced(alias)
            try:
                await self.aliases.replace(alias, outcome, cause)
            except Overtaken:
                continue
            return outcome.value
        raise Contended(f"alias {mark.alias!r}")
