"""`/v1` as one application. The app factory mounts it; its routes carry their whole path, as it is described."""

from typing import Any, Final

from fastapi import FastAPI

from modelyard_gateway.backends import Backends
from modelyard_gateway.doors.v1 import access, replies
from modelyard_gateway.doors.v1.routes import (
    access_keys,
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

DESCRIPTION: Final = """
Manage machine-learning models after training: import, version, convert with proof, evaluate and publish.

Send `Authorization: Bearer <token>` (or `X-Auth-Token`), or sign with an access key (`SDK-HMAC-SHA256`). Long tasks
answer at once with an id; poll them or follow their `…/progress` as server-sent events. An `Idempotency-Key` makes the
repeat of a POST harmless. Every refusal has one shape and names the field and the rule.
"""

# The order is that of the description; no two routes take the same request.
ROUTERS: Final = (
    templates.router,
    history.router,
    models.router,
    aliases.router,
    lineage.router,
    imports.router,
    conversions.router,
    evaluations.router,
    publications.router,
    events.router,
    administration.router,
    access_keys.router,
    history.audits,
    administration.projects,
    administration.whoami,
    templates.schemas,
)


def door(settings: GatewaySettings, backends: Backends | None) -> FastAPI:
    """Without backends only its OpenAPI document can be read."""
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": replies.ErrorReply}
        for status in ("400", "401", "403", "404", "409", "413", "422", "429", "503")
    }
    app = FastAPI(title="modelyard", version="1", description=DESCRIPTION, responses=errors, openapi_url=None)
    app.state.backends = backends
    replies.install(app, settings.max_body_bytes, access.admit)
    for router in ROUTERS:
        app.include_router(router)
    return app
