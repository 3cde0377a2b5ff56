"""Where a list goes on: an opaque text that names the last row shown, and fits only the question that it was made for.

Nothing in it is a secret, and nothing is trusted: it only moves the start within what the caller may see anyway.
"""

import base64
import binascii
import hashlib
from typing import Annotated, Final

from pydantic import Field, ValidationError

from modelyard_contracts.calls.version import ListVersions
from modelyard_contracts.shapes import Shape
from modelyard_version.errors import BadCursor

_NOT_ASKED: Final = {"cursor", "offset", "limit"}

Position = tuple[float, str]


class _Cursor(Shape):
    """`value` of the sorted field and `id` of the last row, and the digest of the question."""

    question: Annotated[str, Field(max_length=64)]
    value: (
        Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
        | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    )
    id: Annotated[str, Field(max_length=100, pattern=r"^[\x21-\x7e]+$")]


def cursor_after(wanted: ListVersions, position: Position) -> str:
    cursor = _Cursor(question=_question(wanted), value=position[0], id=position[1])
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).decode().rstrip("=")


def position_of(wanted: ListVersions) -> Position | None:
    """None without a cursor. Raises BadCursor."""
    if wanted.cursor is None:
        return None
    if wanted.offset:
        raise BadCursor("offset and cursor exclude each other; give one of them", "offset, cursor")
    try:
        padded = wanted.cursor + "=" * (-len(wanted.cursor) % 4)
        cursor = _Cursor.model_validate_json(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeEncodeError, ValidationError):
        raise BadCursor("cursor is not a next_cursor of an earlier page", "cursor") from None
    if cursor.question != _question(wanted):
        raise BadCursor(
            "cursor belongs to a list with other filters or another order; begin again without it", "cursor"
        )
    return cursor.value, cursor.id


def _question(wanted: ListVersions) -> str:
    text = wanted.model_dump_json(exclude=_NOT_ASKED)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
