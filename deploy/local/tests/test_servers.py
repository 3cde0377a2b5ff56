"""The embedded servers against the real programs: closed to strangers, quick, and gone when their owner is."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from minio import Minio
from minio.error import S3Error

from modelyard_local.child import ChildServer, ServerFailed
from modelyard_local.ports import all_free
from modelyard_local.server_record import ServerRecord
from modelyard_local.servers import NatsServer, S3Server

pytestmark = pytest.mark.servers
USERS = "authorization { users: [{ user: yard, password: 'pass word' }] }"
SIZE = Path(__file__).stat().st_size
OWNER = Path(__file__).parent / "owner.py"


def config(store: Path, port: int) -> str:
    return f"jetstream {{ store_dir: '{store}' }}\n{USERS}\nlisten: 0.0.0.0:{port}\n"


def broken(store: Path, port: int) -> str:
    return "authorization {"


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", config)
    yield server
    await server.stop()


@pytest.fixture
async def s3(tmp_path: Path) -> AsyncIterator[S3Server]:
    server = S3Server(tmp_path / "s3", "yard-key", "yard-secret")
    yield server
    await server.stop()


def client(server: S3Server, access_key: str = "yard-key", secret_key: str = "yard-secret") -> Minio:
    return Minio(server.endpoint, access_key, secret_key, secure=False, region="us-east-1")


def listening(pid: int | None) -> set[tuple[str, int]]:
    sockets = psutil.Process(pid).net_connections("inet")
    return {
        (s.laddr.ip, s.laddr.port) for s in sockets if s.status == psutil.CONN_LISTEN or s.type.name == "SOCK_DGRAM"
    }


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a process sets no asyncio.Event
        await asyncio.sleep(0.01)


def gone(pid: int | None) -> bool:
    return pid is not None and (not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def inner_sockets(server: S3Server) -> list[Path]:
    return [path for port in server.ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]


async def nats_says(port: int, *lines: str) -> str:
    """Everything the server answers to these lines until it closes or has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write("".join(f"{line}\r\n" for line in (*lines, "PING")).encode())
    answer = await reader.readline()
    writer.close()
    return answer.decode()


async def test_nats_listens_on_one_loopback_port(nats: NatsServer) -> None:
    await nats.start()
    assert listening(nats.pid) == {("127.0.0.1", nats.port)}


async def test_nats_refuses_strangers(nats: NatsServer) -> None:
    await nats.start()
    assert "Authorization Violation" in await nats_says(nats.port, "CONNECT {}")
    assert "Authorization Violation" in await nats_says(nats.port, 'CONNECT {"user":"yard","pass":"x"}')
    assert await nats_says(nats.port, 'CONNECT {"user":"yard","pass":"pass word","verbose":false}') == "PONG\r\n"
    assert (nats.data_dir / "nats.conf").stat().st_mode & 0o077 == 0


async def test_nats_without_users_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="names no users"):
        await NatsServer(tmp_path, lambda store, port: "max_payload: 1MB").start()


async def test_broken_configuration_is_named_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=re.escape(f"exited with code 1 at start, see {tmp_path}")):
        await NatsServer(tmp_path, broken).start()


async def test_given_port_is_used_or_refused(tmp_path: Path, nats: NatsServer) -> None:
    await nats.start()
    with pytest.raises(ServerFailed, match=f"nats-server: port {nats.port} is taken"):
        await NatsServer(tmp_path / "second", config, port=nats.port).start()
    await nats.stop()
    second = NatsServer(tmp_path / "second", config, port=nats.port)
    await second.start()
    assert second.url == f"nats://127.0.0.1:{nats.port}"
    await second.stop()


async def test_s3_listens_on_loopback_only_and_on_no_unexpected_port(s3: S3Server) -> None:
    await s3.start()
    assert listening(s3.pid) == {("127.0.0.1", port) for port in s3.ports.values()}


@pytest.mark.parametrize(("access_key", "secret_key"), [("yard-key", "wrong"), ("other", "yard-secret")])
async def test_s3_refuses_wrong_keys(s3: S3Server, access_key: str, secret_key: str) -> None:
    await s3.start()
    with pytest.raises(S3Error) as refused:
        client(s3, access_key, secret_key).list_buckets()
    assert refused.value.code in ("SignatureDoesNotMatch", "InvalidAccessKeyId")


async def test_s3_keeps_secrets_off_the_command_line_and_the_telemetry_off(s3: S3Server) -> None:
    await s3.start()
    line = psutil.Process(s3.pid).cmdline()
    assert "-master.telemetry=false" in line
    assert not any("yard-secret" in argument for argument in line)


