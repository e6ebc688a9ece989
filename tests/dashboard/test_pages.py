"""What pages show, and what their forms do, once each."""

import asyncio
import html
import json
import re
import shlex
from dataclasses import replace

import pytest
from msgspec.structs import replace as msgspec_replace

from bridge.dashboard.rendering import find_live
from bridge.domain.deliveries.records import Attempt, DeliveryState, hash_body
from bridge.domain.polling.rate_limit import Purpose
from bridge.services.accounts.budget_view import documented_limit
from bridge.services.deliveries.preview import preview_request
from bridge.store.dashboard.spending import Minute
from tests.api.serving import KEY, Client, settle, tell
from tests.dashboard.visitor import Shown, Visitor

HOSTILE = "<script>alert(1)</script><!--live:trouble--><img src=x onerror=alert(2)>\"'{{7*7}}"
PATHS = [
    "/",
    "/events",
    "/deliveries",
    "/deliveries?state=any",
    "/endpoints",
    "/accounts",
    "/try",
    "/settings",
    "/settings/keys",
    "/find",
]


def attempt(status: int | None = 404, excerpt: str = "not registered") -> Attempt:
    return Attempt(
        at_ms=1_790_000_000_000,
        status=status,
        failure=None if status else "timeout",
        reason="refused",
        duration_ms=12,
        excerpt=excerpt,
    )


async def park(api: Client, job_id: str, excerpt: str = "not registered") -> tuple[str, str]:
    """Register a job, and write its end with a delivery that is parked; give event and delivery."""
    callback = await api.register(job_id=job_id)
    event, delivery = await tell(api, callback)
    await settle(api, delivery, DeliveryState.PARKED, attempt(excerpt=excerpt))
    return event, delivery


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_of_an_empty_project_says_what_to_do(visitor: Visitor, path: str) -> None:
    shown = await visitor.get(path)
    assert shown.status == 200
    assert shown.text.count("<h1") == 1


async def test_trouble_stands_first_and_leads_to_the_delivery(api: Client, visitor: Visitor) -> None:
    event, delivery = await park(api, "1")
    now = await visitor.get("/")
    assert "1 parked" in now.text
    listed = await visitor.get("/deliveries")
    assert f"/deliveries/{delivery}" in listed.text
    one = await visitor.get(f"/deliveries/{delivery}")
    assert "not registered" in one.text
    assert event in one.text
    assert "A person must send it again" in one.text


async def test_a_job_tells_its_life_and_what_comes_next(api: Client, visitor: Visitor) -> None:
    _, delivery = await park(api, "1")
    shown = await visitor.get("/jobs/sync_job/1")
    assert shown.status == 200
    assert "Parked (all attempts failed)" in shown.text
    assert "<svg" in shown.text
    assert delivery in shown.text
    assert "Registered for sync_job 1" in shown.text


async def test_a_jobs_callbacks_change_while_the_page_is_open(api: Client, visitor: Visitor) -> None:
    """One that has closed meanwhile is not left there as one that is watching and can be cancelled."""
    callback = await api.register(job_id="1")
    before = find_live((await visitor.get("/jobs/sync_job/1")).text)["callbacks"]
    assert "watching" in before
    assert f"/callbacks/{callback['id']}/cancel" in before
    await api.call("DELETE", f"/v1/callbacks/{callback['id']}")
    after = find_live((await visitor.get("/jobs/sync_job/1")).text)["callbacks"]
    assert "cancelled" in after
    assert "/cancel" not in after


async def test_a_chain_is_not_late_by_the_time_of_its_first_job(api: Client, visitor: Visitor) -> None:
    """It waits for what comes of it, a review by a person too: no documented time says when that ends."""
    await api.register(generated_post_id="p1", follow=True)
    shown = (await visitor.get("/")).text
    row = next(each for each in shown.split("<tr") if "/jobs/chain/" in each)
    assert "waits for its jobs" in row
    assert "every" not in row


async def test_a_job_that_is_not_watched_can_be_registered(visitor: Visitor) -> None:
    shown = await visitor.get("/jobs/sync_job/never")
    assert shown.status == 404
    assert "/try?kind=sync_job&amp;id=never" in shown.text


async def test_foreign_text_stays_text(api: Client, visitor: Visitor) -> None:
    """In an answer of a receiver, in metadata, in what was searched for."""
    callback = await api.register(job_id="1", metadata=HOSTILE)
    event, delivery = await tell(api, callback)
    await settle(api, delivery, DeliveryState.PARKED, attempt(excerpt=HOSTILE))
    paths = [
        f"/deliveries/{delivery}",
        f"/events/{event}",
        "/jobs/sync_job/1",
        "/find?q=%3Cscript%3Ealert(1)%3C/script%3E",
    ]
    for path in paths:
        text = (await visitor.get(path)).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "<!--live:trouble-->" not in text


