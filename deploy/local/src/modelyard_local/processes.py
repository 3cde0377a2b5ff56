"""One service in a process of its own, watched and started again like the embedded servers (`up --processes`)."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from modelyard_local.child import ChildServer
from modelyard_local.ports import free_port

_ANSWER_WITHIN = 5.0  # seconds; the gateway's readiness asks five services


class ServiceProcess(ChildServer):
    """`main` is the port of its health endpoint. Its log lies in its folder."""

    stop_grace = 3.0

    def __init__(self, data_dir: Path, service: str, environment: dict[str, str]) -> None:
        super().__init__(data_dir, 0)
        self.name = f"modelyard-{service}"  # type: ignore[misc]  # a class of servers that differ in name only
        self._module = f"modelyard_{service}"
        self._environment = environment
        self._was_ready = False

    def _draw_ports(self) -> dict[str, int]:
        return {"main": free_port()}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-m", self._module], {**self._environment, "MODELYARD_HTTP_PORT": str(self.port)}

    async def _answers(self) -> bool:
        """Ready, at the first start. Started again it need only be alive: what it misses then, or whom, another start
        does not bring."""
        async with asyncio.timeout(_ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                path = b"/healthz" if self._was_ready else b"/readyz"
                writer.write(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
                status = await reader.readline()
            finally:
                writer.close()
        well = status.split()[1:2] == [b"200"]
        self._was_ready = self._was_ready or well
        return well

    def _clean(self, ports: Mapping[str, int]) -> None:
        """Leaves nothing outside its folder."""
