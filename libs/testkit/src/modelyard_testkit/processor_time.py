"""Bounds on work that no other load on the machine can break, for tests that broken input costs no more than that."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises AssertionError when this process computed for longer than `seconds` inside. Also a decorator."""
    began = time.process_time()
    yield
    used = time.process_time() - began
    assert used < seconds, f"{used:.1f} s of processor time"
