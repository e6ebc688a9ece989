"""What becomes of a start whose answer was lost: found and replayed, or left in doubt with what may be it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.container import open_services
from bridge.domain.ids import job_key, read_callback_job
from bridge.domain.polling.rate_limit import Purpose
from bridge.domain.starts.looks import DOUBT_LOOKS_S, OWNER_SILENT_MS
from bridge.domain.starts.records import StartedJob, StartState
from bridge.providers.registry import KINDS
from bridge.services.accounts.account_reads import AccountReads
from bridge.services.starts import guard, recovery
from bridge.services.starts.guard import Ticket
from bridge.services.starts.sealing import StartAnswer, open_answer, reseal_starts
from bridge.store import keys
from bridge.store.vault import sealing_key
from tests.api.serving import MASTER_KEY, make_settings
from tests.services.polling.upstreams import LIST
from tests.services.starts.conftest import Desk, let_a_worker_look, read_start
from tests.store.conftest import Server

NEW_KEY = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU="
SOURCES = "/v1/personas/n1/sources"
ANSWER = StartAnswer(202, (), b"{}")


def row(desk: Desk, identifier: str, *, source: str | None = "s1", age_ms: int = 0) -> dict[str, Any]:
    """Return a post as the list shows it."""
    made = datetime.fromtimestamp((desk.services.clock_ms() - age_ms) / 1000, UTC).isoformat()
    shown = {"id": identifier, "status": "pending", "media_items": [], "created_at": made}
    return shown | ({} if source is None else {"source_post_id": source})


def list_posts(desk: Desk, *rows: dict[str, Any]) -> None:
    """Let the persona's list show these posts from now on."""
    desk.upstream.answers.pop(LIST, None)
    desk.upstream.lay(LIST, {"data": list(rows), "count": len(rows)})


async def begin(desk: Desk, key: str | None = "order-1", **fields: Any) -> Ticket:
    begun = await desk.begin(desk.intent(key, **fields))
    assert isinstance(begun, Ticket)
    return begun


async def lose(desk: Desk, key: str | None = "order-1", **fields: Any) -> Ticket:
    """Begin a start whose answer does not come."""
    ticket = await begin(desk, key, **fields)
    await guard.doubt(desk.services, ticket)
    return ticket


async def test_the_one_post_of_that_moment_is_replayed_and_registered(desk: Desk) -> None:
    """The answer is the documented one, with the post's id, and its callback is there."""
    ticket = await lose(desk)
    list_posts(desk, row(desk, "g1"), row(desk, "g0", age_ms=600_000), row(desk, "g2", source="s2"))
    await let_a_worker_look(desk)
    start = await read_start(desk, ticket)
    assert (start.state, start.jobs) == (StartState.REBUILT, (StartedJob("generated_post", "g1", "n1"),))
    assert start.answer is not None
    rebuilt = open_answer(desk.services.store.vault, ticket.place, start.answer)
    assert (rebuilt.status, rebuilt.body) == (202, b'{"status": "started", "generated_post_id": "g1"}')
    (callback,) = start.registered
    key = read_callback_job(callback)
    assert key is not None
    assert await desk.services.store.load_job(key) is not None
    assert await desk.open_places() == []


async def test_the_owner_that_is_gone_is_noticed_and_its_start_found(desk: Desk) -> None:
    """While it sends heartbeats nothing is looked for."""
    ticket = await begin(desk)
    list_posts(desk, row(desk, "g1"))
    desk.ahead_ms[0] = OWNER_SILENT_MS * 2
    await desk.services.store.api_heartbeats.beat(desk.services.process, desk.services.clock_ms())
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is StartState.INTENT
    await let_a_worker_look(desk, after_s=OWNER_SILENT_MS / 1000)
    assert (await read_start(desk, ticket)).state is StartState.DOUBT
    assert desk.upstream.asked == []
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is StartState.REBUILT


