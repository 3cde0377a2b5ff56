"""Takes secrets out of log entries: by the name of the key, and by what a text contains. Called by `logging`."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_KEY = re.compile(r"passw|secret|token|authorization|credential|cookie|api[-_]?key", re.IGNORECASE)
_DEEPEST = 8

_SECRET_TEXT = (
    # Whoever holds a presigned URL may use it: its signature is a password.
    re.compile(r"([?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=)[^&\s\"'<>]+", re.I),
    re.compile(r"([?&](?:[a-z_-]*token|password|secret)=)[^&\s\"'<>]+", re.IGNORECASE),
    re.compile(r"(://[^/:@\s]*:)[^@/\s]+(?=@)"),
    re.compile(r"\b((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
)
_SUSPECT = re.compile(r"[=@\s]")  # every pattern needs one of these, and most texts in a log have none


def redact(value: Any, depth: int = 0) -> Any:
    """A copy without secrets. Below `_DEEPEST` levels only the type is kept, so that a log entry stays finite."""
    if isinstance(value, str):
        return _redact_text(value)
    if isinstance(value, bool | int | float | None):
        return value
    if depth >= _DEEPEST:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {str(k): REDACTED if _is_secret(str(k), v) else redact(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    return _redact_text(str(value))


def _is_secret(key: str, value: Any) -> bool:
    return _SECRET_KEY.search(key) is not None and not isinstance(value, bool | int | float | None)


def _redact_text(text: str) -> str:
    if not _SUSPECT.search(text):
        return text
    for pattern in _SECRET_TEXT:
        text = pattern.sub(rf"\1{REDACTED}", text)
    return text
