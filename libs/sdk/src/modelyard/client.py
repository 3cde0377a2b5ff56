"""HTTP client of the gateway. Replies are plain dictionaries as docs/api.md describes them."""

import json
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import connect_sse

from modelyard.connection import Connection
from modelyard.errors import GatewayUnreachable, Refused, TaskFailed

Reply = dict[str, Any]
ENDED = frozenset({"published", "failed", "succeeded", "stopped", "scored", "rejected"})
BAD_END = frozenset({"failed", "stopped", "rejected"})


class Client:
    """One gateway, one project. Use it as a context manager, or `close` it.

    Every method raises Refused when the gateway says no, and GatewayUnreachable when it does not answer.
    """

    def __init__(self, connection: Connection, timeout: float = 60) -> None:
        self.connection = connection
        self._http = httpx.Client(
            base_url=connection.url,
            timeout=timeout,
            headers={"Authorization": f"Bearer {connection.token}"},
            transport=httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Reply:
        return self._send("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Any, *, idempotency_key: str | None = None) -> Reply:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._send("POST", path, json=body, headers=headers)

    def put(self, path: str, body: Any) -> Reply:
        return self._send("PUT", path, json=body)

    def delete(self, path: str, **query: Any) -> Reply:
        return self._send("DELETE", path, params=query)

    def server(self, path: str, body: Any) -> Reply:
        """A POST outside the project, for operators."""
        return self._answer(self._request("POST", f"/v1/{path}", json=body))

    def events(self, path: str = "events") -> Iterator[tuple[str, Reply]]:
        """Server-sent events as (name, data); ends when the gateway ends them."""
        url = f"/v1/{self.connection.project}/{path}"
        try:
            with connect_sse(self._http, "GET", url, timeout=httpx.Timeout(10, read=60)) as source:
                if source.response.status_code != httpx.codes.OK:
                    source.response.read()
                    self._answer(source.response)
                for event in source.iter_sse():
                    yield event.event, json.loads(event.data)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def follow(self, read: Callable[[], Reply], state: str, on_change: Callable[[Reply], None]) -> Reply:
        """Poll until `read()[state]` is final. Raises TaskFailed with the reason when it ended badly."""
        pause = 0.05
        while True:
            reply = read()
            on_change(reply)
            if reply[state] in ENDED:
                if reply[state] in BAD_END:
                    raise TaskFailed(reason_of(reply))
                return reply
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def _send(self, method: str, path: str, **options: Any) -> Reply:
        return self._answer(self._request(method, f"/v1/{self.connection.project}/{path}", **options))

    def _request(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _answer(self, response: httpx.Response) -> Reply:
        try:
            body = response.json()
        except ValueError:
            body = {"error_msg": f"not a gateway: {response.text[:200]!r}"}
        if response.is_success and isinstance(body, dict):
            return body
        raise Refused(response.status_code, body if isinstance(body, dict) else {"error_msg": str(body)})

    def _unreachable(self, error: Exception) -> GatewayUnreachable:
        return GatewayUnreachable(f"no answer from {self.connection.url}: {error or type(error).__name__}")


def reason_of(reply: Reply) -> str:
    """Why a task ended badly, wherever the reply keeps it."""
    failure = reply.get("failure") or {}
    return str(reply.get("reason") or failure.get("reason") or "it failed without a reason")
