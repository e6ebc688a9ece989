"""The style sheet, the script and the icon, under names that change with their content."""

import hashlib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from aiohttp import web

TYPES: Final = {"style.css": "text/css", "dashboard.js": "text/javascript", "icon.svg": "image/svg+xml"}
PREFIX: Final = "/assets"
HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


class StaticFiles:
    """The files, read once."""

    def __init__(self) -> None:
        """Read them from the package."""
        folder = files("bridge.dashboard") / "static"
        self._bodies = {name: (folder / name).read_bytes() for name in TYPES}

    def url(self, name: str) -> str:
        """Return the path of a file."""
        digest = hashlib.sha256(self._bodies[name]).hexdigest()[:12]
        return f"{PREFIX}/{digest}/{name}"

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve the files."""
        for name in TYPES:
            router.add_get(self.url(name), self._serve(name))

    def _serve(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def show_file(_: web.Request) -> web.StreamResponse:
            return web.Response(
                body=self._bodies[name], content_type=TYPES[name], charset="utf-8", headers=HEADERS
            )

        return show_file
