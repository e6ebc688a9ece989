"""Switches for responses, lists, keys and limits: each changes what a client gets."""

import pytest

from tests.simulator.simulator_client import KEY, OTHER_KEY, START, Sim

SHAPES = [("data", "data"), ("post", "post"), ("bare", "id")]


async def _post(sim: Sim, path: str, body: object = None) -> dict[str, object]:
    answer: dict[str, object] = (await sim.mirror("POST", path, body)).json
    return answer


async def _get(sim: Sim, path: str) -> dict[str, object]:
    answer: dict[str, object] = (await sim.mirror("GET", path, expect=200)).json
    return answer


async def test_switch_envelope_sync_job(sim: Sim) -> None:
    """`data`, `post` or bare."""
    for envelope, first in SHAPES:
        await sim.switch(envelope_sync_job=envelope)
        assert first in await _get(sim, "/sync-jobs/demo")


async def test_switch_envelope_generated_post(sim: Sim) -> None:
    """`data`, `post` or bare."""
    for envelope, first in SHAPES:
        await sim.switch(envelope_generated_post=envelope)
        assert first in await _get(sim, "/generated-posts/demo")


async def test_switch_envelope_generated_media_item(sim: Sim) -> None:
    """`data`, `post` or bare."""
    for envelope, first in SHAPES:
        await sim.switch(envelope_generated_media_item=envelope)
        assert first in await _get(sim, "/generated-media-items/demo")


async def test_switch_envelope_outgoing_post(sim: Sim) -> None:
    """The automation guide reads `post`."""
    assert "post" in await _get(sim, "/publishing/posts/demo")
    for envelope, first in SHAPES:
        await sim.switch(envelope_outgoing_post=envelope)
        assert first in await _get(sim, "/publishing/posts/demo")


async def test_switch_envelope_create_outgoing_post(sim: Sim) -> None:
    """The reference prints `data`."""
    body = {"items": [{"generated_media_item_id": "i"}]}
    assert "data" in await _post(sim, "/publishing/posts", body)
    await sim.switch(envelope_create_outgoing_post="bare")
    assert "id" in await _post(sim, "/publishing/posts", body)


async def test_switch_envelope_start(sim: Sim) -> None:
    """Guides print start calls bare; the newer reference would wrap them."""
    assert "job_ids" in await _post(sim, "/personas/demo/sync")
    await sim.switch(envelope_start="data")
    assert "data" in await _post(sim, "/personas/demo/sync")


async def test_switch_envelope_other(sim: Sim) -> None:
    """The older guide shows the balance bare."""
    assert "data" in await _get(sim, "/billing/balance")
    await sim.switch(envelope_other="bare")
    assert "balance_cents" in await _get(sim, "/billing/balance")


@pytest.mark.parametrize(
    ("switch", "path", "usual"),
    [
        ("list_outgoing_posts", "/publishing/posts", 404),
        ("list_sync_jobs", "/sync-jobs", 404),
        ("list_personas", "/personas", 200),
        ("list_sources", "/personas/demo/sources", 200),
    ],
)
async def test_switch_lists(sim: Sim, switch: str, path: str, usual: int) -> None:
    """Undocumented lists may exist or not: list_outgoing_posts, list_sync_jobs, list_personas, list_sources."""
    await sim.mirror("GET", path, expect=usual)
    await sim.switch(**{switch: usual == 404})
    got = await sim.mirror("GET", path, expect=200 if usual == 404 else 404)
    assert got.status == 404 or set(got.json) == {"data", "count"}


@pytest.mark.parametrize("status", [400, 403, 404, 405])
async def test_switch_absent_list_status(sim: Sim, status: int) -> None:
    """The status with which a missing list answers."""
    await sim.switch(absent_list_status=status)
    await sim.mirror("GET", "/sync-jobs", expect=status)


async def _three(sim: Sim) -> None:
    for n in (1, 2, 3):
        await sim.job("generated_post", id=f"p{n}", persona_id="p", items=[{"id": f"i{n}"}])
        sim.advance(1)


