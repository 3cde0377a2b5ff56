"""Waiting for who is away, and for nobody else."""

import pytest

from modelyard_contracts.failures import Code, Failure, FailureKind
from modelyard_work.patience import patiently


async def test_without_patience_a_refusal_is_not_repeated() -> None:
    asked: list[int] = []

    async def refuse() -> None:
        asked.append(1)
        raise Failure(FailureKind.CONFLICT, Code("ModelArts.3009"), "no")

    with pytest.raises(Failure):
        await patiently(refuse, seconds=10)
    assert asked == [1]
