"""Who gets in, how long, and what keeps others from sending forms in their name."""

import pytest

from tests.api.serving import KEY, Client
from tests.dashboard.visitor import Visitor

PAGES = [
    "/",
    "/events",
    "/deliveries",
    "/endpoints",
    "/accounts",
    "/try",
    "/settings",
    "/find?q=x",
    "/jobs/sync_job/1",
]


async def make_key(api: Client, *scopes: str) -> tuple[str, str]:
    status, body = await api.call("POST", "/v1/keys", json={"name": "test", "scopes": list(scopes)})
    assert status == 201
    return body["key"], body["id"]


async def test_a_cookie_stands_for_the_key_and_cannot_be_read_by_scripts(api: Client) -> None:
    visitor = Visitor(api)
    shown = await visitor.sign_in(f"  {KEY}\n")
    assert (shown.status, shown.headers["Location"]) == (303, "/")
    given = shown.headers["Set-Cookie"]
    assert "HttpOnly" in given
    assert "SameSite=Strict" in given
    assert KEY not in given
    assert (await visitor.get("/")).status == 200


async def test_the_store_has_neither_cookie_nor_key(api: Client, visitor: Visitor) -> None:
    token = visitor.cookie.partition("=")[2]
    names = await api.services.store.redis.keys("*session*")
    assert len(names) == 1
    kept = names[0] + await api.services.store.redis.get(names[0])
    assert token.encode() not in kept
    assert KEY.encode() not in kept


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_sees_a_page_without_a_session(api: Client, path: str) -> None:
    shown = await Visitor(api).get(path)
    assert shown.status == 303
    assert shown.headers["Location"].startswith("/sign-in")


async def test_a_wrong_key_is_told_and_limited(api: Client) -> None:
    """Ten a minute; then the right one must wait too."""
    visitor = Visitor(api)
    answers = [await visitor.sign_in(f"brk_{n:040}") for n in range(10)]
    assert {each.status for each in answers} == {401}
    assert "not known here" in answers[0].text
    shown = await visitor.sign_in(KEY)
    assert shown.status == 429
    assert int(shown.headers["Retry-After"]) > 0


async def test_an_api_key_is_no_cookie_and_a_cookie_no_api_key(api: Client, visitor: Visitor) -> None:
    status, _ = await api.call("GET", "/v1/me", headers={"Cookie": visitor.cookie})
    assert status == 401
    stranger = Visitor(api, headers={"Authorization": f"Bearer {KEY}"})
    assert (await stranger.get("/")).status == 303


async def test_a_revoked_key_ends_its_sessions(api: Client) -> None:
    text, identifier = await make_key(api, "read")
    visitor = Visitor(api)
    await visitor.sign_in(text)
    assert (await visitor.get("/")).status == 200
    await api.call("DELETE", f"/v1/keys/{identifier}")
    assert (await visitor.get("/")).status == 303


async def test_signing_out_ends_the_session(visitor: Visitor) -> None:
    form = (await visitor.get("/settings")).form("/sign-out")
    cookie = visitor.cookie
    assert (await visitor.send(form)).status == 303
    visitor.cookie = cookie
    assert (await visitor.get("/")).status == 303


async def test_a_key_for_the_proxy_alone_is_told_why(api: Client) -> None:
    text, _ = await make_key(api, "proxy")
    shown = await Visitor(api).sign_in(text)
    assert shown.status == 403
    assert "for the proxy alone" in shown.text


async def test_a_read_only_key_sees_no_buttons_and_cannot_act(api: Client, visitor: Visitor) -> None:
    callback = await api.register(job_id="1")
    text, _ = await make_key(api, "read")
    reader = Visitor(api)
    await reader.sign_in(text)
    shown = await reader.get("/jobs/sync_job/1")
    assert shown.status == 200
    assert "read-only" in shown.text
    assert shown.forms == []
    token = (await reader.get("/settings")).form("/sign-out")
    refused = await reader.send({**token, "to": f"/callbacks/{callback['id']}/cancel"})
    assert refused.status == 403
    assert "manage" in refused.text


async def test_a_key_that_only_registers_sees_try_it_alone(api: Client) -> None:
    text, _ = await make_key(api, "register")
    visitor = Visitor(api)
    assert (await visitor.sign_in(text)).headers["Location"] == "/try"
    assert (await visitor.get("/try")).status == 200
    assert (await visitor.get("/deliveries")).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_of_another_site_is_refused(api: Client, visitor: Visitor, site: str) -> None:
    """Even one that has the cookie and the token."""
    callback = await api.register(job_id="1")
    form = (await visitor.get("/jobs/sync_job/1")).form("/cancel")
    visitor.site = site
    assert (await visitor.send(form)).status == 403
    _, after = await api.call("GET", f"/v1/callbacks/{callback['id']}")
    assert after["state"] == "watching"


async def test_without_sec_fetch_site_the_origin_decides(api: Client, visitor: Visitor) -> None:
    await api.register(job_id="1")
    form = (await visitor.get("/jobs/sync_job/1")).form("/cancel")
    visitor.site, visitor.headers = None, {"Origin": "https://evil.example"}
    assert (await visitor.send(form)).status == 403
    visitor.headers = {"Origin": api.url}
    assert (await visitor.send(form)).status == 303


@pytest.mark.parametrize("token", ["", "0" * 64])
async def test_a_form_without_the_token_is_refused(api: Client, visitor: Visitor, token: str) -> None:
    await api.register(job_id="1")
    form = (await visitor.get("/jobs/sync_job/1")).form("/cancel")
    assert (await visitor.send(form, csrf=token)).status == 403


async def test_the_token_of_one_session_is_none_of_another(api: Client, visitor: Visitor) -> None:
    await api.register(job_id="1")
    other = Visitor(api)
    await other.sign_in(KEY)
    form = (await other.get("/jobs/sync_job/1")).form("/cancel")
    assert (await visitor.send(form)).status == 403


async def test_a_link_from_elsewhere_is_followed_anew(visitor: Visitor) -> None:
    """A strict cookie does not come with a click in a chat; it comes once the page itself goes on."""
    cookie, visitor.cookie, visitor.site = visitor.cookie, "", "cross-site"
    shown = await visitor.get("/events?type=sync_job.failed")
    assert shown.status == 200
    assert 'content="0; url=/events?type=sync_job.failed"' in shown.text
    visitor.cookie, visitor.site = cookie, "same-origin"
    assert (await visitor.get("/events?type=sync_job.failed")).status == 200


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_signing_in_leads_nowhere_else(api: Client, to: str) -> None:
    shown = await Visitor(api).ask("POST", "/sign-in", {"key": KEY, "to": to})
    assert shown.headers["Location"] == "/"


async def test_pages_come_under_a_strict_policy_and_are_not_kept(visitor: Visitor) -> None:
    headers = (await visitor.get("/")).headers
    policy = dict(each.strip().split(" ", 1) for each in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