async def test_what_cannot_be_told_apart_stays_in_doubt_and_is_named(desk: Desk) -> None:
    """Nothing is registered, and looks go on."""
    ticket = await lose(desk)
    list_posts(desk, row(desk, "g1"), row(desk, "g2"))
    await let_a_worker_look(desk)
    start = await read_start(desk, ticket)
    assert (start.state, start.found, start.registered) == (StartState.DOUBT, ("g1", "g2"), ())
    assert await desk.open_places() == [ticket.place]


async def test_two_lost_starts_of_a_persona_leave_each_other_in_doubt(desk: Desk) -> None:
    """A post may be either's, until one of them is known."""
    first, second = await lose(desk), await lose(desk, "order-2")
    list_posts(desk, row(desk, "g1"))
    await let_a_worker_look(desk)
    for ticket in (first, second):
        start = await read_start(desk, ticket)
        assert (start.state, start.found) == (StartState.DOUBT, ("g1",))
    await guard.finish(desk.services, second, ANSWER, [StartedJob("generated_post", "g1", "n1")])
    list_posts(desk, row(desk, "g1"), row(desk, "g2", age_ms=3_000))
    await let_a_worker_look(desk, after_s=10)
    assert (await read_start(desk, first)).jobs == (StartedJob("generated_post", "g2", "n1"),)


async def test_a_post_that_was_watched_before_is_not_the_new_one(desk: Desk) -> None:
    """Even if its row is dated as if it were."""
    earlier = await begin(desk, None)
    await guard.finish(desk.services, earlier, ANSWER, [StartedJob("generated_post", "g1", "n1")])
    ticket = await lose(desk)
    list_posts(desk, row(desk, "g1"))
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).found == ()


@pytest.mark.parametrize(
    ("sources", "state"),
    [
        ([{"id": "x", "automation_mode": "sync_only"}], StartState.REBUILT),
        ([{"id": "x", "automation_mode": "auto_clone"}], StartState.DOUBT),
        (None, StartState.DOUBT),
    ],
)
async def test_a_row_without_its_source_counts_where_nothing_is_made_by_itself(
    desk: Desk, sources: list[dict[str, str]] | None, state: StartState
) -> None:
    """That is read from the persona's sources."""
    if sources is not None:
        desk.upstream.lay(SOURCES, {"data": sources, "count": len(sources)})
    ticket = await lose(desk)
    list_posts(desk, row(desk, "g1", source=None))
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is state


