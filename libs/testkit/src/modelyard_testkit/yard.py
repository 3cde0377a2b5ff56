"""`modelyard up` as a process of its own, for tests that use the yard as its users do.

Called by `tests/e2e` and `tests/faults`. What a user has no door for (streams, documents, process ids) is in
`yard_inside`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from modelyard import Client, GatewayUnreachable, Refused
from modelyard.connection import Connection

T = TypeVar("T")
PROGRAM = Path(sys.executable).with_name("modelyard")
PATIENCE = 240.0  # seconds; for what never comes: nothing may fail because it is slow
UNAVAILABLE = 503


class NeverCame(AssertionError):
    """A condition that did not become true in time; the message says which, and what was seen last."""


def eventually(read: Callable[[], T | None], what: str, *, seconds: float = PATIENCE, pause: float = 0.05) -> T:
    """The first answer that is true. A gateway that is away, or misses a service, is asked again. Raises NeverCame."""
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            found = read()
        except (GatewayUnreachable, httpx.TransportError) as error:
            found, last = None, str(error)
        except Refused as refused:
            if refused.status != UNAVAILABLE:
                raise
            found, last = None, str(refused)
        if found:
            return found
        time.sleep(pause)
    raise NeverCame(f"{what} did not come within {seconds:g} s {last}")


@dataclass
class Yard:
    """One stack on the folder `data`. `options` go to `up`."""

    data: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> "Yard":
        """Returns once the gateway says that it is ready. Raises NeverCame."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.connection_file.unlink(missing_ok=True) if self.process is None else None
        with (self.data / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "up", "--data", str(self.data), *self.options], stdout=log, stderr=log
            )
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        def ready() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"the stack ended: {self.output()[-2000:]}")
            return self.connection_file.exists() and self.http("GET", "/readyz").status_code == httpx.codes.OK

        eventually(ready, f"a ready stack in {self.data}")

    def stop(self) -> None:
        """Ctrl-C; asserts exit code 0."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait() == 0, self.output()[-2000:]

    def kill(self) -> None:
        """As `kill -9`, of `up` alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        """What `up` has printed."""
        return (self.data / "up.log").read_text("utf-8", errors="replace")

    @property
    def connection_file(self) -> Path:
        return self.data / "connection.json"

    @property
    def details(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.connection_file.read_text("utf-8"))
        return loaded

    def tree(self) -> list[psutil.Process]:
        """`up` and everything below it."""
        assert self.process is not None
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def http(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Without a token, unless `headers` bring one."""
        return httpx.request(method, self.details["gateway_url"] + path, timeout=30, **options)

    def client(self) -> Client:
        """As the operator, in the project `default`. Close it."""
        details = self.details
        return Client(Connection(details["gateway_url"], details["token"], details["project"], details))

    def project(self, name: str) -> Client:
        """A new project and a client with its admin token. Close it."""
        with self.client() as operator:
            made = operator.server("projects", {"project_id": name})
        return Client(Connection(self.details["gateway_url"], made["token"], name, self.details))

    def command(
        self, *arguments: str, client: Client | None = None, code: int = 0, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`modelyard …` as `client`, or as the operator; `text` is its standard input. Asserts the exit code."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=self.environment(client),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, client: Client | None = None) -> dict[str, Any]:
        """The same with `--json`."""
        answer: dict[str, Any] = json.loads(self.command(*arguments, "--json", client=client).stdout)
        return answer

    def environment(self, client: Client | None = None) -> dict[str, str]:
        """What a shell has after `export`, and a terminal wide enough for every table."""
        path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
        kept |= {"PATH": path, "COLUMNS": "400", "TERM": "dumb"}
        if client is None:
            return kept | {"MODELYARD_CONNECTION": str(self.connection_file)}
        who = client.connection
        return kept | {
            "MODELYARD_URL": who.url,
            "MODELYARD_TOKEN": who.token,
            "MODELYARD_PROJECT": who.project,
        }


@contextmanager
def running_yard(data: Path, *options: str) -> Iterator[Yard]:
    """Stopped by Ctrl-C behind, and killed if that is not enough."""
    yard = Yard(data, options)
    try:
        yield yard.start()
    finally:
        if yard.process is not None and yard.process.poll() is None:
            tree = yard.tree()
            yard.process.send_signal(signal.SIGINT)
            psutil.wait_procs(tree, timeout=20)
            for left in tree:
                if left.is_running():
                    left.kill()
            yard.process.wait()
