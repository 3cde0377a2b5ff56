"""Fixtures shared by the tests of this service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .evaluate_digits import Trained, train
from .evaluate_yard import Yard


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train()


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    made = await Yard.open(tmp_path)
    yield made
    await made.documents.close()
