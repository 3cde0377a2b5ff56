"""One Dockerfile makes the image of every service: shared layers, all pinned, nobody root, a cheap question."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from modelyard_runtime.health import Readiness, health_app
from modelyard_runtime.http_server import HttpServer
from modelyard_runtime.metrics import ServiceMetrics

from .tree import ROOT, members, services

FOLDER = ROOT / "deploy/docker"
TEXT = (FOLDER / "service.Dockerfile").read_text("utf-8")
SHARE_MODELS = {"convert", "evaluate", "import"}


def _pins(*locks: Path) -> list[str]:
    command = [sys.executable, str(FOLDER / "shared_pins.py"), *map(str, locks)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^(\S+)==\S+", printed, re.MULTILINE)


def _lock(service: str) -> Path:
    return ROOT / "services" / service / "requirements.lock"


def test_every_service_stands_on_the_layers_that_it_shares() -> None:
    found = {name: layer for layer, name in re.findall(r"^FROM (all|models) AS under-(\w+)$", TEXT, re.MULTILINE)}
    wanted = {service.folder.name: "all" for service in services()} | dict.fromkeys(SHARE_MODELS, "models")
    assert found == wanted


def test_what_is_heavy_is_shared() -> None:
    everywhere = set(_pins(*(_lock(service.folder.name) for service in services())))
    with_models = set(_pins(*map(_lock, sorted(SHARE_MODELS))))
    assert {"pydantic-core", "pymongo", "nats-py"} <= everywhere <= with_models
    assert {"openvino", "onnxruntime", "onnx", "numpy"} <= with_models - everywhere


def test_a_shared_pin_keeps_its_hashes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.lock", tmp_path / "other.lock"
    one.write_text("a==1 \\\n    --hash=sha256:x \\\n    --hash=sha256:y\n    # via b\nb==1 \\\n    --hash=sha256:z\n")
    other.write_text(
        "a==1 \\\n    --hash=sha256:x \\\n    --hash=sha256:y\n    # via c\nb==2 \\\n    --hash=sha256:z\n"
    )
    command = [sys.executable, str(FOLDER / "shared_pins.py"), str(one), str(other)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == "a==1 \\\n    --hash=sha256:x \\\n    --hash=sha256:y\n"


def test_it_is_pinned_and_not_root() -> None:
    installs = re.findall(r"^.*pip .*(?:install|wheel) .*$", TEXT, re.MULTILINE)
    assert len(installs) == 6
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert TEXT.index("--gid 10001") < TEXT.index("--uid 10001") < TEXT.index("\nUSER 10001:10001\n")
    assert TEXT.index("\nUSER ") < TEXT.index("\nCMD ")


def test_its_labels_say_what_it_is() -> None:
    (version,) = re.findall(r"^ARG VERSION=(\S+)$", TEXT, re.MULTILINE)
    assert {member.declaration["project"]["version"] for member in members()} == {version}
    labels = set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", TEXT))
    assert labels == {"title", "description", "licenses", "version", "revision", "base.name"}


async def _well() -> str | None:
    return None


async def _ill() -> str | None:
    return "NATS is away"


@pytest.mark.parametrize(("check", "status"), [(_well, 0), (_ill, 1)])
async def test_health_is_asked_without_an_interpreter(check: Callable[[], Awaitable[str | None]], status: int) -> None:
    assert (FOLDER / "ready").read_text("utf-8").startswith("#!/bin/bash\n")
    assert 'CMD ["ready"]' in TEXT
    metrics = ServiceMetrics("version", {})
    readiness = Readiness({"nats": check}, metrics)
    readiness.phase = "running"
    server = HttpServer(health_app(readiness, metrics), "127.0.0.1", 0)
    await server.start()
    try:
        asked = await _ask(server.port)
    finally:
        await server.stop()
    assert asked.returncode == status, asked
    assert ("NATS is away" in asked.stdout) == bool(status)


async def test_nobody_listens() -> None:
    assert (await _ask(9)).returncode == 1


async def _ask(port: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MODELYARD_HTTP_PORT": str(port)}
    return await asyncio.to_thread(
        subprocess.run, [FOLDER / "ready"], env=environment, capture_output=True, text=True, check=False
    )
