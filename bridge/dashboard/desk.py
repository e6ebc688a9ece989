"""Answer requests for pages and forms: sign-in, scopes, tokens, errors as pages."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from bridge.api.middleware import answer_error
from bridge.api.routing import API
from bridge.dashboard import rendering
from bridge.dashboard.page import Action, DashboardPage, Done, View, Visit
from bridge.dashboard.sessions import Sessions, SignedIn, check_form_token, check_origin
from bridge.errors import BridgeError, Conflict, Forbidden, ValidationFailed

FORM_BYTES: Final = 64 * 1024
FORM_TIMEOUT_S: Final = 15.0
ACTION_CHARS: Final = 32
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Desk:
    """Serves pages and takes forms of one application."""

    def __init__(self, app: web.Application) -> None:
        """Take the application, which has its API already."""
        self._app = app
        api = app[API]
        self.sessions = Sessions(api.services.store, api.forwarding)

    def visit(
        self,
        request: web.Request,
        session: SignedIn,
        *,
        path: Mapping[str, str],
        form: Mapping[str, str] | None = None,
    ) -> Visit:
        """Return a request of somebody who is signed in, for a page's reader."""
        api = self._app[API]
        url = request.rel_url
        return Visit(
            api=api,
            key=session.key,
            path=path,
            query={name: value for name, value in url.query.items() if name != "done"},
            url=url.raw_path_qs,
            base_url=api.forwarding.base_url(request),
            form=form or {},
        )

    def serve(self, page: DashboardPage) -> Handler:
        """Return the handler of a page."""

        async def show(request: web.Request) -> web.StreamResponse:
            session = await self.sessions.find(request)
            if session is None:
                return self._ask_to_sign_in(request)
            visit = self.visit(request, session, path=request.match_info)
            check_page(page, visit)
            notice = await self._find_notice(request, session)
            return self.answer(await page.read(visit), session, visit, notice)

        return self.as_page(show)

    def take(self, action: Action) -> Handler:
        """Return the handler of a form: done once, however often it is sent, and answered by a redirect."""

        async def take(request: web.Request) -> web.StreamResponse:
            check_origin(request)
            session = await self.sessions.find(request)
            if session is None:
                return redirect("/sign-in")
            form = await read_form(request)
            check_form_token(session, form.get("csrf", ""))
            visit = self.visit(request, session, path=request.match_info, form=form)
            visit.need(action.scope)
            return await self._act_once(action, session, visit)

        return self.as_page(take)

    async def _act_once(self, action: Action, session: SignedIn, visit: Visit) -> web.StreamResponse:
        identifier = visit.form.get("action", "")
        if len(identifier) != ACTION_CHARS or not identifier.isalnum():
            raise ValidationFailed("action", "missing: reload the page and send the form again")
        table = visit.services.store.dashboard
        known = await table.begin_action(session.digest, identifier)
        if known is not None:
            if not known:
                raise Conflict("This is being done already: look at the page again in a moment.")
            return redirect(json.loads(known)["to"])
        try:
            result = await action.act(visit)
        except BaseException as error:
            if not isinstance(error, BridgeError) or not (back := safe_path(visit.form.get("back", ""))):
                await table.drop_action(session.digest, identifier)
                raise
            result = Done(to=back, notice=error.message)
            return await self._note(session, visit, identifier, result, is_error=True)
        if isinstance(result, View):
            if result.again is None:
                await table.drop_action(session.digest, identifier)
            else:
                await self._note(session, visit, identifier, result.again, is_error=False)
            return self.answer(result, session, visit, None)
        return await self._note(session, visit, identifier, result, is_error=False)

    async def _note(
        self, session: SignedIn, visit: Visit, identifier: str, done: Done, *, is_error: bool
    ) -> web.StreamResponse:
        """Keep what a form led to, and lead there."""
        to = f"{done.to}{'&' if '?' in done.to else '?'}done={identifier}"
        answer = json.dumps({"to": to, "text": done.notice, "is_error": is_error}).encode()
        await visit.services.store.dashboard.end_action(session.digest, identifier, answer)
        return redirect(to)

    async def _find_notice(self, request: web.Request, session: SignedIn) -> Mapping[str, Any] | None:
        identifier = request.query.get("done", "")
        if len(identifier) != ACTION_CHARS or not identifier.isalnum():
            return None
        found = await self._app[API].services.store.dashboard.find_action(session.digest, identifier)
        return json.loads(found) if found else None

    def answer(
        self, view: View, session: SignedIn | None, visit: Visit | None, notice: Mapping[str, Any] | None
    ) -> web.Response:
        """Return a page as an answer; nothing keeps it, since each of its forms may be sent once."""
        html = rendering.personalise(rendering.render(self._app, view, visit, notice), session)
        return web.Response(
            text=html,
            status=view.status,
            content_type="text/html",
            charset="utf-8",
            headers=rendering.HEADERS,
        )

    def as_page(self, handler: Handler) -> Handler:
        """Return a handler whose errors are pages."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except (ConnectionError, web.HTTPException):
                raise
            except Exception as error:  # noqa: BLE001 -- `answer_error` logs what is unexpected
                answer = answer_error(request, error)
            assert isinstance(answer.body, bytes)
            problem = json.loads(answer.body)["error"]
            values = {"problem": problem, "status": answer.status}
            view = View(title="Not possible", template="error.html", values=values, status=answer.status)
            shown = self.answer(view, None, None, None)
            if "Retry-After" in answer.headers:
                shown.headers["Retry-After"] = answer.headers["Retry-After"]
            return shown

        return handle

    def _ask_to_sign_in(self, request: web.Request) -> web.StreamResponse:
        """Lead to the sign-in; a link from another site comes without the strict cookie, so it is followed anew first."""
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            view = View(title="Opening", template="again.html", values={"to": request.rel_url.raw_path_qs})
            return self.answer(view, None, None, None)
        to = quote(request.rel_url.raw_path_qs, safe="")
        return redirect("/sign-in" if request.path == "/" else f"/sign-in?to={to}")


def check_page(page: DashboardPage, visit: Visit) -> None:
    """Raise Forbidden unless the key may see a page."""
    if not page.scopes & visit.key.scopes:
        needed = " or ".join(sorted(page.scopes))
        raise Forbidden(f"This page needs a key with the scope {needed}: sign in with another key.")


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; raise ValidationFailed for anything but one, within limits of size and time."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise ValidationFailed("", "not a form")
    try:
        async with asyncio.timeout(FORM_TIMEOUT_S):
            fields = await request.clone(client_max_size=FORM_BYTES).post()
    except TimeoutError:
        raise ValidationFailed("", "the form did not arrive in time: send it again") from None
    return {name: value.replace("\r\n", "\n") for name, value in fields.items() if isinstance(value, str)}


def redirect(to: str) -> web.Response:
    """Return the answer that leads a browser to another page of the dashboard."""
    return web.Response(status=303, headers={"Location": to, **rendering.HEADERS})


def safe_path(text: str) -> str:
    """Return a path of this site with its query, empty for anything else."""
    parts = urlsplit(text)
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc
    return text if is_own and text.isascii() and text.isprintable() and len(text) < 4000 else ""
