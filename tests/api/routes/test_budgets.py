"""Rate budgets in `GET /v1/accounts` and `GET /metrics`: what was spent, by whichever process."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.domain.ids import read_callback_job
from bridge.domain.polling.rate_limit import Limit, Purpose, RateReport
from bridge.domain.times import iso_ms
from bridge.store.tables.accounts import Account
from bridge.store.tables.rate_budgets import Ask
from tests.api.serving import Client

API = Limit(name="api", requests=60, window_s=60)
STATUS = Limit(name="status", requests=60, window_s=60)
WANTED = [Purpose.LIST, Purpose.SINGLE, Purpose.SINGLE, Purpose.CONFIRM, Purpose.PROBE]


async def account_of(api: Client, provider: str = "reelmirror") -> Account:
    return next(each for each in await api.services.store.accounts.all() if each.provider == provider)


async def spend(api: Client, account: Account, limit: Limit = API, *, turn_ms: int = 90_000) -> int:
    """Spend five requests as a worker does, report one answer, and return when the window ends."""
    store = api.services.store
    asked = Ask(account=account.id, limit=limit, wanted=WANTED, turn_ms=turn_ms)
    (grant,) = await store.budgets.spend_many([asked])
    reset_ms = (grant.now_ms // 1000 + 50) * 1000
    heard = RateReport(
        request=grant.requests[0], limit=60, remaining=50, reset_ms=reset_ms, shared=2, batched=99
    )
    await store.budgets.spend_many([Ask(account=account.id, limit=limit, reports=[heard])])
    return reset_ms


async def budget_of(api: Client, account: Account) -> dict[str, Any]:
    status, shown = await api.call("GET", f"/v1/accounts/{account.id}")
    assert status == 200
    _, listed = await api.call("GET", "/v1/accounts")
    assert shown in listed["data"]
    return dict(shown["budget"])


async def metrics(api: Client) -> dict[tuple[str, frozenset[str]], float]:
    """The budgets' samples by name and labels' values, those of an account's id and provider left out."""
    async with api.http.get(api.url + "/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("reelbridge_budget_")
    }


async def test_an_unused_account_shows_the_documented_limit(api: Client) -> None:
    """What only an answer can say is null."""
    assert await budget_of(api, await account_of(api)) == {
        "limit": 60,
        "window_seconds": 60,
        "remaining": None,
        "resets_at": None,
        "share": 0.8,
        "client_requests": 0,
        "refused": 0,
        "quiet_until": None,
        "spent": {"single": 0, "list": 0, "confirm": 0, "probe": 0},
        "saved": {"coalescing": 0, "batching": 0},
        "seconds_per_request": 1,
        "expected_delay_seconds": 0,
        "watched_jobs": 0,
    }


async def test_an_account_shows_what_was_spent_and_saved(api: Client) -> None:
    """Of this window, and since it was first used."""
    account = await account_of(api)
    reset_ms = await spend(api, account)
    await api.register(job_id="1")
    await api.register(job_id="2")
    shown = await budget_of(api, account)
    assert (shown["remaining"], shown["resets_at"]) == (50, iso_ms(reset_ms))
    assert shown["spent"] == {"single": 2, "list": 1, "confirm": 1, "probe": 1}
    assert shown["saved"] == {"coalescing": 2, "batching": 99}
    assert shown["client_requests"] == 5
    assert (shown["watched_jobs"], shown["expected_delay_seconds"]) == (2, 45)
    assert shown["seconds_per_request"] > 0


async def test_a_limit_that_was_reached_shows_until_when(api: Client) -> None:
    """The end of the pause is shown, and how often the limit was reached."""
    account = await account_of(api)
    until_ms = api.services.clock_ms() + 50_000
    await api.services.store.budgets.spend(
        account.id, API, reports=[RateReport(remaining=0, quiet_ms=until_ms)]
    )
    shown = await budget_of(api, account)
    assert (shown["refused"], shown["quiet_until"]) == (1, iso_ms(until_ms))


async def test_a_reelbot_account_shows_its_limit_of_status_reads(api: Client) -> None:
    """Other accounts and other limits are none of its business."""
    reelbot = await account_of(api, "reelbot")
    await spend(api, await account_of(api))
    await spend(api, reelbot, Limit(name="download", requests=30, window_s=3600))
    assert (await budget_of(api, reelbot))["spent"]["single"] == 0
    await spend(api, reelbot, STATUS)
    assert (await budget_of(api, reelbot))["spent"]["single"] == 2


