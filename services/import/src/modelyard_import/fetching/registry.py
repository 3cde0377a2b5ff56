"""Ask a container registry over the OCI distribution API, version 2. Called by `image`.

Only manifests and image configurations are read, each bounded in size and time; no layer is pulled.
"""

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from pydantic import BaseModel, ValidationError

from modelyard_import.domain.images import Reference, base_url
from modelyard_import.errors import ImageRefused, RegistryAway
from modelyard_import.fetching.registry_auth import Login, challenges, may_ask, may_follow, token_url

MOST_BYTES: Final = 4 << 20
"""Of a manifest, an image configuration or a token's answer. Registries take no larger manifests."""
_MOST_REDIRECTS: Final = 5
_WHOLE_SECONDS: Final = 60.0
_MOST_WAIT: Final = 300.0  # seconds
_USUAL_WAIT: Final = 30.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def registry_http() -> httpx.AsyncClient:
    """The client that all registries share. Opens nothing yet. Plain HTTP is for this machine and takes no proxy."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(20.0, connect=5.0),
        limits=httpx.Limits(max_connections=20),
        follow_redirects=False,
        headers={"User-Agent": "modelyard-import", "Accept-Encoding": "identity"},
        mounts={"http://": httpx.AsyncHTTPTransport()},
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """`claimed` is the digest that the registry says it has."""

    data: bytes
    claimed: str

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


class _Token(BaseModel):
    token: str | None = None
    access_token: str | None = None


@dataclass(slots=True)
class Registry:
    """One conversation about one image. `listed`: hosts that the operator named."""

    http: httpx.AsyncClient
    reference: Reference
    login: Login | None = None
    listed: frozenset[str] = frozenset()
    _authorization: str | None = field(default=None, repr=False)

    async def manifest(self, wanted: str, accept: str) -> Answer:
        """By tag or digest. Raises ImageRefused when it is missing, denied or not what it claims, and RegistryAway."""
        answer = await self._get(f"manifests/{wanted}", accept)
        claimed = wanted if wanted.startswith("sha256:") else answer.claimed
        return self._verified(answer, claimed) if claimed.startswith("sha256:") else answer

    async def blob(self, digest: str) -> bytes:
        """Raises as `manifest` does."""
        return self._verified(await self._get(f"blobs/{digest}", "*/*"), digest).data

    def _verified(self, answer: Answer, digest: str) -> Answer:
        if answer.digest != digest:
            message = f"registry {self.reference.registry} gave {answer.digest} for {digest}"
            raise ImageRefused(message, rule="content that has the digest it is asked for by")
        return answer

    async def _get(self, path: str, accept: str) -> Answer:
        url = httpx.URL(f"{base_url(self.reference.registry)}/v2/{self.reference.repository}/{path}")
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                status, headers, data = await self._followed(url, accept)
                if status == httpx.codes.UNAUTHORIZED and self._authorization is None:
                    self._authorization = await self._convince(headers)
                    status, headers, data = await self._followed(url, accept)
        except (httpx.TransportError, TimeoutError) as error:
            what = str(error) or type(error).__name__
            raise RegistryAway(f"registry {self.reference.registry} does not answer: {what}") from error
        self._judge(status, headers)
        return Answer(data, headers.get("docker-content-digest", ""))

    async def _followed(self, url: httpx.URL, accept: str) -> tuple[int, httpx.Headers, bytes]:
        """Only the registry itself sees the authorization, never the place to which it redirects."""
        origin = (url.scheme, url.netloc)
        for _ in range(_MOST_REDIRECTS + 1):
            headers = {"Accept": accept}
            if self._authorization and (url.scheme, url.netloc) == origin:
                headers["Authorization"] = self._authorization
            status, answered, data = await self._read(url, headers)
            if status not in _REDIRECTS or "location" not in answered:
                return status, answered, data
            url = self._next(url, answered["location"])
        raise self._refused("redirects without end", f"at most {_MOST_REDIRECTS} redirects")

    def _next(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            following = url.join(location)
        except httpx.InvalidURL:
            following = httpx.URL("")
        if not may_follow(following, self.reference):
            place = f"{following.scheme}://{following.host}"
            raise self._refused(f"redirects to {place[:200]!r}", "redirects to https hosts on the internet only")
        return following

    async def _read(self, url: httpx.URL, headers: Mapping[str, str]) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and at most MOST_BYTES of body, undecoded: a small answer cannot become a large one."""
        data = bytearray()
        async with self.http.stream("GET", url, headers=headers) as response:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise self._refused("sends compressed answers", "answers as they are")
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > MOST_BYTES:
                    raise self._refused(f"answers with more than {MOST_BYTES} bytes", f"at most {MOST_BYTES} bytes")
            return response.status_code, response.headers, bytes(data)

    async def _convince(self, headers: httpx.Headers) -> str:
        """The Authorization that the challenge asks for. Raises ImageRefused."""
        asked = challenges(", ".join(headers.get_list("www-authenticate")))
        for challenge in asked:
            if challenge.scheme == "bearer":
                return f"Bearer {await self._token(token_url(challenge, self.reference, self.listed))}"
        own = httpx.URL(base_url(self.reference.registry))
        if any(challenge.scheme == "basic" for challenge in asked):
            if self.login is None:
                raise self._denied("wants a user name and a password")
            if may_ask(own, self.reference, self.listed):
                return _basic(self.login)
        raise self._denied("asks for a proof that is not known here")

    async def _token(self, url: httpx.URL) -> str:
        headers = {"Accept": "application/json"} | ({"Authorization": _basic(self.login)} if self.login else {})
        status, answered, data = await self._read(url, headers)
        if status in (400, 401, 403):
            raise self._denied(f"refused a token (its token server {url.host} answered {status})")
        self._judge(status, answered)
        try:
            found = _Token.model_validate_json(data)
        except ValidationError as error:
            raise self._refused("gives tokens that cannot be read", "a JSON object with `token`") from error
        token = found.token or found.access_token or ""
        if not token or not token.isascii() or not token.isprintable():
            raise self._refused("gives tokens that cannot be read", "a JSON object with `token`")
        return token

    def _judge(self, status: int, headers: httpx.Headers) -> None:
        """Raises for everything but a success."""
        name = self.reference.registry
        if status == httpx.codes.OK:
            return
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise RegistryAway(f"registry {name} answers no more requests for now (429)", _wait(headers))
        if status >= 500:
            raise RegistryAway(f"registry {name} fails ({status})", _wait(headers) if status == 503 else None)
        if status in (401, 403):
            raise self._denied(f"does not let {self.reference.repository!r} be pulled ({status})")
        if status == httpx.codes.NOT_FOUND:
            message = f"registry {name} has no image {self.reference.repository}"
            sort = f"@{self.reference.digest}" if self.reference.digest else f":{self.reference.tag}"
            raise ImageRefused(message + sort, rule="an image that exists")
        raise self._refused(f"answers {status}", "the OCI distribution API, version 2")

    def _refused(self, what: str, rule: str) -> ImageRefused:
        return ImageRefused(f"registry {self.reference.registry} {what}", rule=rule)

    def _denied(self, what: str) -> ImageRefused:
        rule = "pulled by anybody, or with the credentials that the yard has for this registry"
        message = f"registry {self.reference.registry} {what}"
        return ImageRefused(message, rule=rule)


def _basic(login: Login) -> str:
    pair = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _wait(headers: httpx.Headers) -> float:
    """Seconds until the next try; a date is not worth parsing."""
    text = headers.get("retry-after", "")
    return min(float(text), _MOST_WAIT) if text.isdecimal() and len(text) < 9 else _USUAL_WAIT
