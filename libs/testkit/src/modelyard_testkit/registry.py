"""A container registry on loopback: the part of the OCI distribution API, version 2, that pushing and pulling needs.

It speaks to anybody, or wants a token or a password first, and can be told to fail. Its contract suite
(`services/import/tests/test_registry_contract.py`) runs against Debian's `docker-registry` as well.
"""

import base64
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from modelyard_testkit.images import digest_of

_PATH: Final = re.compile(r"/v2/(?P<repository>.+)/(?P<what>manifests|blobs)/(?P<name>.+)")
_JSON: Final = "application/json"
TOKEN: Final = "a-token-for-tests"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class RegistryDouble:
    """`failures` answer instead of the registry: by the path that a request's begins with. `asked` keeps method, path
    and Authorization of every request; `mint` makes the token for a scope."""

    host: str = ""
    wants: Literal["nothing", "token", "basic"] = "nothing"
    users: dict[str, str] = field(default_factory=dict)
    realm: str | None = None
    mint: Callable[[str], str] = lambda scope: TOKEN  # noqa: ARG005 - whatever it is asked for
    failures: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer(self, method: str, target: str, authorization: str | None, media_type: str, body: bytes) -> Answer:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.asked.append((method, target, authorization))
        for beginning, failure in self.failures.items():
            if path.startswith(beginning):
                return failure
        if path == "/token":
            return self._token(authorization, query)
        if method in ("GET", "HEAD") and not self._convinced(authorization):
            return self._challenge(path)
        if path == "/v2/":
            return Answer(200, b"{}", {"Content-Type": _JSON})
        if method in ("POST", "PUT"):
            return self._push(method, path, query, media_type, body)
        return self._pull(path)

    def _convinced(self, authorization: str | None) -> bool:
        known = {"token": {f"Bearer {TOKEN}"}, "basic": {_basic(*user) for user in self.users.items()}}
        return self.wants == "nothing" or authorization in known[self.wants]

    def _challenge(self, path: str) -> Answer:
        found = _PATH.fullmatch(path)
        scope = f',scope="repository:{found["repository"]}:pull"' if found else ""
        realm = self.realm or f"{self.url}/token"
        bearer = f'Bearer realm="{realm}",service="test registry"{scope}'
        challenge = bearer if self.wants == "token" else 'Basic realm="test registry"'
        return Answer(401, _error("UNAUTHORIZED"), {"WWW-Authenticate": challenge, "Content-Type": _JSON})

    def _token(self, authorization: str | None, query: dict[str, list[str]]) -> Answer:
        if self.users and authorization not in {_basic(*user) for user in self.users.items()}:
            return Answer(401, _error("UNAUTHORIZED"), {"Content-Type": _JSON})
        token = self.mint(query.get("scope", [""])[0])
        return Answer(200, f'{{"token": "{token}", "expires_in": 60}}'.encode(), {"Content-Type": _JSON})

    def _push(self, method: str, path: str, query: dict[str, list[str]], media_type: str, body: bytes) -> Answer:
        if method == "POST":
            return Answer(202, headers={"Location": f"{path}here"})
        if "/blobs/uploads/" in path:
            self.blobs[digest_of(body)] = body
            return Answer(201 if query.get("digest") == [digest_of(body)] else 400)
        if found := _PATH.fullmatch(path):
            for name in (found["name"], digest_of(body)):
                self.manifests[found["repository"], name] = media_type, body
            return Answer(201, headers={"Docker-Content-Digest": digest_of(body)})
        return Answer(404)

    def _pull(self, path: str) -> Answer:
        found = _PATH.fullmatch(path)
        if found and found["what"] == "blobs" and (blob := self.blobs.get(found["name"])) is not None:
            return Answer(200, blob, {"Content-Type": "application/octet-stream"})
        if found and (manifest := self.manifests.get((found["repository"], found["name"]))):
            media_type, body = manifest
            return Answer(200, body, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(body)})
        return Answer(404, _error("MANIFEST_UNKNOWN"), {"Content-Type": _JSON})


@contextmanager
def registry_double() -> Iterator[RegistryDouble]:
    """Runs in threads of its own until the block ends."""
    double = RegistryDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body leave together; apart they wait 40 ms for each other

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            media_type = self.headers.get("Content-Type", "")
            answer = double.answer(self.command, self.path, self.headers.get("Authorization"), media_type, body)
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_POST = do  # noqa: N815 - named by http.server

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        double.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield double
        server.shutdown()
        thread.join()


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _error(code: str) -> bytes:
    return f'{{"errors": [{{"code": "{code}", "message": "as a test wants it"}}]}}'.encode()
