"""docker-compose.yml as a user starts it, under a name, on ports and with secrets of its own. `make test-compose`.

It needs Docker, and fails where there is none. STAND_INS=1 takes `stand-ins/` for the images that would be pulled.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelyard import Connection
from modelyard_local.ports import free_port

ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).parent / "stand-ins"
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}


def said(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """Standard output. Fails with everything that was said."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr[-5000:]}"
    return done.stdout


@dataclass(frozen=True)
class Composed:
    """`folder`: a user's own, with `.env`, anywhere on this machine."""

    folder: Path
    stand_ins: bool
    ports: dict[str, str] = field(default_factory=lambda: {p: str(free_port()) for p in ("PORT", "S3_PORT")})

    def compose(self, *words: str) -> str:
        over = ["--file", str(STAND_INS / "compose.yml")] if self.stand_ins else []
        files = ["--file", str(ROOT / "docker-compose.yml"), *over, "--env-file", str(self.folder / ".env")]
        ports = {f"MODELYARD_{name}": port for name, port in self.ports.items()}
        name = f"modelyard-test-{os.getpid()}"
        return said(["docker", "compose", "--project-name", name, *files, *words], PLAIN | ports, ROOT)

    @property
    def connection(self) -> Connection:
        lines = (self.folder / ".env").read_text("utf-8").splitlines()
        token = dict(line.split("=", 1) for line in lines)["MODELYARD_OPERATOR_TOKEN"]
        return Connection(f"http://127.0.0.1:{self.ports['PORT']}", token, "default")

    def modelyard(self, script: str) -> str:
        """The command line, outside: it knows the gateway's address and a token, and nothing else."""
        known = {"PATH": PROGRAMS, "MODELYARD_URL": self.connection.url, "MODELYARD_TOKEN": self.connection.token}
        return said(["bash", "-euxo", "pipefail", "-c", script], PLAIN | known, self.folder)

    def inspect(self, form: str) -> dict[str, str]:
        """By container."""
        numbers = self.compose("ps", "--all", "--quiet").split()
        form = '{{index .Config.Labels "com.docker.compose.service"}} ' + form
        lines = said(["docker", "inspect", "--format", form, *numbers], PLAIN, ROOT).splitlines()
        return dict(line.split(" ", 1) for line in lines)


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Built, up and ready."""
    stack = Composed(tmp_path_factory.mktemp("user"), bool(os.environ.get("STAND_INS")))
    said(["sh", str(ROOT / "deploy/docker/make-env"), str(stack.folder / ".env")], PLAIN, ROOT)
    if stack.stand_ins:
        said([str(STAND_INS / "build")], PLAIN, ROOT)
    base = ("--build-arg", "BASE_IMAGE=stand-in/python") if stack.stand_ins else ()
    try:
        stack.compose("build", "--quiet", *base)
        stack.compose("up", "--detach", "--wait")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")
