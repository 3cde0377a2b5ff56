"""How much of one version may be under way. Each piece holds the version, and is written into it: thousands would make
every change of it slow, for everybody."""

from typing import Final

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind

MOST_UNFINISHED: Final = 100


class TooMuchWork(Failure):
    """`what` is the plural."""

    def __init__(self, what: str) -> None:
        super().__init__(
            FailureKind.TOO_MANY,
            codes.TOO_MUCH_WORK,
            f"{MOST_UNFINISHED} {what} of this version have not ended; wait for them, or stop some",
            field="model_id",
            rule=f"at most {MOST_UNFINISHED} {what} under way",
        )
