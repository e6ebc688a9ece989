"""Sign in with an API key, and out again."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bridge.dashboard.desk import Desk, read_form, redirect, safe_path
from bridge.dashboard.page import View
from bridge.dashboard.sessions import check_form_token, check_origin
from bridge.errors import Forbidden, RateLimited, Unauthorized


class SignIn:
    """The pages of those who are not signed in."""

    def __init__(self, desk: Desk) -> None:
        """Take what opens sessions."""
        self._desk = desk

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve the pages."""
        router.add_get("/sign-in", self._desk.as_page(self._show))
        router.add_post("/sign-in", self._desk.as_page(self._enter))
        router.add_post("/sign-out", self._desk.as_page(self._leave))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return self._answer({"to": safe_path(request.query.get("to", "")), "problem": ""}, status=200)

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        check_origin(request)
        form = await read_form(request)
        to = safe_path(form.get("to", "")) or "/"
        try:
            key, token = await self._desk.sessions.sign_in(request, form.get("key", ""))
        except (Unauthorized, RateLimited, Forbidden) as error:
            answer = self._answer({"to": to, "problem": error.message}, status=error.status)
            answer.headers.update(error.headers)
            return answer
        sees_all = bool(key.scopes & {"read", "manage", "admin"})
        response = redirect(to if sees_all else "/try")
        self._desk.sessions.set_cookie(request, response, token)
        return response

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        check_origin(request)
        response = redirect("/sign-in")
        session = await self._desk.sessions.find(request)
        if session is not None:
            check_form_token(session, (await read_form(request)).get("csrf", ""))
            await self._desk.sessions.sign_out(request, response, session)
        return response

    def _answer(self, values: Mapping[str, Any], *, status: int) -> web.Response:
        view = View(title="Sign in", template="sign_in.html", values=values, status=status)
        return self._desk.answer(view, None, None, None)
