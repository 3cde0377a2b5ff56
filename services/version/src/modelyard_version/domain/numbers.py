"""Version numbers as integers, so that every store sorts 0.0.10 after 0.0.9. Used when versions are created and listed.

`N.N.N` with parts 0–99 is a number in base 100, therefore the next one is plus one: 0.0.99 → 0.1.0, 0.99.99 → 1.0.0.
"""

from typing import Final

BASE: Final = 100
LAST: Final = BASE**3 - 1
FIRST: Final = 1  # 0.0.1


def order_of(number: str) -> int:
    """`number` must match contracts.calls.version.VERSION."""
    major, minor, patch = (int(part) for part in number.split("."))
    return (major * BASE + minor) * BASE + patch


def number_of(order: int) -> str:
    return f"{order // BASE**2}.{order // BASE % BASE}.{order % BASE}"


def next_number(highest: int | None) -> str | None:
    """The number after the order `highest`; 0.0.1 for a new name; None when 99.99.99 is taken."""
    if highest is None:
        return number_of(FIRST)
    return None if highest >= LAST else number_of(highest + 1)
