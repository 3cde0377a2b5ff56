"""`/` and `/docs`: what this is, and the description of its interface to read in a browser. Made here, once, of the
OpenAPI document: nothing is loaded from elsewhere and nothing runs in the page."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

_POLICY: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
}
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2733;background:#fff}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f2f5f8;padding:.7rem;overflow-x:auto;border-radius:4px}
h2{margin-top:2.2rem;border-bottom:1px solid #d5dde5}details{border:1px solid #d5dde5;border-radius:4px;margin:.4rem 0}
summary{cursor:pointer;padding:.4rem .7rem}details>div{padding:0 .9rem .6rem}b{display:inline-block;min-width:4.2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;
border-top:1px solid #e6ebf0}a{color:#0b5cad}nav a{margin-right:.9rem}.quiet{color:#586673}
@media(prefers-color-scheme:dark){body{color:#dbe3ea;background:#12181e}pre{background:#1c252d}a{color:#7db8f0}
h2,details,td,th{border-color:#33404c}.quiet{color:#93a1ad}}
"""
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_RULES: Final = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern", "default", "enum")
Schema = Mapping[str, Any]


def pages(app: FastAPI) -> list[BaseRoute]:
    @cache
    def docs() -> str:
        return _docs(app.openapi())

    async def show_docs(_: Request) -> Response:
        return HTMLResponse(await asyncio.to_thread(docs), headers=_POLICY)

    async def show_root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_root(app), headers=_POLICY)
        return JSONResponse({"name": app.title, "docs": "/docs", "openapi": "/openapi.json", "ready": "/readyz"})

    return [
        Route("/docs", show_docs, include_in_schema=False),
        Route("/", show_root, include_in_schema=False),
    ]


def _root(app: FastAPI) -> str:
    return _page(
        app.title,
        f"<h1>{escape(app.title)}</h1><p>This is a gateway of modelyard: models after training, imported, versioned, "
        "converted with proof, evaluated and published.</p><ul>"
        '<li><a href="/docs">/docs</a>: its interface, path by path</li>'
        '<li><a href="/openapi.json">/openapi.json</a>: the same for programs</li>'
        '<li><a href="/readyz">/readyz</a>: whether it is ready, and what is missing behind it</li></ul>'
        "<p>With the command line of modelyard:</p><pre>modelyard login THIS-ADDRESS\nmodelyard models list</pre>",
    )


def _docs(document: Schema) -> str:
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if operation := methods.get(method):
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(document, path, method, operation))
    links = "".join(f'<a href="#{escape(_anchor(tag))}">{escape(tag)}</a>' for tag in groups)
    parts = "".join(
        f'<h2 id="{escape(_anchor(tag))}">{escape(tag)}</h2>{"".join(operations)}' for tag, operations in groups.items()
    )
    schemas = "".join(
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary><div>'
        f"{_words(schema.get('description'))}{_fields(schema)}</div></details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    info = document["info"]
    return _page(
        f"{info['title']} {info['version']}",
        f"<h1>{escape(info['title'])}, version {escape(info['version'])} of the interface</h1>"
        f'{_words(info.get("description"))}<p class="quiet">For programs: <a href="/openapi.json">/openapi.json</a>. '
        "A click on a path shows what it takes and answers.</p>"
        f'<nav>{links}<a href="#schemas">schemas</a></nav>{parts}<h2 id="schemas">Schemas</h2>{schemas}',
    )


def _operation(document: Schema, path: str, method: str, operation: Schema) -> str:
    rows = [
        (
            f"<code>{escape(each['name'])}</code>",
            f"{escape(each['in'])}{', required' if each.get('required') else ''}",
            _type(each.get("schema", {})),
            _prose(each.get("description") or each.get("schema", {}).get("description")),
        )
        for each in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answer = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {}).get("schema")
    parts = [_words(operation.get("description")), _table(("parameter", "in", "type", ""), rows)]
    if body is not None:
        parts.append(f"<p>Body: {_type(body)}</p>{_example(document, body)}")
    if answer:
        parts.append(f"<p>Answer: {_type(answer)}</p>")
    parts.append(f"<pre>{escape(_curl(path, method, body is not None))}</pre>")
    told = str(operation.get("description") or "").partition("\n")[0].partition(". ")[0]
    head = f'<b>{method.upper()}</b><code>{escape(path)}</code> <span class="quiet">{_prose(told)}</span>'
    return f"<details><summary>{head}</summary><div>{''.join(parts)}</div></details>"


def _curl(path: str, method: str, body: bool) -> str:
    sent = " -H 'Content-Type: application/json' -d @body.json" if body else ""
    verb = "" if method == "get" else f" -X {method.upper()}"
    return f'curl -sS{verb} "$GATEWAY{path}" -H "Authorization: Bearer $TOKEN"{sent}'


def _example(document: Schema, schema: Schema) -> str:
    """The first that the body's schema gives."""
    given = schema.get("examples")
    if not given and (reference := schema.get("$ref")):
        given = document["components"]["schemas"][reference.rpartition("/")[2]].get("examples")
    return f"<pre>{escape(json.dumps(given[0], ensure_ascii=False, indent=2))}</pre>" if given else ""


def _fields(schema: Schema) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (
            f"<code>{escape(name)}</code>",
            "required" if name in required else "",
            _type(each),
            _prose(each.get("description")),
        )
        for name, each in schema.get("properties", {}).items()
    ]
    return _table(("field", "", "type", ""), rows) if rows else f"<p>{_type(schema)}</p>"


def _type(schema: Schema) -> str:
    return " or ".join(dict.fromkeys(_types(schema))) or "anything"


def _types(schema: Schema) -> Iterator[str]:
    """HTML: what a value may be, and the rules for it."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        yield f'<a href="#schema-{name}">{name}</a>'
        return
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _types(inner)
    rules = ", ".join(f"{rule} {schema[rule]}" for rule in _RULES if schema.get(rule) not in (None, "", [], {}))
    told = f' <span class="quiet">{escape(rules)}</span>' if rules else ""
    if schema.get("type") == "array":
        yield f"list of {_type(schema.get('items', {}))}{told}"
    elif "const" in schema:
        yield f"<code>{escape(json.dumps(schema['const']))}</code>"
    elif kind := schema.get("type"):
        yield f"{escape(str(kind))}{told}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """`rows` are HTML."""
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return f"<table><tr>{heads}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _words(text: str | None) -> str:
    return "".join(f"<p>{_prose(part)}</p>" for part in (text or "").strip().split("\n\n") if part)


def _prose(text: Any) -> str:
    """HTML: what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(str(text or "")))


def _anchor(tag: str) -> str:
    return tag.replace(" ", "-")


def _page(title: str, body: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
