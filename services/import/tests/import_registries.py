"""Registries to run one suite against: the double, and Debian's `docker-registry` where it is installed."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from modelyard_local.child import ChildServer
from modelyard_local.ports import free_port
from modelyard_testkit.registry import registry_double
from modelyard_testkit.servers import running

USER, PASSWORD = "yard", "secret"
HTPASSWD = f"{USER}:$2b$04$KBcMfIMdkIsPWOO0kIWwCOQhsAC04hdanXfFVc0Ze0mGWqP3kXi/.\n"


class DockerRegistry(ChildServer):
    """The reference implementation. `auth` is the section of its configuration, in JSON (which is YAML)."""

    name = "docker-registry"

    def __init__(self, data_dir: Path, auth: Mapping[str, object]) -> None:
        super().__init__(data_dir, 0)
        self._auth = auth

    def _draw_ports(self) -> dict[str, int]:
        return {"main": free_port()}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        config = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": True}, "level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.data_dir / "blobs")}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
            **({"auth": self._auth} if self._auth else {}),
        }
        file = self.data_dir / "registry.json"
        file.write_text(json.dumps(config))
        return [str(shutil.which(self.name)), "serve", str(file)], {}

    async def _answers(self) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        return True

    def _clean(self, ports: Mapping[str, int]) -> None:
        """Leaves nothing outside its folder."""


@contextmanager
def docker_registry(folder: Path, auth: Mapping[str, object] | None = None) -> Iterator[str]:
    """Its `host:port`. Skips where it is not installed."""
    if shutil.which(DockerRegistry.name) is None:
        pytest.skip("docker-registry is not installed (Debian package docker-registry)")
    server = DockerRegistry(folder, auth or {})
    with running(server):
        yield f"127.0.0.1:{server.port}"


class Tokens:
    """What a token server needs to sign for docker-registry: a key and its certificate, made by openssl."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        self.key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        subject = ["-subj", "/CN=tests", "-days", "2", "-keyout", str(self.key), "-out", str(self.certificate)]
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject)

    def mint(self, scope: str) -> str:
        """A JWT that allows exactly what the scope says."""
        kind, name, actions = scope.rsplit(":", 2) if scope.count(":") >= 2 else ("repository", "none", "")
        now = int(time.time())
        claims = {
            **{"iss": "tests", "sub": USER, "aud": "test registry", "jti": uuid4().hex},
            **{"exp": now + 60, "nbf": now - 60, "iat": now - 60},
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        body = base64.b64encode(self._openssl("x509", "-in", str(self.certificate), "-outform", "DER")).decode()
        signed = f"{_coded({'typ': 'JWT', 'alg': 'RS256', 'x5c': [body]})}.{_coded(claims)}"
        signature = self._openssl("dgst", "-sha256", "-sign", str(self.key), stdin=signed.encode())
        return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def section(self, realm: str) -> Mapping[str, object]:
        """Of the registry's configuration."""
        named = {"realm": realm, "service": "test registry", "issuer": "tests"}
        return {"token": {**named, "rootcertbundle": str(self.certificate)}}

    @staticmethod
    def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def _coded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Bearer(httpx.Auth):
    """For pushing: one token that allows it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override] # no answer wanted
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


@contextmanager
def token_registry(folder: Path) -> Iterator[tuple[str, str, Callable[[str], httpx.Auth]]]:
    """docker-registry with a token server beside it: `host:port` of both, and what lets one push."""
    tokens = Tokens(folder)
    with registry_double() as server:
        server.users, server.mint = {USER: PASSWORD}, tokens.mint
        with docker_registry(folder, tokens.section(f"{server.url}/token")) as host:
            yield host, server.host, lambda name: Bearer(tokens.mint(f"repository:{name}:pull,push"))
