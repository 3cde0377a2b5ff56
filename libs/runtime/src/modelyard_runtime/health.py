"""What a supervisor asks a service: alive, ready, how much. Built by `process.supervise`.

`/healthz` 200 while the loop turns. `/readyz` 200, or 503 with what is missing; both with the service's facts.
`/metrics` for Prometheus.
None needs a token: bind it to loopback or to the cluster's own network.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelyard_runtime.metrics import ServiceMetrics

Check = Callable[[], Awaitable[str | None]]
"""None: all is well; otherwise what is missing, in words for an operator."""

OK: Final = "ok"
ANSWER_WITHIN: Final = 2.0  # seconds; the gateway, which asks the services, gives them a little longer
_TELL_WITHIN: Final = 0.8  # seconds, to whoever asks
_KEEP: Final = 1.0  # seconds: a check may write (the bus does), and anybody may ask
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

log = structlog.get_logger()


class Readiness:
    """Runs the checks side by side, at most once per second however many ask. A check that takes long delays
    nobody who asks: what it said before is told, and it is waited for in the background."""

    def __init__(self, checks: Mapping[str, Check], metrics: ServiceMetrics, within: float = ANSWER_WITHIN) -> None:
        self.phase: str = "starting"  # then "running", then "stopping"
        self._checks = checks
        self._metrics = metrics
        self._within = within
        self._looking: asyncio.Task[None] | None = None
        self._answers: dict[str, str] = {}
        self._answered = float("-inf")

    async def ask(self) -> dict[str, str]:
        """By check: "ok" or what is missing. A service that is not running says so under "process"."""
        if self._looking is None and time.monotonic() - self._answered > _KEEP:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=_TELL_WITHIN)
        answers = {name: self._answers.get(name, f"no answer within {_TELL_WITHIN:g} s") for name in self._checks}
        return answers if self.phase == "running" else {**answers, "process": self.phase}

    async def keep_asking(self) -> None:
        """Until cancelled: so that whoever asks is told what was found a moment ago."""
        while True:
            await self.ask()
            await asyncio.sleep(_KEEP)

    async def _look(self) -> None:
        async def one(name: str, check: Check) -> None:
            self._answers[name] = await self._one(name, check)

        try:
            await asyncio.gather(*(one(name, check) for name, check in self._checks.items()))
            self._answered = time.monotonic()
        finally:
            self._looking = None

    async def missing(self) -> str | None:
        """All that is missing, in one line."""
        answers = await self.ask()
        return "; ".join(f"{name}: {answer}" for name, answer in answers.items() if answer != OK) or None

    async def _one(self, name: str, check: Check) -> str:
        try:
            async with asyncio.timeout(self._within):
                missing = await check()
        except TimeoutError:
            missing = f"no answer within {self._within:g} s"
        except Exception:
            log.exception("check failed", check=name)
            missing = "the check itself failed, see the log"
        self._metrics.checked(name, missing is None)
        return OK if missing is None else missing


def health_app(readiness: Readiness, metrics: ServiceMetrics, facts: Mapping[str, str] | None = None) -> Starlette:
    async def alive(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def ready(_: Request) -> Response:
        checks = await readiness.ask()
        all_well = all(answer == OK for answer in checks.values())
        return JSONResponse(
            {"ready": all_well, "checks": checks, **(facts or {})}, status_code=200 if all_well else 503
        )

    async def numbers(_: Request) -> Response:
        return Response(metrics.render(), media_type=_METRICS_TYPE)

    return Starlette(routes=[Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", numbers)])