async def test_metrics_tell_of_every_account(api: Client) -> None:
    """By its id, whose number is bounded; counters by what requests were for, and what saved some."""
    account, unused = await account_of(api), await account_of(api, "reelbot")
    await spend(api, account)
    await api.register(job_id="1")
    found = await metrics(api)
    used = {"reelmirror", account.id}

    def value(name: str, *labels: str) -> float:
        return found[f"reelbridge_budget_{name}", frozenset(used | set(labels))]

    assert {purpose: value("spent_total", purpose) for purpose in Purpose} == {
        Purpose.SINGLE: 2,
        Purpose.LIST: 1,
        Purpose.CONFIRM: 1,
        Purpose.PROBE: 1,
    }
    assert (value("saved_total", "coalescing"), value("saved_total", "batching")) == (2, 99)
    assert (value("limit"), value("remaining"), value("share")) == (60, 50, 0.8)
    assert (value("watched_jobs"), value("expected_delay_seconds"), value("refused_total")) == (1, 45, 0)
    assert value("pace_seconds") > 0
    idle = frozenset({"reelbot", unused.id})
    assert found["reelbridge_budget_limit", idle] == 60
    assert ("reelbridge_budget_remaining", idle) not in found  # no answer told it


async def test_metrics_hold_no_secret(api: Client) -> None:
    """Neither a credential nor an account's name, which people choose."""
    body = {"provider": "reelmirror", "credential": "rm_" + "q" * 32, "name": "hunter2 ltd"}
    assert (await api.call("POST", "/v1/accounts", json=body))[0] == 201
    async with api.http.get(api.url + "/metrics") as answer:
        text = await answer.text()
    assert text.count("reelbridge_budget_limit{") == 3
    assert not any(secret in text for secret in ("hunter2", "q" * 32, "b" * 32))


async def next_texts(api: Client, callback_id: str) -> list[str]:
    status, timeline = await api.call("GET", f"/v1/callbacks/{callback_id}/timeline")
    assert status == 200
    return [each["text"] for each in timeline["next"]]


async def test_a_timeline_says_why_a_job_waits(api: Client) -> None:
    """Its account sleeps until the budget has more, or until the provider's limit lets it ask again."""
    made = await api.register(job_id="1")
    assert await next_texts(api, made["id"]) == ["The job is read again.", "The callback expires."]
    account, key = await account_of(api), read_callback_job(made["id"])
    assert key is not None
    await api.services.store.poll.block(key[0], account.id, for_ms=40_000)
    waits, _ = await next_texts(api, made["id"])
    assert "waits for its turn in the account's rate limit (60 requests in 60 s, 1 job watched)" in waits
    await api.register(job_id="2")
    assert "2 jobs watched" in (await next_texts(api, made["id"]))[0]
    until_ms = api.services.clock_ms() + 50_000
    await api.services.store.budgets.spend(
        account.id, API, reports=[RateReport(remaining=0, quiet_ms=until_ms)]
    )
    limited, _ = await next_texts(api, made["id"])
    assert f"rate limit was reached; nothing is asked before {iso_ms(until_ms)}" in limited


@pytest.mark.parametrize("held_ms", [0, 40_000])
async def test_a_job_that_is_being_read_waits_for_nothing(api: Client, held_ms: int) -> None:
    """Though its account may sleep by now."""
    made = await api.register(job_id="1")
    account, key = await account_of(api), read_callback_job(made["id"])
    assert key is not None
    lanes = api.services.store.poll
    await lanes.hold(key[0], account.id, [key], lease_ms=60_000)
    if held_ms:
        await lanes.block(key[0], account.id, for_ms=held_ms)
    assert "The job is being read now." in await next_texts(api, made["id"])


async def test_a_list_of_accounts_asks_the_store_as_often_as_a_single_account(api: Client) -> None:
    """The server reads its connection about as often for forty accounts as for two."""
    accounts, redis = api.services.store.accounts, api.services.store.redis

    async def reads() -> int:
        before = (await redis.info("stats"))["total_reads_processed"]
        status, page = await api.call("GET", "/v1/accounts")
        assert (status, len(page["data"])) == (200, shown)
        return int((await redis.info("stats"))["total_reads_processed"] - before)

    shown = 2
    few = await reads()
    for number in range(38):
        await accounts.create("prj_default", "reelmirror", f"rm_{number:032}", f"account {number}")
    shown = 40
    assert await reads() < few + 20
