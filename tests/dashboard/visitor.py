"""Somebody who uses the dashboard without a browser: a cookie, pages as text, forms as they stand in the pages."""

import html
import re
from dataclasses import dataclass, field

from tests.api.serving import Client


@dataclass(frozen=True)
class Shown:
    """An answer: its status, headers, cookie and text."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def forms(self) -> list[dict[str, str]]:
        """The forms that send something: their address as `to`, and their hidden fields."""
        found = []
        for head, body in re.findall(r"<form([^>]*)>(.*?)</form>", self.text, re.DOTALL):
            if 'method="post"' in head:
                fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', body)
                to = re.findall(r'action="([^"]*)"', head)[0]
                found.append(
                    {"to": html.unescape(to), **{name: html.unescape(value) for name, value in fields}}
                )
        return found

    def form(self, ending: str) -> dict[str, str]:
        """The first form whose address ends so."""
        return next(each for each in self.forms if each["to"].endswith(ending))


@dataclass
class Visitor:
    """A browser of a few lines; `site` is what Sec-Fetch-Site says."""

    api: Client
    cookie: str = ""
    site: str | None = "same-origin"
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, data: dict[str, str] | None = None) -> Shown:
        headers = {**self.headers}
        if self.site is not None:
            headers["Sec-Fetch-Site"] = self.site
        if self.cookie:
            headers["Cookie"] = self.cookie
        async with self.api.http.request(
            method, self.api.url + path, headers=headers, data=data, allow_redirects=False
        ) as answer:
            if given := answer.headers.get("Set-Cookie"):
                self.cookie = given.partition(";")[0]
            return Shown(answer.status, await answer.text(), dict(answer.headers))

    async def get(self, path: str) -> Shown:
        return await self.ask("GET", path)

    async def sign_in(self, key: str) -> Shown:
        return await self.ask("POST", "/sign-in", {"key": key})

    async def send(self, form: dict[str, str], **fields: str) -> Shown:
        """Send a form as it stands in a page, with some fields filled in."""
        data = {name: value for name, value in form.items() if name != "to"} | fields
        return await self.ask("POST", form["to"], data)
