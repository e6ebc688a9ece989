"""A guarded start: who may send it, what a repetition gets, and what is written with its answer."""

import asyncio

import pytest

from bridge.domain.ids import read_callback_job
from bridge.domain.starts.looks import OWNER_SILENT_MS
from bridge.domain.starts.records import KEPT_MS, StartedJob, StartState
from bridge.domain.starts.repeats import Repeat
from bridge.errors import RateLimited
from bridge.services.quota import quota_bytes
from bridge.services.starts import guard
from bridge.services.starts.guard import Known, Ticket
from bridge.services.starts.sealing import StartAnswer, open_answer
from bridge.store import keys, start_keys
from tests.services.starts.conftest import URL, Desk

ANSWER = StartAnswer(202, ((b"Content-Type", b"application/json"), (b"Set-Cookie", b"a=1")), b'{"id":"g1"}')
POST = StartedJob("generated_post", "g1", "n1")


async def begin(desk: Desk, key: str | None = "order-1", **fields: str | bytes | None) -> Ticket:
    begun = await desk.begin(desk.intent(key, **fields))  # type: ignore[arg-type]
    assert isinstance(begun, Ticket)
    return begun


async def repeat(desk: Desk, key: str = "order-1", body: bytes = b"{}") -> Known:
    known = await desk.begin(desk.intent(key, body=body))
    assert isinstance(known, Known)
    return known


async def test_one_of_many_concurrent_calls_with_a_key_may_send(desk: Desk) -> None:
    """All others learn that it is under way."""
    begun = await asyncio.gather(*(desk.begin(desk.intent()) for _ in range(50)))
    assert [isinstance(each, Ticket) for each in begun].count(True) == 1
    assert {each.repeat for each in begun if isinstance(each, Known)} == {Repeat.RUNNING}


async def test_a_finished_start_is_answered_from_the_store_for_a_day(desk: Desk) -> None:
    """Its answer is kept without cookies, and is sealed."""
    ticket = await begin(desk)
    finished = await guard.finish(desk.services, ticket, ANSWER, [POST])
    known = await repeat(desk)
    assert known.repeat is Repeat.REPLAY
    assert known.start.registered == finished.registered
    sealed = known.start.answer
    assert sealed is not None
    assert b"g1" not in sealed
    kept = open_answer(desk.services.store.vault, known.place, sealed)
    assert kept == StartAnswer(202, ((b"Content-Type", b"application/json"),), b'{"id":"g1"}')
    left_ms = await desk.services.store.redis.pttl(start_keys.start(known.place))
    assert KEPT_MS - 60_000 < left_ms <= KEPT_MS
    assert await desk.open_places() == []


async def test_the_jobs_of_an_answer_are_registered_with_it(desk: Desk) -> None:
    """Each has a callback of the call's URL, polls of its own, and a hold until the answer is out."""
    finished = await guard.finish(
        desk.services, await begin(desk), ANSWER, [POST, StartedJob("generated_post", "g2", "n1")]
    )
    assert len(finished.registered) == 2
    for number, identifier in enumerate(finished.registered, start=1):
        key = read_callback_job(identifier)
        assert key is not None
        loaded = await desk.services.store.load_job(key)
        assert loaded is not None
        assert (loaded.record.id, loaded.record.persona) == (f"g{number}", "n1")
        assert await desk.services.store.poll.due_of(key[0], desk.account.id, key) is not None
        assert await desk.services.store.redis.exists(keys.hold(identifier))


async def test_a_callback_url_is_nowhere_in_clear(desk: Desk) -> None:
    """Neither while the start is under way nor afterwards."""
    ticket = await begin(desk)
    for _ in range(2):
        raw = await desk.services.store.redis.get(start_keys.start(ticket.place))
        assert URL.encode() not in raw
        await guard.finish(desk.services, ticket, ANSWER, [POST])


async def test_a_start_without_a_key_leaves_no_record(desk: Desk) -> None:
    """Nobody can repeat it; its callback is registered all the same."""
    ticket = await begin(desk, None)
    assert await desk.open_places() == [ticket.place]
    finished = await guard.finish(desk.services, ticket, ANSWER, [POST])
    assert len(finished.registered) == 1
    assert await desk.start(ticket.place) is None
    assert await desk.open_places() == []
    assert await desk.begin(desk.intent(None)) != ticket


@pytest.mark.parametrize("ended", [False, True])
async def test_another_request_under_a_key_is_told_from_a_repetition(desk: Desk, *, ended: bool) -> None:
    """Whether or not the first one has been answered."""
    ticket = await begin(desk)
    if ended:
        await guard.finish(desk.services, ticket, ANSWER, [POST])
    assert (await repeat(desk, body=b'{"a":1}')).repeat is Repeat.OTHER


