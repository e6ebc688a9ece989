"""The API's description: its documents, which need no key, and a page on which Swagger UI shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web

from bridge.api.asyncapi import build_asyncapi
from bridge.api.openapi import describe_routes, describe_server
from bridge.api.responses.json_response import to_json
from bridge.api.routing import API, Route
from bridge.api.swagger import convert_document, describe_address
from bridge.domain.events.payload_schemas import common_flat_schema
from bridge.providers.registry import CATALOGUE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Build = Callable[[], dict[str, Any]]
Address = Callable[[str], dict[str, Any]]

# Swagger UI needs neither inline scripts nor inline styles: it sets styles through the DOM, which the policy does
# not restrict. Its pictures are data: URLs. `connect-src` allows reading the document and trying out this API.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "max-age=300"}
# Pages of other origins may read the documents: they hold nothing that needs a key, and no other answer may be read.
SHARED = {"Access-Control-Allow-Origin": "*"}
# Links are relative, since a proxy may serve the API under a path of its own.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>reelbridge API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# Without `validatorUrl: null` the page would ask a validator on the internet about documents on public hosts.
START = """SwaggerUIBundle({
  dom_id: "#page",
  url: "openapi.json",
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
});
"""
# The package ships the built files of Swagger UI. The rest of it, a plugin for a site generator, stays unused.
VIEWER = Path(str(files("mkdocs_swagger_ui_tag"))) / "swagger-ui"


def add_docs(router: web.UrlDispatcher, routes: Sequence[Route]) -> None:
    """Add the documents, which describe the routes and events, and `/docs` with the files that the page loads."""

    def build_swagger() -> dict[str, Any]:
        return convert_document(describe_routes(routes), common_flat_schema(CATALOGUE))

    for path, handler in (
        ("/openapi.json", serve_document(lambda: describe_routes(routes), describe_server)),
        ("/openapi-2.0.json", serve_document(build_swagger, describe_address)),
        ("/asyncapi.json", serve_document(build_asyncapi)),
    ):
        router.add_get(path, handler)
        router.add_get(path + "/", handler)
    router.add_get("/docs", _serve_text(PAGE, "text/html"))
    router.add_get("/docs/start.js", _serve_text(START, "text/javascript"))
    router.add_get(
        "/docs/swagger-ui.js", _serve_file(VIEWER / "javascripts" / "swagger-ui-bundle.js", "text/javascript")
    )
    router.add_get("/docs/swagger-ui.css", _serve_file(VIEWER / "stylesheets" / "swagger-ui.css", "text/css"))


def serve_document(build: Build, address: Address | None = None) -> Handler:
    """Return the handler of a document; `address` returns its fields that depend on the API's own address.

    The rest is built once, in a thread, because that takes several times as long as a request may hold the event loop.
    """
    built: list[asyncio.Future[bytes]] = []

    async def show_document(request: web.Request) -> web.StreamResponse:
        if not built:
            built.append(asyncio.ensure_future(asyncio.to_thread(lambda: to_json(build()))))
        body = await asyncio.shield(built[0])
        if address is not None:
            own = to_json(address(request.app[API].forwarding.base_url(request)))
            body = b"%b,%b" % (own[:-1], body[1:])
        return web.Response(body=body, content_type="application/json", charset="utf-8", headers=SHARED)

    return show_document


def _serve_text(text: str, content_type: str) -> Handler:
    async def show_text(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type, charset="utf-8", headers=HEADERS)

    return show_text


def _serve_file(path: Path, content_type: str) -> Handler:
    async def show_file(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={**HEADERS, "Content-Type": f"{content_type}; charset=utf-8"})

    return show_file