async def test_a_retry_that_is_pressed_twice_is_one(api: Client, visitor: Visitor) -> None:
    """The same form sent again leads to what it led to; nothing is done a second time."""
    _, delivery = await park(api, "1")
    form = (await visitor.get(f"/deliveries/{delivery}")).form("/retry")
    first, second = await asyncio.gather(visitor.send(form), visitor.send(form))
    again = await visitor.send(form)
    assert {first.status, second.status} <= {303, 409}
    assert again.headers["Location"] in (first.headers.get("Location"), second.headers.get("Location"))
    loaded = await api.services.store.load_delivery(delivery)
    assert loaded is not None
    assert loaded.record.state is DeliveryState.PENDING
    shown = await visitor.get(again.headers["Location"])
    assert "One attempt more begins now." in shown.text


async def test_a_delivery_says_whether_its_body_is_the_one_that_was_sent(
    api: Client, visitor: Visitor
) -> None:
    """By a hash of what the last attempt sent; nothing is said of attempts of earlier versions."""
    callback = await api.register(job_id="1")
    _, delivery = await tell(api, callback)
    await settle(api, delivery, DeliveryState.PARKED, attempt())
    at = f"/deliveries/{delivery}"
    assert "As it is made now" in (await visitor.get(at)).text
    loaded = await api.services.store.load_delivery(delivery)
    assert loaded is not None
    request = await preview_request(api.services, loaded.record, whole=True)
    assert request is not None
    await settle(
        api, delivery, DeliveryState.PARKED, msgspec_replace(attempt(), body=hash_body(request.body))
    )
    assert "the one that the last attempt sent" in (await visitor.get(at)).text
    await api.call("PATCH", f"/v1/callbacks/{callback['id']}", json={"metadata": {"other": 1}})
    await settle(
        api, delivery, DeliveryState.PARKED, msgspec_replace(attempt(), body=hash_body(request.body))
    )
    assert "has changed since the last attempt" in (await visitor.get(at)).text


async def test_what_cannot_be_done_is_said_on_the_page(api: Client, visitor: Visitor) -> None:
    _, delivery = await park(api, "1")
    form = (await visitor.get(f"/deliveries/{delivery}")).form("/retry")
    await settle(api, delivery, DeliveryState.SUCCEEDED, attempt(200))
    answer = await visitor.send(form)
    assert answer.status == 303
    shown = await visitor.get(answer.headers["Location"])
    assert 'role="alert"' in shown.text
    assert "is succeeded" in shown.text


async def test_trying_out_registers_like_the_api(api: Client, visitor: Visitor) -> None:
    page = await visitor.get("/try")
    answer = await visitor.send(page.form("/try"), kind="sync_job", id="77", callback_url="inbox:")
    assert answer.status == 303
    _, found = await api.call("GET", "/v1/callbacks?job_id=77")
    assert [each["kind"] for each in found["data"]] == ["sync_job"]


async def test_a_form_that_is_refused_keeps_what_was_typed(visitor: Visitor) -> None:
    page = await visitor.get("/try")
    shown = await visitor.send(page.form("/try"), kind="sync_job", id="77", callback_url="ftp://x.example/y")
    assert shown.status == 400
    assert 'value="77"' in shown.text
    assert "callback_url" in shown.text
    assert 'role="alert"' in shown.text


async def test_the_curl_of_a_form_does_what_the_form_does(api: Client, visitor: Visitor) -> None:
    """Its body is the registration's."""
    page = await visitor.get("/try?kind=sync_job&id=5&metadata=it's")
    shown = page.text.split('id="curl"')[1].split(">", 1)[1].split("</pre>")[0]
    words = shlex.split(html.unescape(shown))
    body = json.loads(words[words.index("-d") + 1])
    assert words[3] == f"{api.url}/v1/callbacks"
    status, made = await api.call("POST", "/v1/callbacks", json=body)
    assert (status, made["metadata"]) == (201, "it's")