async def test_s3_is_stopped_after_its_grace_and_leaves_nothing(s3: S3Server) -> None:
    await s3.start()
    pid = s3.pid
    assert inner_sockets(s3)
    async with asyncio.timeout(25):  # left alone it takes 30 s
        await s3.stop()
    assert gone(pid)
    assert inner_sockets(s3) == []


async def test_objects_and_keys_survive_a_kill_and_a_start_with_other_ports(s3: S3Server, tmp_path: Path) -> None:
    await s3.start()
    client(s3).make_bucket("yard")
    client(s3).fput_object("yard", "a", __file__)
    psutil.Process(s3.pid).kill()
    await s3.stop()
    (s3.data_dir / "server.json").unlink()
    again = S3Server(s3.data_dir, "yard-key", "another-secret")
    await again.start()
    try:
        assert client(again, secret_key="another-secret").stat_object("yard", "a").size == SIZE
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            client(again).list_buckets()
    finally:
        await again.stop()


@pytest.mark.parametrize("kind", ["nats", "s3"])
async def test_dead_server_is_started_again_on_the_same_ports(kind: str, nats: NatsServer, s3: S3Server) -> None:
    child: ChildServer = {"nats": nats, "s3": s3}[kind]
    await child.start()
    ports, pid = dict(child.ports), child.pid
    assert pid is not None
    reports: list[str] = []
    watch = asyncio.create_task(child.keep_running(reports.append))
    psutil.Process(pid).kill()
    await until(lambda: child.pid not in (None, pid))
    await child.stop()
    await watch  # it ends by itself
    assert child.ports == ports
    assert reports == [f"{child.name} was killed by SIGKILL; starting it again in 0.2 s"]
    assert child.pid is None


async def test_server_that_does_not_start_again_is_reported_and_tried_on(nats: NatsServer) -> None:
    await nats.start()
    reports: asyncio.Queue[str] = asyncio.Queue()
    watch = asyncio.create_task(nats.keep_running(reports.put_nowait))
    (nats.data_dir / "server.json").unlink()
    nats._configure = broken  # type: ignore[misc]  # the fault
    psutil.Process(nats.pid).kill()
    assert "killed by SIGKILL" in await reports.get()
    assert "exited with code 1 at start" in await reports.get()
    assert "did not start; starting it again in 0.4 s" in await reports.get()
    nats._configure = config  # type: ignore[misc]
    await until(lambda: nats.pid is not None)
    await nats.stop()
    await watch


async def test_ports_are_kept_from_one_start_to_the_next(nats: NatsServer) -> None:
    await nats.start()
    await nats.stop()
    assert all_free([nats.port])
    again = NatsServer(nats.data_dir, config)
    await again.start()
    assert again.port == nats.port
    await again.stop()


async def owner(*arguments: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, OWNER, *arguments, stdout=subprocess.PIPE, env={**os.environ, "NATS_USERS": USERS}
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"started\n"
    return process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
async def test_servers_die_with_a_killed_owner_and_the_next_start_tidies_up(tmp_path: Path, s3: S3Server) -> None:
    process = await owner(str(tmp_path))
    pids = [ServerRecord.load(tmp_path / name / "server.json").server for name in ("nats", "s3")]
    process.kill()
    await process.wait()
    for mark in pids:
        assert mark is not None
        await until(partial(gone, mark.pid))
    await s3.start()
    await s3.stop()
    assert inner_sockets(s3) == []


async def test_orphan_is_ended_and_its_folder_taken_over(tmp_path: Path, nats: NatsServer) -> None:
    process = await owner(str(tmp_path), "--orphan")
    orphan = ServerRecord.load(nats.data_dir / "server.json").server
    assert orphan is not None
    with pytest.raises(ServerFailed, match=f"in use by process {process.pid}"):
        await nats.start()
    process.kill()
    await process.wait()
    assert orphan.find() is not None
    await nats.start()
    assert orphan.find() is None
    assert nats.pid != orphan.pid


async def test_process_that_only_has_the_number_of_an_orphan_is_left_alone(nats: NatsServer) -> None:
    await nats.start()
    await nats.stop()
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    file = nats.data_dir / "server.json"
    mark = {"pid": bystander.pid, "started": psutil.Process(bystander.pid).create_time(), "command": ["nats-server"]}
    file.write_text(ServerRecord.model_validate({"ports": {}, "server": mark}).model_dump_json())
    await nats.start()
    assert bystander.returncode is None
    bystander.terminate()
    await bystander.wait()


async def test_torn_record_is_no_obstacle(nats: NatsServer) -> None:
    nats.data_dir.mkdir(mode=0o700)
    (nats.data_dir / "server.json").write_text('{"ports": {"ma')
    await nats.start()
    assert nats.pid
