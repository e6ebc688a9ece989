"""Render pages, and take apart what changes in them while they are looked at.

A page is rendered for all who may see the same; what belongs to one viewer, the tokens of forms, is put in afterwards in
the place of marks that nobody can guess.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

import aiohttp_jinja2
import jinja2
from aiohttp import web
from markupsafe import Markup

from bridge.dashboard import pictures, words
from bridge.dashboard.page import View, Visit
from bridge.dashboard.sessions import SignedIn
from bridge.dashboard.static_files import StaticFiles
from bridge.domain.counts import say_count
from bridge.domain.times import iso_ms

_LIVE: Final = re.compile(r"<!--live:([\w-]+)-->(.*?)<!--/live-->", re.DOTALL)
# What only the clock has changed is no change: the browser moves it by itself.
_CLOCK: Final = re.compile(r"<!--clock-->.*?<!--/clock-->", re.DOTALL)
TOKEN_MARK: Final = f"token-{secrets.token_hex(16)}"
ACTION_MARK: Final = f"action-{secrets.token_hex(16)}"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types fragments"
)
HEADERS: Final = {"Content-Security-Policy": POLICY, "Cross-Origin-Opener-Policy": "same-origin"}


def set_up(app: web.Application, files: StaticFiles) -> None:
    """Prepare the templates of an application."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.PackageLoader("bridge.dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"when": show_time, "badge": words.show_badge, "duration": words.show_duration}
    environment.globals |= {
        "asset": files.url,
        "bar": pictures.draw_bar,
        "gauge": pictures.draw_gauge,
        "say_count": say_count,
        "form_token": TOKEN_MARK,
        "action_id": ACTION_MARK,
    }


def show_time(at_ms: int | None) -> Markup:
    """Return a time as HTML; the browser shows it as how long ago it was, in its own zone."""
    if not at_ms:
        return Markup("&ndash;")
    iso = iso_ms(abs(at_ms))
    plain = f"{iso[:10]} {iso[11:19]} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, plain, plain)


def render(app: web.Application, view: View, visit: Visit | None, notice: Mapping[str, Any] | None) -> str:
    """Return a page's HTML with its marks."""
    environment = app[aiohttp_jinja2.APP_KEY]
    values = {**view.values, "title": view.title, "visit": visit, "notice": notice}
    return environment.get_template(view.template).render(values)


def personalise(html: str, session: SignedIn | None) -> str:
    """Put a viewer's tokens into the place of the marks; each form gets an action id of its own."""
    token = "" if session is None else session.form_token
    return re.sub(ACTION_MARK, lambda _: secrets.token_hex(16), html.replace(TOKEN_MARK, token))


def find_live(html: str) -> dict[str, str]:
    """Return the parts of a page that may change, by their element's id."""
    return {found[1]: found[2] for found in _LIVE.finditer(html)}


def find_changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """Return the parts that changed by more than the clock."""
    return {name: html for name, html in after.items() if _still(html) != _still(before.get(name, ""))}


def _still(html: str) -> str:
    return _CLOCK.sub("", html)
