"""The API's description: the OpenAPI document, and a page on which Swagger UI shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from bridge.api.openapi import build_document
from bridge.api.responses.json_response import to_json
from bridge.api.routing import API, Route

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PLACEHOLDER = "https://{server}"  # each answer has the address that its request used in this place
# Swagger UI needs neither inline scripts nor inline styles: it sets styles through the DOM, which the policy does
# not restrict. Its pictures are data: URLs. `connect-src` allows reading the document and trying out this API.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "max-age=300"}
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
    """Add `/openapi.json`, which describes the routes, and `/docs` with the files that the page loads."""
    router.add_get("/openapi.json", serve_document(routes))
    router.add_get("/docs", _serve_text(PAGE, "text/html"))
    router.add_get("/docs/start.js", _serve_text(START, "text/javascript"))
    router.add_get(
        "/docs/swagger-ui.js", _serve_file(VIEWER / "javascripts" / "swagger-ui-bundle.js", "text/javascript")
    )
    router.add_get("/docs/swagger-ui.css", _serve_file(VIEWER / "stylesheets" / "swagger-ui.css", "text/css"))


def serve_document(routes: Sequence[Route]) -> Handler:
    """Return the handler of the OpenAPI document.

    The document is built once, in a thread, because that takes several times as long as a request may hold the event
    loop. Only the server's address differs between answers, and those are not kept.
    """

    def build() -> bytes:
        return to_json(build_document(routes, server=PLACEHOLDER))

    built: list[asyncio.Future[bytes]] = []

    async def show_document(request: web.Request) -> web.StreamResponse:
        if not built:
            built.append(asyncio.ensure_future(asyncio.to_thread(build)))
        server = to_json(request.app[API].forwarding.base_url(request))
        body = (await asyncio.shield(built[0])).replace(to_json(PLACEHOLDER), server, 1)
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return show_document


def _serve_text(text: str, content_type: str) -> Handler:
    async def show_text(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=content_type, charset="utf-8", headers=HEADERS)

    return show_text


def _serve_file(path: Path, content_type: str) -> Handler:
    async def show_file(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={**HEADERS, "Content-Type": f"{content_type}; charset=utf-8"})

    return show_file
