"""One server as a child process: started on loopback, watched, started again, stopped by pid, never left behind.

`servers` derives the two servers of the local stack from it. All waiting is in asyncio, so that one loop can start and
watch several; the loop must run in a thread that lives as long as the process (see `modelyard_runtime.parent_death`).
"""

import asyncio
import ipaddress
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import suppress
from importlib.metadata import files
from pathlib import Path
from typing import ClassVar, Final

import psutil

from modelyard_local.patience import Patience
from modelyard_local.ports import all_free
from modelyard_local.server_record import ProcessMark, ServerRecord, this_process
from modelyard_runtime.parent_death import before_program

_POLL, _WATCH = 0.01, 0.1  # seconds
_DRAWS_OF_PORTS = 3
_FIRST_WAIT, _LONGEST_WAIT, _STEADY = 0.2, 5.0, 30.0
_QUESTIONS = 10  # unanswered one after the other: frozen
_LARGEST_LOG = 4 << 20  # bytes; checked at each start


Question = Callable[[], Awaitable[bool]]


class ServerFailed(Exception):
    """The server could not be started; the message names it, the reason and its log file."""


class ServerSilent(ServerFailed):
    """It lives and does nothing; other ports would not help."""


class ChildServer(ABC):
    """A server and its data folder. Ports given as 0 are chosen at the first start and kept in the folder.

    While it starts, it may do nothing for `patience` seconds, unless one of those `beside` it still gets on: it may be
    waiting for them. Later it may be silent for so long; then it is frozen and started again.
    """

    name: ClassVar[str]
    stop_grace: ClassVar[float] = 2.0  # seconds from SIGTERM to SIGKILL
    patience: float = 60.0
    beside: "Sequence[ChildServer]" = ()

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir: Final = data_dir.absolute()
        self._given_port = port
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = self._starting = self._listening = False

    @abstractmethod
    def _draw_ports(self) -> dict[str, int]:
        """A free port for each thing the server listens on; `main` is the one that clients use."""

    @abstractmethod
    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        """Write what the server reads; its command line and extra environment."""

    @abstractmethod
    async def _answers(self) -> bool:
        """Whether a client would be served now. False or OSError: ask again."""

    async def _lives(self) -> bool:
        """Whether it would answer at all: less than `_answers` where it needs others to serve a client."""
        return await self._answers()

    async def _missing(self) -> str:
        """What it says that it waits for; empty when it does not say."""
        return ""

    @abstractmethod
    def _clean(self, ports: Mapping[str, int]) -> None:
        """Remove what the dead server with these ports left outside its folder."""

    async def _closed(self) -> bool:
        """Whether strangers are kept out of the ports beside the main one. False: ask again. Raises ServerFailed."""
        return True

    @property
    def port(self) -> int:
        return self.ports["main"]

    @property
    def pid(self) -> int | None:
        """None while the server does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log_file(self) -> Path:
        return self.data_dir / f"{self.name}.log"

    async def start(self) -> None:
        """Start and wait until clients are served. Ends an orphan of an earlier run in the same folder first.

        Raises ServerFailed: the folder is in use, a given port is taken, or the server exits or does nothing any more.
        """
        self._wanted = True
        try:
            await self._bring_up(self._answers)
        except BaseException:
            self._wanted = False
            raise

    async def stop(self) -> None:
        """SIGTERM, after `stop_grace` seconds SIGKILL. Returns when the process is gone; safe to call twice."""
        self._wanted = False
        await self._end()

    def end_process(self) -> None:
        """For `keep_running` to start it again."""
        if self._process is not None:
            self._process.terminate()

    async def keep_running(self, report: Callable[[str], None]) -> None:
        """Start the server again whenever it dies or freezes, on the same ports, with growing waits; each is reported.

        It is back as soon as it lives. What it misses of others is no fault of its own, and another start brings none.
        Returns after `stop()`. It never raises for a server that will not start: it reports and tries on.
        """
        wait = _FIRST_WAIT
        while self._wanted:
            born = time.monotonic()
            trouble = await self._trouble()
            wait = _FIRST_WAIT if time.monotonic() - born > _STEADY else wait
            if self._wanted:
                report(f"{self.name} {trouble}; starting it again in {wait:g} s")
                await self._end()
                await self._start_again(wait, report)
                wait = min(2 * wait, _LONGEST_WAIT)

    async def _trouble(self) -> str:
        """Returns once it is dead, frozen or no longer wanted: in words."""
        silence = asyncio.create_task(self._silence())
        try:
            await _until(lambda: self.pid is None or not self._wanted or silence.done(), poll=_WATCH)
        finally:
            silence.cancel()
        return self._how_it_ended() if self.pid is None else f"has not answered for {self.patience:g} s"

    async def _silence(self) -> None:
        """Counted in questions: while this process is suspended itself, nobody asks."""
        unanswered = 0
        while unanswered < _QUESTIONS:
            pause = asyncio.create_task(asyncio.sleep(self.patience / _QUESTIONS))
            try:
                async with asyncio.timeout(self.patience / _QUESTIONS):
                    unanswered = 0 if await self._lives() else unanswered + 1
            except (OSError, EOFError):  # a TimeoutError is an OSError
                unanswered += 1
            await pause

    async def _start_again(self, wait: float, report: Callable[[str], None]) -> None:
        await asyncio.sleep(wait)
        try:
            await self._bring_up(self._lives)
        except (ServerFailed, OSError) as failure:
            if self._wanted:
                report(str(failure))
        if not self._wanted:  # stopped while it was starting
            await self._end()

    async def _bring_up(self, question: Question) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = await self._take_over()
        if self.ports:  # clients know them: a restart has to keep them
            return await self._launch(question)
        for draws_left in reversed(range(_DRAWS_OF_PORTS)):
            self.ports = self._choose_ports(known)
            try:
                return await self._launch(question)
            except ServerSilent:
                raise
            except ServerFailed:
                self.ports, known = {}, {}
                if draws_left == 0:
                    raise
        return None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.terminate()
            await _until(lambda: process.poll() is not None, self.stop_grace)
        finally:  # also when cancelled: nothing may stay behind
            process.kill()
            process.wait()
            self._clean(self.ports)
            ServerRecord(ports=self.ports).save(self._record_file)

    @property
    def _record_file(self) -> Path:
        return self.data_dir / "server.json"

    async def _take_over(self) -> dict[str, int]:
        """End what an earlier owner left running here, remove its traces; the ports it used."""
        record = ServerRecord.load(self._record_file)
        if record.server is None:
            return record.ports
        if record.server.find() and record.owner and record.owner.find():
            raise ServerFailed(f"{self.name}: {self.data_dir} is in use by process {record.owner.pid}")
        await self._end_orphan(record.server)
        self._clean(record.ports)
        return record.ports

    async def _end_orphan(self, mark: ProcessMark) -> None:
        for end in (psutil.Process.terminate, psutil.Process.kill):
            if orphan := mark.find():
                with suppress(psutil.NoSuchProcess):
                    end(orphan)
                await _until(lambda: mark.find() is None, self.stop_grace)

    def _choose_ports(self, known: dict[str, int]) -> dict[str, int]:
        ports = self._draw_ports()
        if known.keys() == ports.keys() and all_free(known.values()):
            ports = known
        if self._given_port:
            ports = ports | {"main": self._given_port}
        return ports

    async def _launch(self, question: Question) -> None:
        if taken := [port for port in self.ports.values() if not all_free([port])]:
            raise ServerFailed(f"{self.name}: port {taken[0]} is taken")
        command, environment = self._prepare()
        if self.log_file.exists() and self.log_file.stat().st_size > _LARGEST_LOG:
            self.log_file.replace(self.log_file.with_suffix(".log.old"))
        with self.log_file.open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: ASYNC220, S603 - a fixed program; returns after the fork
                before_program(command),
                cwd=self.data_dir,
                env={"HOME": str(self.data_dir), "PATH": os.defpath, "LANG": "C.UTF-8", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the owner, which stops its servers in order
            )
        server = ProcessMark.of(process.pid, command)
        ServerRecord(ports=self.ports, server=server, owner=this_process()).save(self._record_file)
        self._wanted = True
        try:
            await self._until_it_is(question)
        except BaseException:
            await self._end()
            raise

    async def _until_it_is(self, question: Question) -> None:
        self._starting, self._listening, patience = True, False, Patience(self.patience)
        try:
            while patience.holds(lambda: [each._signs_of_life() for each in (self, *self.beside)]):
                if self.pid is None:
                    raise ServerFailed(f"{self.name} {self._how_it_ended()} at start, see {self.log_file}")
                if await self._is(question):
                    return
                await asyncio.sleep(_POLL)
        finally:
            self._starting = False
        raise ServerSilent(
            f"{self.name} {await self._how_far()} and has done nothing for {self.patience:g} s, see {self.log_file}"
        )

    async def _how_far(self) -> str:
        if not self._listening:
            return f"does not listen on port {self.port}"
        missing = ""
        with suppress(OSError, EOFError, ValueError):
            missing = await self._missing()
        return f"is not ready on port {self.port}" + (f" ({missing})" if missing else "")

    async def _is(self, question: Question) -> bool:
        try:
            if await question() and self.port in self._listens() and await self._closed():
                return True
        except ConnectionRefusedError:
            return False
        except (OSError, EOFError, TimeoutError):
            pass
        self._listening = True
        return False

    def _signs_of_life(self) -> tuple[float, ...]:
        """While it starts. Once it listens, our questions keep it busy, and only its log and its children tell."""
        if not self._starting or self._process is None:
            return ()
        size = float(self.log_file.stat().st_size)
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._process.pid)
            children = sum(_computed(child) for child in own.children(recursive=True))
            return size, children if self._listening else children + _computed(own)
        return (size,)

    def _listens(self) -> Set[int]:
        """The ports of our process: was it the one that answered? Raises ServerFailed if others than this machine can
        reach it."""
        sockets = psutil.Process(self.pid).net_connections("tcp") if self.pid else []
        addresses = [socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN]
        if outside := [address for address in addresses if not ipaddress.ip_address(address.ip).is_loopback]:
            raise ServerFailed(f"{self.name} listens beyond this machine: {outside}")
        return {address.port for address in addresses}

    def _how_it_ended(self) -> str:
        if self._process is None:
            return "did not start"
        code = self._process.poll()
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with code {code}"


def _computed(process: psutil.Process) -> float:
    """Seconds of CPU time; of one that is gone, none."""
    with suppress(psutil.NoSuchProcess):
        return sum(process.cpu_times()[:2])
    return 0.0


def program(distribution: str, name: str) -> str:
    """Absolute path of a program that a wheel installed. Raises ServerFailed if the wheel is not there."""
    installed = (file.locate() for file in files(distribution) or [] if Path(file.name).stem == name)
    found = next((Path(str(path)) for path in installed), None)
    if found is None or not found.exists():
        raise ServerFailed(f"the package {distribution} is not installed with its program {name}")
    return str(found.resolve())


async def _until(condition: Callable[[], bool], seconds: float = float("inf"), poll: float = _POLL) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - a process sets no asyncio.Event
        await asyncio.sleep(poll)
