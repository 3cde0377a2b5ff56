"""Requests signed with an access key, after the algorithm SDK-HMAC-SHA256 of Huawei Cloud's clients.

The signature covers method, path, query, the headers that it lists and the SHA-256 of the body. The secret is never
sent.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote

from starlette.requests import Request

from modelyard_gateway.errors import Unauthenticated

SCHEME: Final = "SDK-HMAC-SHA256"
MOST_OFF: Final = 15 * 60 * 1000  # ms between a client's clock and this one
NOTHING: Final = hashlib.sha256(b"").hexdigest()
_FORM: Final = re.compile(
    rf"{SCHEME} +Access=([A-Za-z0-9_-]{{1,128}}), *SignedHeaders=([a-z0-9_;-]+), *Signature=([0-9a-f]{{64}})"
)
_INSTANT: Final = re.compile(r"\d{8}T\d{6}Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def is_signed(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith(SCHEME)


@dataclass(frozen=True)
class Claim:
    """What a request says of its signature, before anybody knows whether it is right.

    `body_sha256`: in hexadecimal, where it is known before the body is read."""

    access_key_id: str
    body_sha256: str | None
    _signature: str
    _head: bytes  # of the canonical request: everything before the digest of the body
    _at: str

    @classmethod
    def of(cls, request: Request, now: int, *, host: bool = True) -> "Claim":
        """`now` in ms; `host`: whether it must be signed. Raises Unauthenticated for what is wrong in itself."""
        if not (said := _FORM.fullmatch(request.headers["authorization"])):
            raise Unauthenticated(
                f"it reads '{SCHEME} Access=…, SignedHeaders=…;…, Signature=…', 64 hexadecimal digits"
            )
        names = said[2].split(";")
        _check_names(names, ("host", "x-sdk-date") if host else ("x-sdk-date",))
        at = _only(request, "x-sdk-date")
        _check_clock(at, now)
        return cls(said[1], _known_digest(request), said[3], _head_of(request, names), at)

    def is_right(self, secret: str, body_sha256: str) -> bool:
        canonical = hashlib.sha256(self._head + body_sha256.encode()).hexdigest()
        text = f"{SCHEME}\n{self._at}\n{canonical}"
        expected = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
        return hmac.compare_digest(expected, self._signature)


def _check_names(names: list[str], needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in names:
            raise Unauthenticated(f"the header {name!r} has to be among SignedHeaders")


def _check_clock(at: str, now: int) -> None:
    try:
        said = datetime.strptime(at if _INSTANT.fullmatch(at) else "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Unauthenticated("X-Sdk-Date reads YYYYMMDDTHHMMSSZ, in UTC") from None
    if abs(said.timestamp() * 1000 - now) > MOST_OFF:
        here = datetime.fromtimestamp(now // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        raise Unauthenticated(f"X-Sdk-Date {at} is more than 15 minutes from the clock here, {here}; set yours right")


def _known_digest(request: Request) -> str | None:
    declared = _only(request, "x-sdk-content-sha256") if "x-sdk-content-sha256" in request.headers else None
    if declared is not None:
        if not _DIGEST.fullmatch(declared):
            raise Unauthenticated(
                "x-sdk-content-sha256 is the SHA-256 of the body in hexadecimal, or is left out; unsigned bodies "
                "(UNSIGNED-PAYLOAD, which clients say of bodies that are not application/json) are not taken"
            )
        return declared
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return None if has_body else NOTHING


def _head_of(request: Request, names: list[str]) -> bytes:
    path = quote(request.scope["path"], safe="/~")
    query = sorted(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    lines = [
        request.method,
        path if path.endswith("/") else path + "/",
        "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query),
    ]
    headers = b"".join(_header_lines(request, name) for name in names)
    return "\n".join([*lines, ""]).encode() + headers + f"\n{';'.join(names)}\n".encode()


def _header_lines(request: Request, name: str) -> bytes:
    """As they came: text beyond ASCII is signed as the bytes that are sent."""
    values = sorted(value.strip() for found, value in request.scope["headers"] if found == name.encode())
    if not values:
        raise Unauthenticated(f"the header {name!r} is among SignedHeaders, and was not sent")
    return b"".join(name.encode() + b":" + value + b"\n" for value in values)


def _only(request: Request, name: str) -> str:
    values = request.headers.getlist(name)
    if len(values) != 1:
        raise Unauthenticated(f"a signed request has the header {name!r} once")
    return values[0]
