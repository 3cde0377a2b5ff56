"""Health on the public port. It is open, as a load balancer needs it; the metrics want an admin's token."""

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from modelyard_contracts.shapes import Role
from modelyard_gateway.domain import Token
from modelyard_gateway.errors import Forbidden
from modelyard_runtime.health import Readiness, health_app
from modelyard_runtime.metrics import ServiceMetrics


def health_routes(
    readiness: Readiness, metrics: ServiceMetrics, authenticate: Callable[[Request], Awaitable[Token]]
) -> Sequence[BaseRoute]:
    async def numbers(request: Request) -> Response:
        if not (await authenticate(request)).may(Role.ADMIN):
            raise Forbidden("metrics need the role 'admin'")
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    facts = {"version": version("modelyard-gateway")}
    routes = [
        route for route in health_app(readiness, metrics, facts).routes if getattr(route, "path", "") != "/metrics"
    ]
    return [*routes, Route("/metrics", numbers)]
