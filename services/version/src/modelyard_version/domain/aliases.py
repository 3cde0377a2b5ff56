"""An alias of a name, and how it moves without ever holding nothing or holding a deleted version.

The alias is one document, the versions it moves between are others, so a move takes three saves:

1. the new version gets a *mark* with the next move number (refused when it was deleted meanwhile);
2. the alias moves by its revision and says so;
3. the former version loses its mark, at once and again when the event of (2) is heard.

A mark whose number is above the alias's own belongs to a move that is under way, or was cut off after (1). Deleting
the version then raises the alias's number (`fenced`): a move that still lives must begin again, and finds it deleted.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import AliasMove
from modelyard_contracts.events import VersionAliased
from modelyard_contracts.outcome import Outcome
from modelyard_version.domain.versions import Mark, Version, VersionOutcome

HISTORY: Final = 20
"""How many moves the alias document itself remembers: those that may not be kept as documents of their own yet."""


@dataclass(frozen=True, slots=True)
class Move:
    """`model_id` None: the alias was removed. `at` in ms, never before that of the move with the next lower number."""

    model_id: str | None
    model_version: str | None
    at: int
    by: str
    move: int = 0


@dataclass(frozen=True, slots=True)
class Alias:
    """`history` holds the newest moves, the last of them is where it is now. `move` only ever rises."""

    project: str
    model_name: str
    alias: str
    move: int = 0
    history: tuple[Move, ...] = ()

    @property
    def held(self) -> Move | None:
        """The move that put the alias where it is; None while it points nowhere."""
        return self.history[-1] if self.history and self.history[-1].model_id else None

    @property
    def model_id(self) -> str | None:
        return self.held.model_id if self.held else None


def moved(alias: Alias, move: Move) -> Outcome[Alias]:
    latest = alias.history[-1].at if alias.history else 0
    move = replace(move, move=alias.move + 1, at=max(move.at, latest))  # clocks of two processes may differ
    said = VersionAliased(
        model_name=alias.model_name,
        alias=alias.alias,
        model_id=move.model_id,
        previous_model_id=alias.model_id,
        model_version=move.model_version,
        previous_model_version=alias.held.model_version if alias.held else None,
        move=move.move,
        at=move.at,
        by=move.by,
    )
    done = replace(alias, move=move.move, history=(*alias.history, move)[-HISTORY:])
    return Outcome(done, ((catalogue.VERSION_ALIASED, said),))


def fenced(alias: Alias) -> Outcome[Alias]:
    return Outcome(replace(alias, move=alias.move + 1))


def marked(version: Version, alias: Alias) -> VersionOutcome | None:
    """The mark of the move after `alias`. A higher one stays: it belongs to a later move to the same version."""
    mark = Mark(alias.alias, alias.move + 1)
    known = next((other for other in version.marks if other.alias == alias.alias), None)
    if known and known.move >= mark.move:
        return None
    others = tuple(other for other in version.marks if other.alias != alias.alias)
    return VersionOutcome(replace(version, marks=(*others, mark)), action="aliased")


def released(version: Version, alias: Alias) -> VersionOutcome | None:
    """Without the mark of `alias`, unless that is where it points or a later move put the mark there."""
    if alias.model_id == version.model_id:
        return None
    kept = tuple(mark for mark in version.marks if mark.alias != alias.alias or mark.move > alias.move)
    return None if kept == version.marks else VersionOutcome(replace(version, marks=kept), action="released")


def at_time(alias: Alias, at: int) -> Move | None:
    """The newest move at or before `at` (ms) among those that the alias itself remembers."""
    return next((move for move in reversed(alias.history) if move.at <= at), None)


def history_of(moves: Iterable[AliasMove], alias: Alias, at: int | None) -> tuple[AliasMove, ...]:
    """Newest first, up to `at` (ms): moves that are kept, and those that only the alias itself knows yet."""
    known = {move.move: move for move in moves}
    for move in alias.history:
        if move.move not in known and (at is None or move.at <= at):
            former = known.get(max((number for number in known if number < move.move), default=0))
            known[move.move] = AliasMove(
                move=move.move,
                at=move.at,
                by=move.by,
                model_id=move.model_id,
                model_version=move.model_version,
                previous_model_id=former.model_id if former else None,
                previous_model_version=former.model_version if former else None,
            )
    return tuple(known[number] for number in sorted(known, reverse=True))