async def test_looks_are_made_at_growing_intervals_and_end(desk: Desk) -> None:
    """Whatever is missing then is only looked for when the call is repeated."""
    ticket = await lose(desk)
    list_posts(desk)
    begun_ms, seen = desk.ahead_ms[0], list[int]()
    while await desk.open_places():
        await let_a_worker_look(desk, after_s=5)
        seen += [(desk.ahead_ms[0] - begun_ms) // 1000] * (len(desk.upstream.asked) - len(seen))
    assert [late_s - due_s < 10 for late_s, due_s in zip(seen, DOUBT_LOOKS_S, strict=True)] == [True] * 7
    desk.ahead_ms[0] += 5_000
    for _ in range(3):
        await recovery.look_again(desk.services, ticket.place)
    assert len(desk.upstream.asked) == len(DOUBT_LOOKS_S) + 1
    assert (await read_start(desk, ticket)).state is StartState.DOUBT


async def test_many_lost_starts_of_a_persona_share_one_read(desk: Desk) -> None:
    """A crash may leave hundreds, and each has a post of its own in the same list."""
    tickets = [await lose(desk, f"order-{n}", source=f"s{n}") for n in range(20)]
    list_posts(desk, *(row(desk, f"g{n}", source=f"s{n}") for n in range(20)))
    await let_a_worker_look(desk)
    assert [(await read_start(desk, each)).jobs[0].id for each in tickets] == [f"g{n}" for n in range(20)]
    assert desk.upstream.asked == [LIST]


@pytest.mark.parametrize("refused", ["budget", "limit", "outage"])
async def test_a_look_that_cannot_be_made_is_made_later(desk: Desk, refused: str) -> None:
    """It is none of those that are made at growing intervals, however often it is tried."""
    ticket, store = await lose(desk), desk.services.store
    bucket = (await AccountReads.open(desk.services, desk.account, KINDS["generated_post"])).bucket
    assert bucket.limit.name == KINDS["generated_post"].limit, "it is the one that polls count under"
    match refused:
        case "budget":
            await store.budgets.spend(bucket.account, bucket.limit, [Purpose.SINGLE] * 100)
        case "limit":
            desk.upstream.lay(LIST, {"error": {"code": "RATE_LIMITED"}}, status=429, retry_after="20")
        case "outage":
            desk.upstream.lay(LIST, {"error": {"code": "UPSTREAM_ERROR"}}, status=502)
    for _ in range(2 * len(DOUBT_LOOKS_S)):
        await let_a_worker_look(desk)
        await recovery.look_again(desk.services, ticket.place)
    start = await read_start(desk, ticket)
    assert (start.state, start.looks) == (StartState.DOUBT, 0)
    assert len(desk.upstream.asked) <= {"budget": 0, "limit": 1, "outage": 12}[refused]
    budget = (ticket.place[0], bucket.account, bucket.limit.name)
    await store.redis.delete(*(key(*budget) for key in (keys.budget, keys.budget_sent, keys.budget_open)))
    ahead_ms = desk.ahead_ms[0] + 90_000  # the provider's Date does not move
    list_posts(desk, row(desk, "g1", age_ms=desk.ahead_ms[0] + ahead_ms))
    await let_a_worker_look(desk, after_s=90)
    assert (await read_start(desk, ticket)).state is StartState.REBUILT


async def test_a_lost_start_that_nobody_can_repeat_is_forgotten_after_the_last_look(desk: Desk) -> None:
    """Without an Idempotency-Key it is only looked for, for its callback's sake."""
    ticket = await lose(desk, None)
    list_posts(desk)
    for _ in DOUBT_LOOKS_S:
        await let_a_worker_look(desk, after_s=3_600)
    assert await desk.start(ticket.place) is None
    assert await desk.open_places() == []


@pytest.mark.parametrize("key", [None, "order-1"])
@pytest.mark.parametrize(
    ("rule", "subject", "kind", "expect"),
    [
        ("generate", "", "generated_post", "any"),
        ("sync", "", "sync_job", "any"),
        ("approve", "g1", "outgoing_post", "any"),
        ("publish", "o1", "outgoing_post", "any"),
        ("regenerate_post", "g1", "generated_post", "new_run"),
    ],
)
async def test_the_callback_of_a_start_that_is_not_found_hears_so(
    desk: Desk, key: str | None, rule: str, subject: str, kind: str, expect: str
) -> None:
    """After the last look it waits for what the start is about, or for a job that does not exist and ends `not_found`."""
    ticket = await lose(desk, key, rule=rule, subject=subject)
    list_posts(desk)
    for _ in DOUBT_LOOKS_S:
        await let_a_worker_look(desk, after_s=3_600)
    assert await desk.open_places() == []
    start = await desk.start(ticket.place)
    assert (start is not None) == (key is not None)
    assert start is None or (start.state, len(start.registered)) == (StartState.DOUBT, 1)
    pages = [page async for page in desk.services.store.scan.jobs(ticket.place[0], count=10)]
    ((job_place,),) = pages
    loaded = await desk.services.store.load_job(job_place)
    assert loaded is not None
    (callback,) = loaded.record.callbacks
    is_subject = loaded.record.id == subject
    assert (loaded.record.kind, callback.expect) == (kind, expect)
    assert is_subject == (rule in ("publish", "regenerate_post"))


async def test_a_start_without_traces_is_left_in_doubt_without_a_request(desk: Desk) -> None:
    """A sync leaves nothing that could be told from another's."""
    ticket = await lose(desk, rule="sync")
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is StartState.DOUBT
    assert desk.upstream.asked == []


async def test_the_job_of_an_answer_without_an_id_is_found_when_it_appears(desk: Desk) -> None:
    """The kept answer stays as the provider gave it."""
    ticket = await begin(desk, rule="clone_url")
    await guard.finish(desk.services, ticket, ANSWER, [], late=True)
    list_posts(desk)
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).pending
    list_posts(desk, row(desk, "g1", source="clone:x"))
    await let_a_worker_look(desk, after_s=5)
    start = await read_start(desk, ticket)
    assert (start.state, start.pending) == (StartState.ANSWERED, False)
    assert (len(start.jobs), len(start.registered)) == (1, 1)
    await until_released(desk, start.registered[0])


