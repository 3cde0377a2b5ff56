"""Identifiers. New things get a time-ordered UUIDv7; things that must not exist twice get a derived one."""

import secrets
import time
import uuid

_NAMESPACE = uuid.UUID("6f0d2c5e-8f7b-5d43-9a53-6d6f64656c79")


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def derived_id(*parts: str) -> str:
    """The same id for the same parts, always: how a repeated request or event meets what it made before."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))
