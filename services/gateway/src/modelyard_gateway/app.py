"""The HTTP application: the doors beside each other, and what stands at none of them. Building it opens nothing."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route

from modelyard_gateway.backends import Backends
from modelyard_gateway.docs_page import pages
from modelyard_gateway.doors.v1 import access, replies
from modelyard_gateway.doors.v1.app import door as v1
from modelyard_gateway.health import health_routes
from modelyard_gateway.middleware import Trace
from modelyard_gateway.settings import GatewaySettings
from modelyard_runtime.health import Readiness
from modelyard_runtime.metrics import ServiceMetrics

Door: TypeAlias = Callable[[GatewaySettings, Backends | None], FastAPI]
DOORS: Final[Mapping[str, Door]] = {"/v1": v1}


def create_app(
    settings: GatewaySettings,
    backends: Backends | None = None,
    readiness: Readiness | None = None,
    metrics: ServiceMetrics | None = None,
    doors: Mapping[str, Door] = DOORS,
) -> Starlette:
    """Each door gets every request below its path, with the path as it came. Without backends none can be answered."""
    opened = {path: door(settings, backends) for path, door in doors.items()}
    front = _Front(opened["/v1"])
    front.state.backends = backends
    replies.install(front, settings.max_body_bytes)
    front.router.routes.extend(pages(front))
    if readiness is not None and metrics is not None:
        front.router.routes.extend(health_routes(readiness, metrics, access.authenticate))
    routes = (Route(f"{path}/{{rest:path}}", door) for path, door in opened.items())
    return Starlette(routes=[*routes, Mount("/", front)], middleware=[Middleware(Trace)])


class _Front(FastAPI):
    """Health, the description of the first door, and a refusal of every other path: in the words of that door."""

    def __init__(self, described: FastAPI) -> None:
        super().__init__(title=described.title, version=described.version, docs_url=None, redoc_url=None)
        self._described = described

    def openapi(self) -> dict[str, Any]:
        return self._described.openapi()