async def until_released(desk: Desk, callback_id: str) -> None:
    """Wait until a first delivery is held for a second at most: no answer is still to be sent."""
    async with asyncio.timeout(5):
        while await desk.services.store.redis.pttl(keys.hold(callback_id)) > 1_000:  # noqa: ASYNC110 -- Redis tells nobody
            await asyncio.sleep(0.01)


async def test_the_callback_of_a_job_that_never_appears_will_hear_so(desk: Desk) -> None:
    """After ten minutes a job that does not exist is watched in its place, whose reads end it as not found."""
    ticket = await begin(desk, None, rule="clone_url")
    await guard.finish(desk.services, ticket, ANSWER, [], late=True)
    list_posts(desk)
    for _ in range(12):
        await let_a_worker_look(desk, after_s=60)
    assert await desk.start(ticket.place) is None
    identifier = f"{ticket.place[1:9]}-{ticket.place[9:13]}"
    jobs = [page async for page in desk.services.store.scan.jobs(ticket.place[0], count=10)]
    ((key,),) = jobs
    loaded = await desk.services.store.load_job(key)
    assert loaded is not None
    assert loaded.record.id.startswith(identifier)
    assert key == job_key(key[0], desk.account.id, "generated_post", loaded.record.id)


async def test_a_refused_registration_is_tried_again(desk: Desk) -> None:
    """It succeeds once there is room."""
    post = StartedJob("generated_post", "g1", "n1")
    for n in range(101):
        await guard.finish(
            desk.services, await begin(desk, None, url=f"https://h.example.com/{n}"), ANSWER, [post]
        )
    ticket = await begin(desk)
    assert (await guard.finish(desk.services, ticket, ANSWER, [post])).pending
    await let_a_worker_look(desk, after_s=61)
    assert (await read_start(desk, ticket)).pending
    (key,) = [
        each async for page in desk.services.store.scan.jobs(ticket.place[0], count=10) for each in page
    ]
    await desk.services.store.redis.delete(keys.job(key))
    await let_a_worker_look(desk, after_s=61)
    start = await read_start(desk, ticket)
    assert (start.pending, len(start.registered)) == (False, 1)
    await until_released(desk, start.registered[0])


async def test_everything_is_sealed_anew_when_the_master_key_changes(desk: Desk, server: Server) -> None:
    """Of open and answered starts alike; the old key is then needed no more."""
    await begin(desk)
    answered = await begin(desk, "order-2")
    await guard.finish(desk.services, answered, ANSWER, [StartedJob("generated_post", "g1")])
    both = make_settings(server.socket, master_keys=f"{NEW_KEY},{MASTER_KEY}")
    async with open_services(both) as services:
        sealed = await reseal_starts(services)
    assert len(sealed) == 3
    assert {sealing_key(each) for each in sealed} == {services.store.vault.key_ids[0]}
    start = await read_start(desk, answered)
    assert start.answer is not None
    assert open_answer(services.store.vault, answered.place, start.answer) == ANSWER


@pytest.mark.parametrize("charged", [True, False])
async def test_a_row_without_a_time_has_that_of_its_charge(desk: Desk, *, charged: bool) -> None:
    """Without one it may be of any time."""
    ticket = await lose(desk)
    dated = row(desk, "g1")
    list_posts(desk, {name: value for name, value in dated.items() if name != "created_at"})
    debit = {"id": "t1", "amount_cents": -10, "created_at": dated["created_at"], "generated_post_id": "g1"}
    charges = [debit] if charged else []
    desk.upstream.lay("/v1/billing/transactions", {"data": charges, "count": len(charges)})
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is (StartState.REBUILT if charged else StartState.DOUBT)
