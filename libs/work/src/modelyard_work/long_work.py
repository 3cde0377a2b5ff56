"""What a service writes of a long job: one class with three methods, and more where it has more to say.

`long_job.LongJob` makes one for every delivery and calls it, in the order in which the methods stand here.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.outcome import Outcome
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import Attempts, Taken
from modelyard_work.patience import patiently

ValueT = TypeVar("ValueT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Attempt(Generic[ValueT]):
    """What the work gets: the document as it was taken, and an empty `folder` that is removed with the attempt."""

    taken: Taken[ValueT]
    folder: Path
    attempts: Attempts[ValueT]
    patience: float

    @property
    def value(self) -> ValueT:
        return self.taken.value

    async def amend(self, decide: Decide[ValueT]) -> ValueT:
        """Change the document in the middle of the work. Raises Lost and Over."""
        return await self.attempts.amend(self.taken, decide)

    async def patiently(self, action: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """`action`, which must bear to be done twice, also when a store or service is away for a while."""
        return await patiently(action, seconds=self.patience)


def _nothing() -> None:
    """Nothing to forget."""


@dataclass(frozen=True, slots=True)
class Progress(Generic[ValueT]):
    """What the document does not know yet; `saved` is called once it does."""

    change: Callable[[ValueT], ValueT]
    saved: Callable[[], None] = _nothing


class LongWork(ABC, Generic[ValueT]):
    """One delivery of a long job. It may keep what it notes of its attempt.

    `name` is that of its scratch folders; `doing` and `child` are how it is spoken of when it fails: "3 workers died
    while <doing>", "<child> killed by SIGSEGV".
    """

    name: ClassVar[str]
    doing: ClassVar[str] = "they worked on it"
    child: ClassVar[str] = "the work stopped:"

    @abstractmethod
    def begin(self, value: ValueT) -> Outcome[ValueT]:
        """How the document says that an attempt has begun; its number is in `value.attempt`."""

    @abstractmethod
    async def run(self, attempt: Attempt[ValueT]) -> Decide[ValueT]:
        """The work. It ends with the decision that is its result, or raises: a Failure when it cannot be done at all,
        anything else when it may be worth another attempt. Is cancelled when the attempt has lost its document."""

    async def beat(self) -> None:
        """About once a second while it runs: tell whoever watches."""

    def progress(self) -> Progress[ValueT] | None:
        """At every beat, and at the end."""

    def let_go(self, value: ValueT, reason: str) -> Outcome[ValueT] | None:
        """How the document says that another attempt will follow."""

    @abstractmethod
    def failed(self, value: ValueT, failure: Failure) -> Outcome[ValueT]:
        """How the document says that it failed."""

    def broken(self, why: str) -> Failure:
        """The failure when not what was asked for is at fault, but what works on it."""
        return Failure(FailureKind.INTERNAL, codes.INTERNAL, why)

    async def ended(self, value: ValueT) -> None:
        """The end is saved: tell whoever watches, remove what is of no use any more. Called again, perhaps by another
        worker, until it has come to an end itself."""

    async def discard(self, attempt: Attempt[ValueT]) -> None:
        """The document belongs to another attempt, or has ended: remove what this attempt alone has written."""