async def test_an_endpoints_secret_is_in_no_page_until_it_is_asked_for(api: Client, visitor: Visitor) -> None:
    page = await visitor.get("/endpoints")
    made = await visitor.send(
        page.form("/endpoints"), url="https://hooks.example.com/a?token=t0p", events="*.failed"
    )
    at = made.headers["Location"].partition("?")[0]
    assert "whsec_" not in (await visitor.get(at)).text
    assert "t0p" not in (await visitor.get("/endpoints")).text
    shown = await visitor.send((await visitor.get(at)).form("/secret"))
    _, secret = await api.call("GET", f"/v1{at}/secret")
    assert secret["secret"] in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    await visitor.send((await visitor.get(at)).form("/rotate"))
    _, rotated = await api.call("GET", f"/v1{at}/secret")
    assert rotated["secret"] != secret["secret"]
    kept = [
        await api.services.store.redis.get(name) for name in await api.services.store.redis.keys("*action*")
    ]
    assert not [each for each in kept if secret["secret"].encode() in each]


async def test_deleting_an_endpoint_needs_its_name(api: Client, visitor: Visitor) -> None:
    made = await visitor.send((await visitor.get("/endpoints")).form("/endpoints"), url="inbox:")
    at = made.headers["Location"].partition("?")[0]
    form = (await visitor.get(at)).form("/delete")
    await visitor.send(form, confirm="yes")
    assert (await visitor.get(at)).status == 200
    await visitor.send((await visitor.get(at)).form("/delete"), confirm=at.rpartition("/")[2])
    assert (await visitor.get(at)).status == 404


async def test_recovering_takes_all_that_match_and_nothing_else(api: Client, visitor: Visitor) -> None:
    """Also what no page shows; and only this project's."""
    parked = [(await park(api, str(n)))[1] for n in range(60)]
    _, left = await park(api, "other")
    await settle(api, left, DeliveryState.SUCCEEDED, attempt(200))
    _, project = await api.call("POST", "/v1/projects", json={"name": "other"})
    stranger = Visitor(api)
    await stranger.sign_in(project["key"])
    assert "No parked delivery" in (await stranger.get("/deliveries/recover")).text

    page = await visitor.get("/deliveries/recover")
    assert "Recover 60 deliveries" in re.sub(r"\s+", " ", page.text)
    answer = await visitor.send(page.form("/deliveries/recover"))
    at = answer.headers["Location"]
    while "It is done." not in (shown := await visitor.get(at)).text:
        assert "It goes on." in shown.text
    assert "60 sent again" in shown.text
    assert "The 50 newest of 60" in shown.text
    shown_ids = re.findall(r'data-id="(dlv_\w+)"', shown.text)
    assert set(shown_ids) < set(parked)
    assert (len(shown_ids), left in shown_ids) == (50, False)
    states = [await api.services.store.load_delivery(each) for each in [*parked, left]]
    assert [each.record.state for each in states if each] == [DeliveryState.PENDING] * 60 + [
        DeliveryState.SUCCEEDED
    ]
    assert (await stranger.get(at)).status == 404


async def test_another_projects_things_are_not_found(api: Client, visitor: Visitor) -> None:
    event, delivery = await park(api, "1")
    _, project = await api.call("POST", "/v1/projects", json={"name": "other"})
    stranger = Visitor(api)
    await stranger.sign_in(project["key"])
    for path in (f"/events/{event}", f"/deliveries/{delivery}", "/jobs/sync_job/1"):
        assert (await stranger.get(path)).status == 404
        found = await stranger.get(f"/find?q={path.rpartition('/')[2]}")
        assert "Nothing in this project" in found.text


async def test_search_finds_whole_ids(api: Client, visitor: Visitor) -> None:
    event, delivery = await park(api, "job-1")
    for text, to in (
        (event, f"/events/{event}"),
        (delivery, f"/deliveries/{delivery}"),
        ("job-1", "/jobs/sync_job/job-1"),
    ):
        assert f'href="{to}"' in (await visitor.get(f"/find?q={text}")).text
    assert "Nothing in this project" in (await visitor.get("/find?q=job")).text


async def test_deliveries_are_filtered_by_event_kind_and_account(api: Client, visitor: Visitor) -> None:
    """Also together with a recovery, which takes what matches alone."""
    _, delivery = await park(api, "1")
    _, accounts = await api.call("GET", "/v1/accounts")
    mine = next(each["id"] for each in accounts["data"] if each["provider"] == "reelmirror")
    loaded = await api.services.store.load_delivery(delivery)
    assert loaded is not None
    event = await api.services.store.load_event(loaded.record.event)
    assert event is not None
    for query, count in (
        (f"type={event.type}", 1),
        ("type=reelbot_video.failed", 0),
        ("kind=sync_job", 1),
        ("kind=outgoing_post", 0),
        (f"account={mine}", 1),
        ("account=acc_other", 0),
    ):
        listed = await visitor.get(f"/deliveries?{query}")
        assert (f"/deliveries/{delivery}" in listed.text) == bool(count), query
        page = await visitor.get(f"/deliveries/recover?state=parked&{query}")
        assert f"Recover {count} {('deliveries', 'delivery')[count]}" in re.sub(r"\s+", " ", page.text)
    page = await visitor.get(f"/deliveries/recover?kind=sync_job&account={mine}")
    answer = await visitor.send(page.form("/deliveries/recover"))
    while "It is done." not in (shown := await visitor.get(answer.headers["Location"])).text:
        assert "It goes on." in shown.text
    assert "1 sent again" in shown.text
    assert (await visitor.get("/deliveries?type=nothing")).status == 400


