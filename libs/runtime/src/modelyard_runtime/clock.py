"""The wall clock as documents store it. Called wherever something is stamped; tests pass their own function."""

import time


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
