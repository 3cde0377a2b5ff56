"""The HTTP application: routes, error shape, bounds. Building it opens nothing."""

from typing import Any

from fastapi import FastAPI

from modelyard_gateway import replies
from modelyard_gateway.access import Backends
from modelyard_gateway.health import health_routes
from modelyard_gateway.middleware import Edge
from modelyard_gateway.replies import ErrorReply
from modelyard_gateway.routes import (
    administration,
    aliases,
    conversions,
    evaluations,
    events,
    history,
    imports,
    lineage,
    models,
    publications,
    templates,
)
from modelyard_gateway.settings import GatewaySettings
from modelyard_gateway.streams import StreamCount
from modelyard_runtime.health import Readiness
from modelyard_runtime.metrics import ServiceMetrics

DESCRIPTION = """
Manage machine-learning models after training: import, version, convert with proof, evaluate and publish.

Send `Authorization: Bearer <token>` (or `X-Auth-Token`). Long tasks answer at once with an id; poll them or follow
their `…/progress` as server-sent events. An `Idempotency-Key` makes the repeat of a POST harmless. Every refusal has
one shape and names the field and the rule.
"""


def create_app(
    settings: GatewaySettings,
    backends: Backends | None = None,
    readiness: Readiness | None = None,
    metrics: ServiceMetrics | None = None,
) -> FastAPI:
    """Without backends only the OpenAPI document can be read."""
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorReply} for status in ("400", "401", "403", "404", "409", "413", "422", "429", "503")
    }
    app = FastAPI(title="modelyard", version="1", description=DESCRIPTION, responses=errors)
    app.state.backends = backends
    app.state.streams = StreamCount(settings.max_streams)
    replies.install(app)
    # templates and history before models: `/models/compare` is not the model `compare`
    for module in (templates, history, models, aliases, lineage, imports):
        app.include_router(module.router)
    for module in (conversions, evaluations, publications, events, administration):
        app.include_router(module.router)
    for router in (history.audits, administration.projects, templates.schemas):
        app.include_router(router)
    if readiness is not None and metrics is not None:
        app.router.routes.extend(health_routes(readiness, metrics))
    app.add_middleware(Edge, max_body_bytes=settings.max_body_bytes)
    return app
