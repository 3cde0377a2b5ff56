"""One service in a process of its own, watched and started again like the embedded servers (`up --processes`).

`/readyz` says whether a client would be served, which takes others too: `up` waits for it, and tells what is missing.
`/healthz` says whether the process itself lives; nothing but its silence is a reason to end one.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from modelyard_local.child import ChildServer
from modelyard_local.ports import free_port
from modelyard_runtime.health import OK

_ANSWER_WITHIN = 5.0  # seconds; the gateway's readiness asks five services


class ServiceProcess(ChildServer):
    """`main` is the port of its health endpoint. Its log lies in its folder."""

    stop_grace = 3.0

    def __init__(self, data_dir: Path, service: str, environment: dict[str, str]) -> None:
        super().__init__(data_dir, 0)
        self.name = f"modelyard-{service}"  # type: ignore[misc]  # a class of servers that differ in name only
        self._module = f"modelyard_{service}"
        self._environment = environment

    def _draw_ports(self) -> dict[str, int]:
        return {"main": free_port()}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-m", self._module], {**self._environment, "MODELYARD_HTTP_PORT": str(self.port)}

    async def _answers(self) -> bool:
        return (await self._get("readyz"))[0]

    async def _lives(self) -> bool:
        return (await self._get("healthz"))[0]

    async def _missing(self) -> str:
        checks = json.loads((await self._get("readyz"))[1]).get("checks", {})
        return "; ".join(f"{what}: {answer}" for what, answer in checks.items() if answer != OK)

    async def _get(self, path: str) -> tuple[bool, bytes]:
        """Whether all is well, and the details."""
        async with asyncio.timeout(_ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        return head.split()[1:2] == [b"200"], body

    def _clean(self, ports: Mapping[str, int]) -> None:
        """Leaves nothing outside its folder."""
