"""How a registry wants to be convinced, and where credentials may travel. Called by `registry` only.

A registry that is open for imports is trusted to name its token server, but not to send the yard's password or its
requests just anywhere: a realm has to be the registry itself, a neighbour under the same domain, or listed.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import httpx

from modelyard_import.domain.images import Reference, base_url, host_of, is_address, is_loopback
from modelyard_import.errors import ImageRefused

_MOST_HEADER: Final = 4_000
_CHALLENGE: Final = re.compile(r"(?:^|,\s*|\s)(Bearer|Basic)\s+", re.IGNORECASE)
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` in lower case."""

    scheme: str
    parameters: dict[str, str]


def challenges(header: str) -> tuple[Challenge, ...]:
    """What `WWW-Authenticate` asks for, as far as it is understood."""
    header = header[:_MOST_HEADER]
    starts = [*_CHALLENGE.finditer(header)]
    ends = (*(start.start() for start in starts[1:]), len(header))
    return tuple(
        Challenge(start[1].lower(), {
            name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(header[start.end() : end])
        })
        for start, end in zip(starts, ends, strict=False)
    )  # fmt: skip


def token_url(challenge: Challenge, reference: Reference, listed: frozenset[str]) -> httpx.URL:
    """Where to fetch a token that allows pulling this repository. Raises ImageRefused."""
    realm = challenge.parameters.get("realm", "")
    try:
        url = httpx.URL(realm)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not may_ask(url, reference, listed):
        message = f"registry {reference.registry} names {realm[:200]!r} as its token server"
        raise ImageRefused(message, rule="https, at the registry's own domain or a listed host")
    scope = challenge.parameters.get("scope") or f"repository:{reference.repository}:pull"
    wanted = {"service": challenge.parameters.get("service", ""), "scope": scope}
    return url.copy_merge_params({name: value for name, value in wanted.items() if value})


def may_ask(url: httpx.URL, reference: Reference, listed: frozenset[str]) -> bool:
    """Whether credentials may go there."""
    host = url.netloc.decode().lower()
    if url.userinfo or not url.host:
        return False
    own = httpx.URL(base_url(reference.registry))
    known = host == own.netloc.decode().lower() or host in listed
    if url.scheme == "http":
        return known and is_loopback(url.host)
    return url.scheme == "https" and (known or _neighbours(url.host.lower(), own.host.lower()))


def may_follow(url: httpx.URL, reference: Reference) -> bool:
    """Whether a redirect may be followed, without credentials: registries keep their blobs elsewhere. Numbers and
    this machine's own names are nobody's blob store, unless the registry itself is there."""
    own = httpx.URL(base_url(reference.registry))
    if url.userinfo or not url.host:
        return False
    if (url.scheme, url.netloc) == (own.scheme, own.netloc):
        return True
    if is_loopback(host_of(reference.registry)):
        return is_loopback(url.host) and url.scheme in ("http", "https")
    local = is_address(url.host) or url.host == "localhost" or url.host.endswith((".localhost", ".local", ".internal"))
    return url.scheme == "https" and not local


def _neighbours(one: str, other: str) -> bool:
    """`auth.docker.io` and `registry-1.docker.io`."""
    if is_address(one) or is_address(other):
        return False
    parents = ".".join(one.split(".")[-2:]), ".".join(other.split(".")[-2:])
    return parents[0] == parents[1] and "." in parents[0]
