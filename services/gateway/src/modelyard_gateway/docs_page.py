"""`/docs`: the description to read and try in a browser. The one page of the gateway that runs anything."""

import base64
import hashlib
import re
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

_LIBRARY: Final = "https://cdn.jsdelivr.net"  # where FastAPI's page loads Swagger UI from
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def docs_page(app: FastAPI) -> BaseRoute:
    page = get_swagger_ui_html(openapi_url="/openapi.json", title=app.title, swagger_favicon_url="data:,").body
    text = bytes(page).decode()
    headers = {"Content-Security-Policy": _policy(text)}

    async def show(_: Request) -> Response:
        return HTMLResponse(text, headers=headers)

    return Route("/docs", show, include_in_schema=False)


def _policy(page: str) -> str:
    """Runs its own script and the library, talks to its own gateway, and stands in nobody's frame."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {_LIBRARY} {scripts}; style-src {_LIBRARY} 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
