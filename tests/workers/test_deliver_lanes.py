"""Deliveries are sent only out of the lane in which they wait; those of version 0.1 get a lane of their own first."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import AsyncMock

import pytest
from msgspec.structs import replace
from redis.exceptions import ConnectionError as LostError

from bridge.domain.deliveries.records import Delivery
from bridge.store import keys
from bridge.store.queue.lanes import Claim
from bridge.store.unit_of_work import UnitOfWork
from tests.api.serving import Client, make_settings, serving, tell
from tests.store.conftest import Server
from workers.handlers.deliver import DeliverHandler

ORIGIN = "http://127.0.0.1:9"


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket)) as client:
        yield client


@pytest.fixture
def handler(api: Client) -> DeliverHandler:
    return DeliverHandler(api.services, suspects_at_most=9)


async def waiting_in(api: Client, lane: str) -> tuple[dict[str, Any], Delivery]:
    """Return a callback and its delivery, which waits in a lane and is due."""
    callback = await api.register(job_id=lane.encode().hex()[-40:], callback_url=f"{ORIGIN}/hook?token=1")
    await api.services.store.redis.delete(keys.hold(callback["id"]))
    _, identifier = await tell(api, callback)
    loaded = await api.services.store.load_delivery(identifier)
    assert loaded is not None
    unit = UnitOfWork(identifier[4], now_ms=api.services.clock_ms(), retention_s=3600)
    moved = replace(loaded.record, lane=lane)
    unit.put_delivery(moved, loaded)
    unit.drop_attempt(loaded.record)
    unit.attempt_at(moved, 0, how="set")
    assert await api.services.store.committer.commit(unit.change()) == "done"
    return callback, moved


async def claim(api: Client, lane: str) -> Claim:
    lanes = [(lane, 9)]
    return await api.services.store.dlv.claim("a", lanes, most=9, page=9, lease_ms=60_000)


@pytest.mark.parametrize("lane", [f"? {ORIGIN}", f"prj_default {ORIGIN}"])
async def test_a_delivery_of_version_0_1_moves_to_its_urls_lane(
    api: Client, handler: DeliverHandler, lane: str
) -> None:
    """In one step, due at once, and it is not sent from where it was."""
    store = api.services.store
    _, before = await waiting_in(api, lane)
    held = await claim(api, lane)
    assert [item.member for item in held.items] == [before.id]
    assert await handler.load("a", held) == ([], [])
    after = await store.load_delivery(before.id)
    assert after is not None
    assert after.record == replace(before, lane=after.record.lane)
    assert after.record.lane.startswith(f"prj_default {ORIGIN} ")
    assert await store.dlv.due_of("a", lane, before.id) is None
    again = await claim(api, after.record.lane)
    (task,), settled = await handler.load("a", again)
    assert (task.delivery.record.id, task.is_suspect, settled) == (before.id, True, [])


async def test_a_delivery_that_moved_after_its_claim_is_not_sent_twice(
    api: Client, handler: DeliverHandler
) -> None:
    """A new URL takes it to another lane, from where it is sent; who held it before leaves it."""
    store = api.services.store
    callback, before = await waiting_in(api, f"prj_default {ORIGIN} 0123456789abcdef")
    held = await claim(api, before.lane)
    status, _ = await api.call(
        "PATCH", f"/v1/callbacks/{callback['id']}", json={"callback_url": f"{ORIGIN}/new"}
    )
    assert status == 200
    tasks, settled = await handler.load("a", held)
    assert tasks == []
    assert await store.dlv.settle("a", settled) == [before.id]
    await handler.take_fenced("a", settled)
    moved = await store.load_delivery(before.id)
    assert moved is not None
    (task,), _ = await handler.load("a", await claim(api, moved.record.lane))
    assert task.delivery.record.id == before.id


async def test_a_lease_that_was_lost_keeps_a_delivery_where_it_is(
    api: Client, handler: DeliverHandler
) -> None:
    """Another worker holds it by now: the late one moves nothing."""
    lane = f"? {ORIGIN}"
    _, before = await waiting_in(api, lane)
    held = await claim(api, lane)
    late = Claim(b"-1.5", held.now_ms, held.items)
    tasks, settled = await handler.load("a", late)
    assert tasks == []
    assert await api.services.store.dlv.settle("a", settled) == [before.id]
    assert await api.services.store.dlv.due_of("a", lane, before.id) is not None


async def test_a_move_that_fails_leaves_no_suspect_counted(
    api: Client, handler: DeliverHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is given back whole: its suspects take no slots from those of later pages."""
    risky = f"prj_default {ORIGIN} 0123456789abcdef"
    for lane in (risky, f"? {ORIGIN}"):
        await waiting_in(api, lane)
    lanes = [(risky, 9), (f"? {ORIGIN}", 9)]
    held = await api.services.store.dlv.claim("a", lanes, most=9, page=9, lease_ms=60_000)
    page = dataclasses.replace(held, risky=frozenset({risky}))
    assert len(page.items) == 2
    with monkeypatch.context() as broken:
        broken.setattr("workers.handlers.deliver.move_to_url_lanes", AsyncMock(side_effect=LostError("away")))
        with pytest.raises(LostError):
            await handler.load("a", page)
    assert await handler.cap_lanes("a", [risky]) == [(risky, 9)]
    (task,), _ = await handler.load("a", page)
    assert task.is_suspect
    assert await handler.cap_lanes("a", [risky]) == [(risky, 8)]
    handler.leave(task)
    assert await handler.cap_lanes("a", [risky]) == [(risky, 9)]


async def test_suspects_that_found_no_room_are_taken_up_when_one_has_left(api: Client) -> None:
    """They need not wait until their lane is due again: attempts that are answered at once make room at once."""
    store, few = api.services.store, DeliverHandler(api.services, suspects_at_most=1)
    urls = [f"prj_default {ORIGIN} {number:016x}" for number in range(3)]
    for url in urls:
        await waiting_in(api, url)
    capped = await few.cap_lanes("a", urls)
    held = await store.dlv.claim("a", capped, most=9, page=9, lease_ms=60_000)
    assert [item.lane for item in held.items] == urls[:1]
    assert held.put_off == (urls[1], urls[2])
    (task,), _ = await few.load("a", held)
    assert few.take_up() == [], "no room"
    assert few.leave(task)
    assert few.take_up() == [("a", urls[1])]
    again = await store.dlv.claim("a", await few.cap_lanes("a", urls[1:2]), most=9, page=9, lease_ms=60_000)
    (task,), _ = await few.load("a", again)
    assert task.delivery.record.lane == urls[1]
    assert few.leave(task)
    assert (few.take_up(), few.take_up()) == ([("a", urls[2])], [])