async def test_an_account_shows_its_last_hour(api: Client, visitor: Visitor) -> None:
    """What it spent between two samples, which a worker takes each minute."""
    services = api.services
    account = (await services.store.accounts.all())[0]
    limit = documented_limit(services, account.provider)
    budget = await services.store.budgets.view(account.id, limit, now_ms=services.clock_ms())
    place, now_ms = [(account.project, account.id)], services.clock_ms()
    for ago_ms, spent in ((60_000, 4), (0, 11)):
        grown = replace(budget, spent={Purpose.SINGLE: spent}, limited=spent // 10, client=3)
        await services.store.spending.sample(place, [grown], now_ms=now_ms - ago_ms)
    (hour,) = await services.store.spending.read_hours(place, now_ms=now_ms)
    assert [each for each in hour if each] == [Minute(ours=7, saved=0, limited=1, client=3)]
    shown = re.sub(r"<[^>]*>", "", (await visitor.get("/accounts")).text)
    assert "7 by us · 3 by the client · 0 saved · 1" in shown


async def test_an_endpoint_shows_its_pulse(api: Client, visitor: Visitor) -> None:
    made = await visitor.send((await visitor.get("/endpoints")).form("/endpoints"), url="inbox:")
    at = made.headers["Location"].partition("?")[0]
    _, me = await api.call("GET", "/v1/me")
    tallies = api.services.store.tallies
    for ok in (True, True, False):
        tallies.note_attempt(
            me["project"]["id"],
            verdict="retry",
            endpoint=at.rpartition("/")[2],
            ok=ok,
            lag_ms=None,
            now_ms=api.services.clock_ms(),
        )
    await tallies.flush()
    assert "2 attempts answered with 2xx" in (await visitor.get(at)).text


async def test_views_are_saved_for_the_project(visitor: Visitor) -> None:
    page = await visitor.get("/deliveries?state=parked&since=7d")
    answer = await visitor.send(page.form("/deliveries/views"), name="Old ones")
    assert answer.status == 303
    shown = await visitor.get("/deliveries")
    assert 'href="/deliveries?state=parked&amp;since=7d">Old ones</a>' in shown.text
    await visitor.send(shown.form("/views/remove"))
    assert "Old ones" not in (await visitor.get("/deliveries")).text


async def test_a_page_that_fails_says_so_as_a_page(visitor: Visitor) -> None:
    shown: Shown = await visitor.get("/deliveries?state=lost")
    assert shown.status == 400
    assert "no such state" in shown.text
    assert "<h1" in shown.text


async def test_no_page_scans(api: Client, visitor: Visitor) -> None:
    """Neither SCAN nor KEYS, and few commands, however a page is filtered."""
    _, delivery = await park(api, "1")
    await visitor.send((await visitor.get("/endpoints")).form("/endpoints"), url="inbox:")
    redis = api.services.store.redis
    for path in [
        *PATHS,
        "/jobs/sync_job/1",
        f"/deliveries/{delivery}",
        "/deliveries/recover",
        "/deliveries?answer=4xx",
    ]:
        await redis.config_resetstat()
        assert (await visitor.get(path)).status == 200
        calls = {name: row["calls"] for name, row in (await redis.info("commandstats")).items()}
        assert not {"cmdstat_scan", "cmdstat_keys", "cmdstat_zscan"} & calls.keys()
        assert sum(calls.values()) <= 60, (path, calls)


async def test_the_key_stands_in_no_page(visitor: Visitor) -> None:
    for path in PATHS:
        assert KEY not in (await visitor.get(path)).text


async def test_jobs_that_are_waited_for_together_have_a_page(api: Client, visitor: Visitor) -> None:
    """What is watched lists the group beside its jobs, and leads to it."""
    made = await api.register(job_ids=["a", "b"], wait_for="all")
    path = f"/jobs/job_group/{made['job_id']}"
    assert path in (await visitor.get("/")).text
    shown = await visitor.get(path)
    assert shown.status == 200
    assert "Registered for 2 jobs together" in shown.text