async def test_switch_list_order(sim: Sim) -> None:
    """Newest or oldest first, also across pages."""
    await _three(sim)
    orders = {"newest": ["p3", "p2", "p1"], "oldest": ["p1", "p2", "p3"]}
    for order, ids in orders.items():
        await sim.switch(list_order=order)
        pages = [await sim.read(f"/personas/p/generated-posts?limit=2&offset={at}") for at in (0, 2)]
        assert [post["id"] for page in pages for post in page] == ids


async def test_switch_list_count(sim: Sim) -> None:
    """`count` is the total or the length of the page."""
    await _three(sim)
    for meaning, count in (("total", 3), ("page", 2)):
        await sim.switch(list_count=meaning)
        assert (await _get(sim, "/personas/p/generated-posts?limit=2"))["count"] == count


async def test_switch_list_rows(sim: Sim) -> None:
    """Rows in full, or with the documented fields only."""
    await _three(sim)
    await sim.switch(list_rows="short")
    row = (await sim.read("/personas/p/generated-posts"))[0]
    assert set(row) == {"id", "status", "review_status", "media_items"}
    assert row["media_items"] == [{"id": "i3", "status": "pending"}]


async def test_switch_list_over_100(sim: Sim) -> None:
    """A limit above 100 is lowered or refused."""
    posts = [{"kind": "generated_post", "persona_id": "p"} for _ in range(101)]
    await sim.control("POST", "/jobs", {"jobs": posts})
    assert len(await sim.read("/personas/p/generated-posts?limit=500")) == 100
    await sim.switch(list_over_100="reject")
    await sim.mirror("GET", "/personas/p/generated-posts?limit=101", expect=400)


async def test_switch_transaction_field(sim: Sim) -> None:
    """`operation_type` in the reference, `type` in the older text."""
    await sim.generate()
    for name in ("operation_type", "type"):
        await sim.switch(transaction_field=name)
        assert (await sim.read("/billing/transactions"))[0][name] == "generation"


async def test_switch_unknown_personas(sim: Sim) -> None:
    """Unknown personas are a 404, or created when they are first named."""
    await sim.mirror("POST", "/personas/p9/sync", expect=404)
    await sim.switch(unknown_personas="create")
    await sim.mirror("POST", "/personas/p9/sync", expect=202)


async def test_switch_private_jobs(sim: Sim) -> None:
    """Another account's job is a 404; keys of one account see the same; a job without an owner is everybody's."""
    post = await sim.generate()
    nobodys = await sim.job("sync_job")
    await sim.mirror("GET", f"/generated-posts/{post}", key=OTHER_KEY, expect=200)
    await sim.switch(private_jobs=True)
    await sim.mirror("GET", f"/generated-posts/{post}", key=OTHER_KEY, expect=404)
    assert await sim.read("/personas/demo/generated-posts", key=OTHER_KEY) == []
    await sim.mirror("GET", f"/sync-jobs/{nobodys}", key=OTHER_KEY, expect=200)
    await sim.control("PUT", f"/keys/{OTHER_KEY}", {"account": KEY})
    await sim.mirror("GET", f"/generated-posts/{post}", key=OTHER_KEY, expect=200)


async def test_switch_default_scopes(sim: Sim) -> None:
    """As documented, a key without a scope list cannot read transactions."""
    await sim.mirror("GET", "/billing/transactions", expect=200)
    await sim.switch(default_scopes="documented")
    await sim.mirror("GET", "/billing/transactions", expect=403)
    await sim.mirror("GET", "/sync-jobs/demo", expect=200)


async def test_switch_sync_job_scope(sim: Sim) -> None:
    """The scope for reading a sync job is not documented."""
    await sim.control("PUT", f"/keys/{KEY}", {"missing_scopes": ["sync:write"]})
    await sim.mirror("GET", "/sync-jobs/demo", expect=200)
    await sim.switch(sync_job_scope="sync:write")
    await sim.mirror("GET", "/sync-jobs/demo", expect=403)


