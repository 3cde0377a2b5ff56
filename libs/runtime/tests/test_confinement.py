"""What a hijacked library in a child tries is refused; that the same works without confinement is shown each time."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard_runtime import landlock
from modelyard_runtime.limits import Reach
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import run_program, run_python

from .children.hostile_child import ATTACKS
from .lacking import CHILDREN

HOSTILE = CHILDREN / "hostile_child.py"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parts are Linux's")


async def ignore(_: str) -> None:
    """What it prints is no evidence."""


def lacking_here() -> str | None:
    try:
        landlock.offered()
    except OSError as error:
        return f"landlock: {error}"
    return None


@dataclass
class Field:
    """What there is to attack, and what a child may open of it: `input` to read, its own folder to write."""

    folder: Path
    victim: subprocess.Popen[bytes]
    port: int

    def __post_init__(self) -> None:
        for name in ("own", "input", "sibling", "outside", "private", "mountpoint"):
            (self.folder / name).mkdir()
        (self.folder / "own" / "own.txt").write_text("own")
        (self.folder / "input" / "model.onnx").write_text("model")
        (self.folder / "input" / "link").symlink_to(self.secret)
        (self.folder / "sibling" / "model.onnx").write_text("another team's")
        for each in (self.secret, self.folder / "private" / "removable", self.folder / "private" / "movable"):
            each.write_text("hush")

    @property
    def secret(self) -> Path:
        return self.folder / "private" / "connection.json"

    @property
    def own(self) -> Path:
        return self.folder / "own"

    @property
    def reach(self) -> Reach:
        return Reach(read=(self.folder / "input",))

    @property
    def targets(self) -> dict[str, Any]:
        private = self.secret.parent
        return {
            "secret": str(self.secret),
            "removable": str(private / "removable"),
            "movable": str(private / "movable"),
            "unix": str(private / "socket"),
            "abstract": f"modelyard-test-{os.getpid()}",
            "link": str(self.folder / "input" / "link"),
            "own": str(self.own / "own.txt"),
            **{name: str(self.folder / name) for name in ("input", "sibling", "outside", "mountpoint")},
            "service": os.getpid(),
            "victim": self.victim.pid,
            "address": int(Path(f"/proc/{self.victim.pid}/maps").read_text().split("-")[0], 16),
            "port": self.port,
            "program": shutil.which("true"),
            "seconds": 2,
        }

    def unharmed(self) -> bool:
        private = self.secret.parent
        return (
            self.victim.poll() is None
            and {path.name: path.read_text() for path in private.iterdir() if path.is_file()}
            == dict.fromkeys(("connection.json", "removable", "movable"), "hush")
            and list((self.folder / "outside").iterdir()) == []
            and [path.name for path in (self.folder / "sibling").iterdir()] == ["model.onnx"]
            and (self.folder / "input" / "model.onnx").read_text() == "model"
        )


def serving(kind: socket.AddressFamily, address: Any, stack: ExitStack) -> int:
    """A server that takes what comes until the test is over; its port."""
    server = stack.enter_context(socket.socket(kind))
    server.bind(address)
    server.listen()
    threading.Thread(target=_accept, args=(server,), daemon=True).start()
    stack.callback(server.shutdown, socket.SHUT_RDWR)
    name = server.getsockname()
    return name[1] if isinstance(name, tuple) else 0


def _accept(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


@pytest.fixture
def fields(tmp_path: Path) -> Iterator[Any]:
    """Makes one for each use, so that a control leaves nothing behind for what follows."""
    with ExitStack() as stack:
        serving(socket.AF_UNIX, f"\0modelyard-test-{os.getpid()}", stack)
        port = serving(socket.AF_INET, ("127.0.0.1", 0), stack)

        def make(name: str) -> Field:
            victim = subprocess.Popen([sys.executable, "-I", "-S", "-c", "print(flush=True); input()"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
            stack.callback(_end, victim)
            assert victim.stdout is not None
            victim.stdout.readline()
            (tmp_path / name).mkdir()
            field = Field(tmp_path / name, victim, port)
            here = Path.cwd()
            os.chdir(field.secret.parent)  # a name of a socket may not be long
            try:
                serving(socket.AF_UNIX, "socket", stack)
            finally:
                os.chdir(here)
            return field

        yield make


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def unconfined(attack: str, field: Field) -> str | None:
    """Why the attack does not work here even so; None when it does."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", HOSTILE, attack, json.dumps(field.targets)],
        cwd=field.own,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr or f"exit code {done.returncode}"
    return json.loads(done.stdout).get("refused") if done.stdout else None


def told(result: dict[str, Any]) -> str:
    return result.get("refused") or "IT WORKED"


@pytest.mark.parametrize("attack", ATTACKS)
async def test_it_is_refused_and_works_without(attack: str, fields: Any) -> None:
    if why := lacking_here() or await asyncio.to_thread(unconfined, attack, fields("control")):
        pytest.skip(why)
    field = fields("confined")
    request = {"attack": attack, **field.targets}
    result = await run_program(HOSTILE, request, workdir=field.own, on_line=ignore, reach=field.reach)
    assert "refused" in result
    assert field.unharmed()


@pytest.mark.skipif(lacking_here() is not None, reason=f"{lacking_here()}")
async def test_children_of_every_kind_refuse_the_same(fields: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CHILDREN))
    field = fields("field")
    preloaded = PreloadedPython("hostile_child")
    started = ("read_credentials", "connect", "leave_a_grandchild", "become_a_program", "write_outside")
    try:
        forked = {
            attack: await preloaded.run({"attack": attack, **field.targets}, on_line=ignore, reach=field.reach)
            for attack in ATTACKS
        }
        begun = {
            attack: await run_python(
                "hostile_child", {"attack": attack, **field.targets}, workdir=field.own, on_line=ignore,
                reach=field.reach,
            )
            for attack in started
        }  # fmt: skip
    finally:
        await preloaded.stop()
    assert [attack for attack, result in {**forked, **begun}.items() if "refused" not in result] == []
    assert field.unharmed()
