"""Confined subprocesses: what comes back, what is kept from them, and that none is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from modelyard_contracts.failures import Failure, FailureKind
from modelyard_runtime.limits import Limits
from modelyard_runtime.subprocesses import SubprocessFailed, run_python

from .lacking import CHILDREN, on_path

MIB = 1 << 20


def lacking(part: str) -> pytest.MarkDecorator:
    """Children run as on a kernel without this part of their confinement."""
    return pytest.mark.parametrize("children", [part], indirect=True)


@pytest.fixture(autouse=True)
def children(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    on_path(monkeypatch, tmp_path_factory.mktemp("start"), getattr(request, "param", None))


class Workbench:
    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self.lines: list[str] = []

    async def show(self, line: str) -> None:
        self.lines.append(line)

    async def run(self, do: str, limits: Limits | None = None, **request: Any) -> dict[str, Any]:
        request = {"do": do, **request}
        return await run_python("runtime_child", request, workdir=self.workdir, on_line=self.show, limits=limits)

    def pids(self) -> list[int]:
        return [int(pid) for pid in self.lines[0].split()]

    async def failure(self, do: str, limits: Limits | None = None, **request: Any) -> SubprocessFailed:
        with pytest.raises(SubprocessFailed) as caught:
            await self.run(do, limits, **request)
        return caught.value


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - a process sets no asyncio.Event
        await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_result_comes_back_and_lines_come_through(bench: Workbench) -> None:
    assert await bench.run("echo", text="中文 \udc80", number=1.5) == {
        "do": "echo",
        "text": "中文 \udc80",
        "number": 1.5,
    }
    assert sorted(bench.lines) == ["a warning", "first line", "from C"]
    assert list(bench.workdir.iterdir()) == []


async def test_environment_is_scrubbed(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELYARD_NATS_PASSWORD", "AWS_SECRET_ACCESS_KEY", "SOME_TOKEN", "LD_PRELOAD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("PYTHONPATH", f"{CHILDREN}:relative:")
    child = await bench.run("surroundings")
    environment = child["environment"] | {"LANG": ""}
    for optional in ("LC_ALL", "TZ", "LC_CTYPE"):
        environment.pop(optional, None)
    assert environment.pop("ORT_DISABLE_TELEMETRY") == "1"
    known = {"PATH", "LANG", "PYTHONPATH", "HOME", "TMPDIR", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS"}
    assert {name for name in environment if not name.startswith(("OPENBLAS", "JOBLIB"))} == known
    assert environment["HOME"] == environment["TMPDIR"] == child["cwd"] == str(bench.workdir)
    assert environment["PYTHONPATH"] == str(CHILDREN)


async def test_limits_are_in_force_before_the_module_is_imported(bench: Workbench) -> None:
    limits = Limits(memory_bytes=512 * MIB, cpu_seconds=7, file_bytes=5, open_files=20)
    # The result itself is a file, larger than the 5 bytes allowed.
    assert (await bench.failure("surroundings", limits)).code != 0
    child = await bench.run("surroundings", limits.model_copy(update={"file_bytes": MIB}))
    assert child["limits"] == {"AS": 512 * MIB, "CPU": 7, "FSIZE": MIB, "NOFILE": 20, "CORE": 0}
    assert child["session"]


async def test_files_in_the_workdir_cannot_pose_as_modules(bench: Workbench) -> None:
    for name in ("json", "modelyard_runtime", "runtime_child", "sitecustomize"):
        (bench.workdir / f"{name}.py").write_text("raise SystemExit(3)")
    child = await bench.run("surroundings")
    assert child["here"] == []
    assert child["json"] == json.__file__


async def test_failure_comes_back_as_it_was_raised(bench: Workbench) -> None:
    with pytest.raises(Failure) as caught:
        await bench.run("refuse")
    failure = caught.value
    assert (failure.kind, failure.code, failure.message) == (FailureKind.UNPROCESSABLE, "ModelArts.1234", "bad package")
    assert [(p.message, p.file, p.field, p.rule) for p in failure.problems] == [
        ("no", "config.json", "a.b", "r"),
        ("nor this", None, None, None),
    ]


async def test_unexpected_exception_is_a_crash_without_a_traceback_for_users(bench: Workbench) -> None:
    failure = await bench.failure("stumble")
    assert (failure.kind, failure.message) == ("crashed", "ValueError: not a number: x")
    assert bench.lines == []


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGSEGV, "killed by SIGSEGV"),
        (signal.SIGABRT, "killed by SIGABRT"),
        (signal.SIGKILL, "killed by SIGKILL; the machine may have run out of memory"),
    ],
)
async def test_signal_is_named(bench: Workbench, number: int, message: str) -> None:
    failure = await bench.failure("die", signal=number)
    assert (failure.kind, failure.message, failure.code) == ("crashed", message, -number)
    assert bench.lines == ["about to die"]


@pytest.mark.parametrize("code", [0, 3])
async def test_leaving_without_a_result_is_a_crash(bench: Workbench, code: int) -> None:
    failure = await bench.failure("leave", code=code)
    assert (failure.kind, failure.message) == ("crashed", f"exited with code {code} and no result")


async def test_module_that_cannot_be_imported_is_named(bench: Workbench) -> None:
    with pytest.raises(SubprocessFailed, match="No module named 'a_toolchain_that_is_not_installed'"):
        await run_python("unimportable_child", {}, workdir=bench.workdir, on_line=bench.show)


async def test_memory_limit(bench: Workbench) -> None:
    limits = Limits(memory_bytes=512 * MIB)
    assert (await bench.failure("eat", limits, bytes=1 << 30)).kind == "memory"
    assert await bench.run("eat", limits, bytes=100 * MIB) == {"size": 100 * MIB}
    failure = await bench.failure("abort_like_native_code", limits)
    assert (failure.kind, failure.message) == (
        "memory",
        f"ran out of memory (limit {512 * MIB} bytes of address space)",
    )


async def test_processor_time_limit(bench: Workbench) -> None:
    failure = await bench.failure("spin", Limits(cpu_seconds=1))
    assert (failure.kind, failure.message) == ("timeout", "used more than 1 s of processor time")


@lacking("seccomp")
async def test_wall_time_limit_kills_the_group(bench: Workbench) -> None:
    seconds = 0.5
    while not bench.lines:  # a slow machine needs longer to start it
        seconds *= 2
        failure = await bench.failure("wait_for", Limits(wall_seconds=seconds), file="never")
        words = f"did not finish within {seconds:g} s"
        assert (failure.kind, failure.message, failure.code) == ("timeout", words, None)
    pids = bench.pids()
    assert len(pids) == 2
    await until(lambda: all(map(gone, pids)))


async def test_file_size_limit(bench: Workbench) -> None:
    assert (await bench.failure("write", Limits(file_bytes=MIB), bytes=2 * MIB)).kind == "refused"


async def test_result_size_limit(bench: Workbench) -> None:
    failure = await bench.failure("answer_big", Limits(result_bytes=1000), bytes=1000)
    assert (failure.kind, failure.message) == ("refused", "its result is larger than 1000 bytes")


@pytest.mark.parametrize("text", ["{", "[]", '{"result": 1}', '{"error": {"kind": "?"}}', "[" * 100_000])
async def test_malformed_result_is_refused(bench: Workbench, text: str) -> None:
    assert (await bench.failure("write_result", text=text)).kind == "refused"


async def test_nan_is_no_json(bench: Workbench) -> None:
    assert (await bench.failure("answer_nan")).message.startswith("ValueError: Out of range float values")


async def test_result_is_not_read_through_a_link(bench: Workbench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"result": {"secret": 1}}')
    assert (await bench.failure("fake", target=str(secret))).kind == "crashed"
    assert secret.exists()


async def test_log_is_bounded_and_cleaned(bench: Workbench) -> None:
    text = "10 %\r20 %\r\n\n  \nred\x1b[31m\x00\xff\n" + "x" * 100 + "\nno end"
    await bench.run("talk", Limits(line_bytes=32), text=text)
    assert bench.lines == ["10 %", "20 %", "red�[31m�ÿ", "x" * 32 + "…", "no end"]
    bench.lines.clear()
    await bench.run("talk", Limits(log_bytes=100), text="0123456789\n" * 200_000)
    assert bench.lines == ["0123456789"] * 10 + ["… the log is full; later lines are not kept"]


async def test_lines_arrive_while_it_runs(bench: Workbench, tmp_path: Path) -> None:
    task = asyncio.create_task(bench.run("wait_for", file=str(tmp_path / "go")))
    await until(lambda: bench.lines)
    assert not task.done()
    (tmp_path / "go").touch()
    assert await task == {}


@lacking("seccomp")
async def test_what_it_left_running_in_its_group_is_killed(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    await bench.run("wait_for", file=str(tmp_path / "go"))
    _, grandchild = bench.pids()
    await until(lambda: gone(grandchild))


@lacking("seccomp")
async def test_cancelling_kills_the_group(bench: Workbench) -> None:
    task = asyncio.create_task(bench.run("wait_for", file="never"))
    await until(lambda: bench.lines)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pids = bench.pids()
    await until(lambda: all(map(gone, pids)))
    assert list(bench.workdir.iterdir()) == []


async def test_listener_that_fails_ends_the_child(tmp_path: Path) -> None:
    seen: list[str] = []

    async def listener(line: str) -> None:
        seen.append(line)
        raise ConnectionError("the bus is gone")

    with pytest.raises(ConnectionError, match="the bus is gone"):
        await run_python("runtime_child", {"do": "wait_for", "file": "x"}, workdir=tmp_path, on_line=listener)
    await until(lambda: all(gone(int(pid)) for pid in seen[0].split()))


async def test_own_timeout_of_a_listener_is_not_the_childs(tmp_path: Path) -> None:
    async def listener(_: str) -> None:
        raise TimeoutError("the bus is slow")

    with pytest.raises(TimeoutError, match="the bus is slow"):
        await run_python("runtime_child", {"do": "echo"}, workdir=tmp_path, on_line=listener)


@lacking("seccomp")
async def test_something_that_holds_the_pipe_does_not_hold_the_result(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard_runtime.subprocesses._PIPE_ENDS_WITHIN", 0.1)
    pid = (await bench.run("leave_a_daemon"))["pid"]
    os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
async def test_killed_service_leaves_no_child(tmp_path: Path) -> None:
    script = CHILDREN / "service_parent.py"
    service = await asyncio.create_subprocess_exec(sys.executable, script, tmp_path, stdout=subprocess.PIPE)
    assert service.stdout is not None
    (child,) = (int(pid) for pid in (await service.stdout.readline()).split())  # it may have none of its own
    service.kill()
    await service.wait()
    await until(lambda: gone(child))


def test_the_same_on_uvloop(bench: Workbench) -> None:
    """Services run on it; its processes and pipes are its own."""

    async def work() -> None:
        assert await bench.run("echo") == {"do": "echo"}
        assert (await bench.failure("die", signal=signal.SIGSEGV)).message == "killed by SIGSEGV"
        bench.lines.clear()
        await test_cancelling_kills_the_group(bench)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())