async def test_a_released_start_may_be_sent_again(desk: Desk) -> None:
    """With a corrected body too, since nothing was begun."""
    ticket = await begin(desk)
    assert await guard.release(desk.services, ticket)
    assert not await guard.release(desk.services, ticket)
    again = await begin(desk, body=b'{"fixed":1}')
    assert not await guard.release(desk.services, ticket), "it is another call's now"
    assert await desk.start(again.place) is not None


async def test_a_start_whose_process_is_silent_falls_into_doubt_and_may_still_be_answered(desk: Desk) -> None:
    """A heartbeat keeps it running; a late answer of the first request ends the doubt, another's token does not."""
    ticket = await begin(desk)
    known = await repeat(desk)
    fingerprint, beats = known.start.fingerprint, desk.services.store.api_heartbeats
    desk.ahead_ms[0] = OWNER_SILENT_MS * 2
    await beats.beat(desk.services.process, desk.services.clock_ms())
    seen = await guard.look_up(desk.services, ticket.place, fingerprint)
    assert seen is not None
    assert seen.repeat is Repeat.RUNNING
    desk.ahead_ms[0] = OWNER_SILENT_MS * 4
    seen = await guard.look_up(desk.services, ticket.place, fingerprint)
    assert seen is not None
    assert seen.repeat is Repeat.DOUBT
    stranger = Ticket(ticket.place, b"other")
    assert not (await guard.finish(desk.services, stranger, ANSWER, [POST])).registered
    assert not await guard.release(desk.services, stranger)
    assert len((await guard.finish(desk.services, ticket, ANSWER, [POST])).registered) == 1
    assert (await repeat(desk)).repeat is Repeat.REPLAY


async def test_an_answer_that_is_too_large_is_not_kept(desk: Desk) -> None:
    """A repetition learns which jobs were started, and nothing is sent."""
    large = StartAnswer(202, (), b" " * (guard.ANSWER_BYTES + 1))
    await guard.finish(desk.services, await begin(desk), large, [POST])
    known = await repeat(desk)
    assert known.repeat is Repeat.CONSUMED
    assert known.start.jobs == (POST,)


async def test_a_registration_that_is_refused_keeps_the_answer_and_stays_pending(desk: Desk) -> None:
    """The answer went out already, so that a full job must not lose it."""
    job = StartedJob("generated_post", "g1", "n1", retried=tuple((f"a{n}", f"b{n}") for n in range(2)))
    for number in range(101):
        await guard.finish(
            desk.services, await begin(desk, None, url=f"https://hooks.example.com/{number}"), ANSWER, [POST]
        )
    finished = await guard.finish(desk.services, await begin(desk), ANSWER, [job])
    assert finished.pending
    assert finished.reason == "rate_limited"
    assert (await repeat(desk)).repeat is Repeat.REPLAY
    assert await desk.open_places()


async def test_an_answer_without_an_id_stays_open(desk: Desk) -> None:
    """Its job is looked for."""
    ticket = await begin(desk)
    finished = await guard.finish(desk.services, ticket, ANSWER, [], late=True)
    assert finished.pending
    assert await desk.open_places() == [ticket.place]


async def test_a_project_may_have_so_many_starts(desk: Desk) -> None:
    """Those that have expired do not count; more are refused before anything is sent."""
    index = start_keys.starts(desk.services.store.shard_of(desk.account.id), desk.account.project)
    later_ms = desk.services.clock_ms() + 60_000
    many = {f"x{number}": later_ms for number in range(guard.STARTS_PER_PROJECT - 1)}
    await desk.services.store.redis.zadd(index, {"old": 1, **many})
    await begin(desk)
    with pytest.raises(RateLimited):
        await desk.begin(desk.intent("order-2"))
    assert (await repeat(desk)).repeat is Repeat.RUNNING


async def test_states_only_change_as_drawn(desk: Desk) -> None:
    """An answered start is neither doubted nor answered again."""
    ticket = await begin(desk)
    assert await guard.doubt(desk.services, ticket)
    await guard.finish(desk.services, ticket, ANSWER, [POST])
    assert not await guard.doubt(desk.services, ticket)
    other = StartAnswer(500, (), b"")
    await guard.finish(desk.services, ticket, other, [])
    start = await desk.start(ticket.place)
    assert start is not None
    assert (start.state, start.jobs) == (StartState.ANSWERED, (POST,))


async def test_kept_answers_count_towards_what_a_project_may_hold(desk: Desk) -> None:
    """So that large answers of one project do not fill the store for all: more is refused before anything is sent."""
    quota, large, number = quota_bytes(desk.services), StartAnswer(202, (), b"x" * guard.ANSWER_BYTES), 0
    while number * guard.ANSWER_BYTES < quota:
        number += 1
        await guard.finish(desk.services, await begin(desk, f"order-{number}", url=None), large, [])
    assert number > 10
    with pytest.raises(RateLimited):
        await begin(desk, "order-0")
    assert (await repeat(desk, "order-1")).repeat is Repeat.REPLAY
