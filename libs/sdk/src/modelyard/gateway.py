"""HTTP with a gateway, and nothing of what it answers. `client.Client` adds names for everything one can ask."""

import json
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx
from httpx_sse import connect_sse

from modelyard.connection import Connection
from modelyard.errors import ConnectionNotFound, GatewayUnreachable, Refused, Reply, TaskFailed

__all__ = ["Gateway", "Reply", "at", "reason_of"]

ENDED = frozenset({"published", "failed", "succeeded", "stopped", "cancelled", "scored", "rejected"})
BAD_END = frozenset({"failed", "stopped", "cancelled", "rejected"})
_SILENCE = 45.0  # seconds without a byte on an event stream: three of the gateway's pings are missing
_PATIENCE = 20  # failed polls in a row: a service that is started anew is back by then
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds


def at(*segments: str | int) -> str:
    """A path of these segments: ids and names come from people, so each is escaped."""
    return "/".join(quote(str(segment), safe="") for segment in segments)


class Gateway:
    """One gateway, one project. Use it as a context manager, or `close` it.

    Every method raises Refused when the gateway says no, and GatewayUnreachable when it does not answer.
    """

    def __init__(self, connection: Connection, timeout: float = 60, retries: int = 2) -> None:
        """`timeout` in seconds, for one answer; `retries` of connecting. Raises ConnectionNotFound when URL or token
        cannot be one."""
        _check(connection)
        self.connection = connection
        self._http = httpx.Client(
            base_url=connection.url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5)),
            headers={"Authorization": f"Bearer {connection.token}"},
            transport=httpx.HTTPTransport(retries=retries),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Reply:
        """Below the project; what is None is left out of the query."""
        return self._send("GET", path, params=_given(query))

    def post(
        self, path: str, body: Any, *, idempotency_key: str | None = None, source_token: str | None = None
    ) -> Reply:
        """`source_token`: one of another project, which a version is promoted from."""
        given = {"Idempotency-Key": idempotency_key, "X-Source-Token": source_token}
        return self._send("POST", path, json=body, headers={name: value for name, value in given.items() if value})

    def patch(self, path: str, body: Any, *, revision: int | None = None) -> Reply:
        """With `revision` only if that is still the newest."""
        return self._send("PATCH", path, json=body, headers=_if_match(revision))

    def put(self, path: str, body: Any) -> Reply:
        return self._send("PUT", path, json=body)

    def delete(self, path: str, *, revision: int | None = None, **query: Any) -> Reply:
        """As `patch`."""
        return self._send("DELETE", path, params=_given(query), headers=_if_match(revision))

    def text(self, path: str, **query: Any) -> str:
        """A GET whose answer is no JSON, a picture for example."""
        response = self._request("GET", self._below_project(path), params=_given(query))
        if not response.is_success:
            self._answer(response)
        return response.text

    def server(self, path: str, body: Any = None, **query: Any) -> Reply:
        """A POST outside the project, or without a body a GET; for operators."""
        method, options = ("GET", {"params": _given(query)}) if body is None else ("POST", {"json": body})
        return self._answer(self._request(method, f"/v1/{path}", **options))

    def whoami(self) -> Reply:
        """Of the token: `name`, `project` and `role`."""
        return self._answer(self._request("GET", "/v1/whoami"))

    def status(self) -> Reply:
        """`ready`; `checks`, by part "ok" or what is missing; `version`; `latency_ms` of a bare question.

        Any token will do.
        """
        answer = self._request("GET", "/readyz")
        is_not_ready = (
            answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "json" in answer.headers["content-type"]
        )
        said = answer.json() if is_not_ready else self._answer(answer)
        asked = self._request("GET", "/healthz")  # on a line that stands by now
        return {
            "url": self.connection.url,
            "ready": bool(said.get("ready")),
            "checks": said.get("checks", {}),
            "version": said.get("version"),
            "latency_ms": round(asked.elapsed.total_seconds() * 1000, 2),
        }

    def events(self, path: str = "events") -> Iterator[tuple[str, Reply]]:
        """Server-sent events as (name, data); ends when the gateway ends them."""
        try:
            timeout = httpx.Timeout(10, read=_SILENCE)
            with connect_sse(self._http, "GET", self._below_project(path), timeout=timeout) as source:
                if source.response.status_code != httpx.codes.OK:
                    source.response.read()
                    self._answer(source.response)
                for event in source.iter_sse():
                    if event.data:  # a bare id or retry line is an event too
                        yield event.event, json.loads(event.data)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def follow(self, read: Callable[[], Reply], state: str, on_change: Callable[[Reply], None]) -> Reply:
        """Poll until `read()[state]` is final. Raises TaskFailed with the reason when it ended badly.

        A task outlives a restart of the gateway or of its service, and so does following it.
        """
        pause, failed = _FIRST_PAUSE, 0
        while True:
            try:
                reply = read()
            except (GatewayUnreachable, Refused) as error:
                failed += 1
                if failed > _PATIENCE or getattr(error, "status", 503) != 503:
                    raise
            else:
                failed = 0
                on_change(reply)
                if reply[state] in BAD_END:
                    raise TaskFailed(reason_of(reply), reply)
                if reply[state] in ENDED:
                    return reply
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _below_project(self, path: str) -> str:
        return f"/v1/{quote(self.connection.project, safe='')}/{path}"

    def _send(self, method: str, path: str, **options: Any) -> Reply:
        return self._answer(self._request(method, self._below_project(path), **options))

    def _request(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _answer(self, response: httpx.Response) -> Reply:
        try:
            body = response.json()
        except ValueError:
            body = {"error_msg": f"{self.connection.url} is no gateway: {response.text[:200]!r}"}
            raise Refused(response.status_code, body) from None
        if response.is_success and isinstance(body, dict):
            return body
        if response.status_code == httpx.codes.UNAUTHORIZED and isinstance(body, dict):
            told = f"{self.connection.url} does not know the token of {self.connection.origin}"
            body |= {"error_msg": f"{told}; 'modelyard login {self.connection.url}' keeps another"}
        raise Refused(response.status_code, body if isinstance(body, dict) else {"error_msg": str(body)[:200]})

    def _unreachable(self, error: Exception) -> GatewayUnreachable:
        return GatewayUnreachable(f"no answer from {self.connection.url}: {error or type(error).__name__}")


def _check(connection: object) -> None:
    if not isinstance(connection, Connection):
        advice = "Client(find_connection()), or Client(Connection(url, token, project))"
        raise ConnectionNotFound(f"{connection!r} says not who is calling: {advice}")
    try:
        url = urlsplit(connection.url)
        usable = url.scheme in {"http", "https"} and url.hostname and (url.port or True)
    except ValueError:
        usable = False
    if not usable:
        raise ConnectionNotFound(f"{connection.url!r} is no gateway's URL; it looks like http://127.0.0.1:8080")
    if not connection.token.isascii() or not connection.token.isprintable():
        raise ConnectionNotFound("the token has characters that no token has; copy it again")


def _if_match(revision: int | None) -> dict[str, str]:
    return {} if revision is None else {"If-Match": f'"{revision}"'}


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def reason_of(reply: Reply) -> str:
    """Why a task ended badly, wherever the reply keeps it."""
    failure = reply.get("failure") or {}
    return str(reply.get("reason") or failure.get("reason") or "it ended without a reason")
