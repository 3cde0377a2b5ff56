import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard_bus.server_config import FromEnvironment, ServerConfig, render
from modelyard_contracts.permissions import IDENTITIES

CONFIG = ServerConfig(store=Path("/var/lib/nats"), passwords=dict.fromkeys(IDENTITIES, "pass"))


def test_it_listens_on_loopback_unless_told() -> None:
    assert 'listen: "127.0.0.1:4222"' in render(CONFIG)
    assert "http:" not in render(CONFIG)
    assert 'http: "127.0.0.1:8222"' in render(dataclasses.replace(CONFIG, monitor_port=8222))


def test_everyone_needs_a_password() -> None:
    passwords = {**CONFIG.passwords, "training": ""}
    with pytest.raises(ValueError, match="no password for training"):
        render(dataclasses.replace(CONFIG, passwords=passwords))


def test_a_password_cannot_break_out_of_its_quotes() -> None:
    text = render(dataclasses.replace(CONFIG, passwords=dict.fromkeys(IDENTITIES, 'a" b\\ $c # {')))
    assert 'password: "a\\" b\\\\ $c # {",' in text
    with pytest.raises(ValueError, match="printable ASCII"):
        render(dataclasses.replace(CONFIG, passwords=dict.fromkeys(IDENTITIES, "a\nb")))


def test_a_password_may_come_from_the_servers_environment() -> None:
    passwords = {**CONFIG.passwords, "import": FromEnvironment("NATS_IMPORT")}
    assert 'user: "import", password: $NATS_IMPORT,' in render(dataclasses.replace(CONFIG, passwords=passwords))


@pytest.mark.servers
@pytest.mark.parametrize("sync_interval", ["2m", "always"])
def test_the_server_accepts_it(tmp_path: Path, sync_interval: str) -> None:
    passwords: dict[str, str | FromEnvironment] = dict.fromkeys(IDENTITIES, 'a" b\\ $c # {')
    passwords["import"] = FromEnvironment("NATS_IMPORT")
    config = tmp_path / "nats.conf"
    text = render(ServerConfig(store=tmp_path, passwords=passwords, sync_interval=sync_interval, monitor_port=8222))
    config.write_text(text)
    binary = Path(sys.prefix) / "bin" / "nats-server"
    tried = subprocess.run(
        [binary, "-t", "-c", config], env={"NATS_IMPORT": "secret"}, capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stderr
    assert "invalid" not in tried.stderr