async def test_switch_start_balance_cents(sim: Sim) -> None:
    """Without money: 402, and nothing begins."""
    await sim.switch(start_balance_cents=5)
    body = {"source_post_id": "image-1", "persona_id": "demo"}
    refused = await sim.mirror("POST", "/generate", body, expect=402)
    assert refused.json["error"]["code"] == "INSUFFICIENT_BALANCE"
    assert await sim.read("/personas/demo/generated-posts") == []


async def _statuses(sim: Sim, count: int, *, key: str = KEY) -> list[int]:
    return [(await sim.mirror("GET", "/sync-jobs/demo", key=key)).status for _ in range(count)]


async def test_switch_rate_limiter(sim: Sim) -> None:
    """Switched off, nothing is counted and no rate header comes."""
    await sim.switch(rate_limiter=False)
    assert set(await _statuses(sim, 61)) == {200}
    assert "X-RateLimit-Limit" not in (await sim.mirror("GET", "/sync-jobs/demo")).headers


async def test_switch_rate_window(sim: Sim) -> None:
    """Fixed begins with the first request, aligned at the full minute, sliding frees one request at a time."""
    sim.clock.now = START + 50.0  # START is a full minute
    resets = {}
    for window in ("fixed", "aligned"):
        await sim.switch(rate_window=window)
        resets[window] = (await sim.mirror("GET", "/sync-jobs/demo")).headers["X-RateLimit-Reset"]
    assert resets == {"fixed": str(int(START) + 110), "aligned": str(int(START) + 60)}
    await sim.switch(rate_window="sliding", rate_api_key_per_minute=2)
    assert await _statuses(sim, 1) == [200]
    sim.clock.now += 30
    assert await _statuses(sim, 2) == [200, 429]
    sim.clock.now += 30
    assert await _statuses(sim, 2) == [200, 429]


async def test_switch_rate_headers(sim: Sim) -> None:
    """The limit applies, but no header announces it."""
    await sim.switch(rate_headers=False, rate_api_key_per_minute=1)
    assert await _statuses(sim, 2) == [200, 429]
    assert not any(name.startswith("X-RateLimit") for name in (await sim.mirror("GET", "/x")).headers)


async def test_switch_rate_per(sim: Sim) -> None:
    """Two keys of one account can share a budget."""
    await sim.control("PUT", f"/keys/{KEY}", {"account": "a"})
    await sim.control("PUT", f"/keys/{OTHER_KEY}", {"account": "a"})
    await sim.switch(rate_per="account", rate_api_key_per_minute=1)
    assert await _statuses(sim, 1) == [200]
    assert await _statuses(sim, 1, key=OTHER_KEY) == [429]


@pytest.mark.parametrize(
    ("switch", "key"), [("rate_api_key_per_minute", KEY), ("rate_jwt_per_minute", "head.payload.signature")]
)
async def test_switch_rate_numbers(sim: Sim, switch: str, key: str) -> None:
    """The switches rate_api_key_per_minute and rate_jwt_per_minute."""
    await sim.switch(**{switch: 3})
    assert await _statuses(sim, 4, key=key) == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("unit", "reset"),
    [("s", "1800000060"), ("ms", "1800000060000"), ("iso", "2027-01-15T08:01:00.000Z")],
)
async def test_switch_rate_reset(sim: Sim, unit: str, reset: str) -> None:
    """ReelMirror's reset in three formats."""
    await sim.switch(rate_reset=unit)
    assert (await sim.mirror("GET", "/x")).headers["X-RateLimit-Reset"] == reset


async def test_switch_rate_retry_after(sim: Sim) -> None:
    """`Retry-After` comes only with a 429."""
    await sim.switch(rate_retry_after=True, rate_api_key_per_minute=1)
    assert "Retry-After" not in (await sim.mirror("GET", "/x")).headers
    assert (await sim.mirror("GET", "/x")).headers["Retry-After"] == "60"
