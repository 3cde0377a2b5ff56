"""What a hijacked library in a child tries is refused; that the same works without confinement is shown each time."""

import asyncio
import json
import os
import re
import secrets
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

import httpx
import pytest

from modelyard_runtime import landlock, seccomp, syscalls
from modelyard_runtime.confining import confinement_here
from modelyard_runtime.limits import Limits, Reach
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import SubprocessFailed, run_program, run_python

from .children.hostile_child import ATTACKS
from .lacking import CHILDREN, on_path

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
    abstract: str

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
            "abstract": self.abstract,
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
        abstract = f"modelyard-test-{secrets.token_hex(8)}"
        serving(socket.AF_UNIX, f"\0{abstract}", stack)
        port = serving(socket.AF_INET, ("127.0.0.1", 0), stack)

        def make(name: str) -> Field:
            victim = subprocess.Popen([sys.executable, "-I", "-S", "-c", "print(flush=True); input()"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
            stack.callback(_end, victim)
            assert victim.stdout is not None
            victim.stdout.readline()
            (tmp_path / name).mkdir()
            field = Field(tmp_path / name, victim, port, abstract)
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


WITHOUT_LANDLOCK = """
    read_credentials list_their_folder read_through_a_link_that_is_there read_through_proc_root read_through_init
    read_through_the_service read_password_file read_siblings_scratch change_siblings_scratch change_own_input
    read_services_environment read_siblings_environment read_services_memory open_services_files write_outside
    write_by_rename take_by_rename remove_a_file write_shared_memory
"""
WITHOUT_SECCOMP = """
    slow_the_service_down limit_another connect_with_an_inherited_socket send_a_datagram connect_to_a_unix_socket
    ask_netlink make_a_socket_pair use_io_uring start_a_process leave_a_grandchild start_a_process_by_clone3
    start_a_process_by_other_numbers outlive_the_service leave_a_core raise_a_limit open_a_file_to_all
    make_a_file_look_new change_an_owner mark_a_file take_lasting_memory take_uncounted_memory watch_files
    ask_for_faults measure_the_machine load_into_the_kernel leave_the_namespace keep_a_key become_another_user
"""


async def refused_by(field: Field) -> set[str]:
    preloaded = PreloadedPython("hostile_child")
    try:
        results = {
            attack: await preloaded.run({"attack": attack, **field.targets}, on_line=ignore, reach=field.reach)
            for attack in ATTACKS
        }
    finally:
        await preloaded.stop()
    return {attack for attack, result in results.items() if "refused" in result}


@pytest.mark.skipif(lacking_here() is not None, reason=f"{lacking_here()}")
@pytest.mark.parametrize(("part", "open_then"), [("landlock", WITHOUT_LANDLOCK), ("seccomp", WITHOUT_SECCOMP)])
async def test_each_part_holds_alone(
    part: str, open_then: str, fields: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "start").mkdir()
    on_path(monkeypatch, tmp_path / "start", part)
    assert set(ATTACKS) - await refused_by(fields("field")) <= set(open_then.split())


@pytest.mark.parametrize("part", ["landlock", "seccomp"])
async def test_a_child_that_must_be_confined_does_not_work_without(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "start").mkdir()
    on_path(monkeypatch, tmp_path / "start", part)
    request, limits = {"do": "echo"}, Limits(confinement="required")
    preloaded = PreloadedPython("runtime_child", limits)
    for running in (
        run_python("runtime_child", request, workdir=tmp_path, on_line=ignore, limits=limits),
        preloaded.run(request, on_line=ignore),
    ):
        with pytest.raises(SubprocessFailed, match=f"NotConfined: this machine lacks {part}") as failed:
            await running
        assert failed.value.kind == "crashed"
    await preloaded.stop()


def service(part: str, wanted: str) -> subprocess.Popen[str]:
    """In a process of its own, on a kernel that lacks the part."""
    return subprocess.Popen(
        [sys.executable, CHILDREN / "confined_service.py", part, wanted], stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("part", ["landlock", "seccomp"])
def test_a_service_says_what_it_lacks(part: str) -> None:
    with service(part, "available") as running:
        assert running.stderr is not None
        started = next(line for line in map(json.loads, running.stderr) if line["event"] == "started")
        words = f"missing: {part} (this kernel or machine has none)"
        assert words in started["confinement"]
        answer = httpx.get(f"{started['health']}/readyz")
        assert answer.status_code == 200
        assert words in answer.json()["confinement"]
        running.terminate()


@pytest.mark.parametrize("part", ["landlock", "seccomp"])
def test_a_service_that_needs_all_of_it_does_not_start(part: str) -> None:
    with service(part, "required") as running:
        _, said = running.communicate()
    assert running.returncode == 1
    assert (
        f"MODELYARD_CONFINEMENT is `required`, and this machine lacks {part} (this kernel or machine has none)" in said
    )
    assert "set it to `available`" in said


@pytest.mark.skipif(lacking_here() is not None, reason=f"{lacking_here()}")
async def test_here_all_of_it_holds() -> None:
    assert re.fullmatch(
        r"no-new-privs, landlock ABI \d+ \(files[a-z, ]*\), seccomp", await confinement_here("required")
    )


@pytest.mark.skipif(lacking_here() is not None, reason=f"{lacking_here()}")
@pytest.mark.parametrize("abi", [1, 3])
async def test_an_older_landlock_keeps_files_apart_too(
    abi: int, fields: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(
        f"from modelyard_runtime import landlock\nlandlock.offered = lambda: {abi}\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHILDREN), str(tmp_path / "start")]))
    assert await refused_by(fields("field")) == set(ATTACKS)


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_every_call_has_its_number(header: str, column: int) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    table = {
        name: numbers[column] for name, numbers in {**syscalls.DENIED, **syscalls.IGNORED, **syscalls.JUDGED}.items()
    }
    wrong = {
        name: (number, known[name]) for name, number in table.items() if name in known and str(number) != known[name]
    }
    assert wrong == {}
    assert len(known.keys() & table.keys()) > 80


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_in_it(machine: str) -> None:
    program = seccomp.program(machine, own_pid=1)
    assert len(program) < 4096
    jumps = {0x15, 0x25, 0x45}
    for place, (code, when, otherwise, _) in enumerate(program):
        assert code not in jumps or place + 1 + max(when, otherwise) < len(program)
    assert program[-1] == (0x06, 0, 0, 0x7FFF0000)
