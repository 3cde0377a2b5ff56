"""Fixtures shared by the tests of this service."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from evaluate_digits import Trained, train


@pytest.fixture(scope="session")
def trained() -> Trained:
    return train()
