"""Deliveries in trouble are listed in the step that changes their records, and counted by their receivers."""

import random
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.domain.deliveries.attempts import move_to
from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Delivery, DeliveryState, find_trouble, new_delivery
from bridge.domain.ids import event_id, job_key
from bridge.domain.jobs.records import Job, JobState
from bridge.store import keys
from bridge.store.queue.lanes import Settled
from bridge.store.queue.settling import settle_attempt
from bridge.store.records import Loaded, Wanted, pack
from bridge.store.store import Store
from bridge.store.trouble import trouble_keys
from bridge.store.unit_of_work import UnitOfWork

PROJECT = "prj_1"
ORIGINS = [f"https://{name}.example:443" for name in "xyz"]
JOB = job_key("a", "acc_1", "sync_job", "1")
WATCHED = Job(
    project=PROJECT,
    account="acc_1",
    kind="sync_job",
    id="1",
    born_ms=1,
    state=JobState.WATCHING,
    run=1,
    run_ms=1,
    clock_ms=1,
)


def make(number: int, origin: str = ORIGINS[0]) -> Delivery:
    event = event_id(project=PROJECT, key=JOB, born_ms=number, run=1, fact="completed")
    lane = f"{PROJECT} {origin} {number % 2:016x}"
    return new_delivery(
        event=event, job=JOB, subscription="cb_1", project=PROJECT, lane=lane, now_ms=1000 + number
    )


def begin(store: Store) -> UnitOfWork:
    return UnitOfWork("a", now_ms=5, retention_s=1)


async def commit(store: Store, unit: UnitOfWork) -> None:
    assert await store.committer.commit(unit.change()) == "done"


async def load(store: Store, identifier: str) -> Loaded[Delivery]:
    return (await store.load_many(Wanted(deliveries=[identifier]))).deliveries[identifier]


async def attempt(store: Store, before: Delivery, **changes: Any) -> list[Settled]:
    """Claim a delivery and settle it changed, as the pump does."""
    claim = await store.dlv.claim("a", [(before.lane, 9)], most=9, page=9, lease_ms=60_000)
    settled = []
    for item in claim.items:
        loaded = await load(store, item.member)
        after = replace(loaded.record, tries=loaded.record.tries + 1, **changes)
        ends = after.state is not DeliveryState.PENDING
        settled.append(settle_attempt(after, loaded.record, claim.token, None if ends else 0))
    await store.dlv.settle("a", settled)
    return settled


async def look(store: Store) -> tuple[dict[str, int], dict[str, int]]:
    return await store.troubles.count(PROJECT), dict(await store.troubles.receivers(PROJECT, most=9))


async def test_a_delivery_is_listed_from_its_first_failure_until_it_is_received(store: Store) -> None:
    """Failing, then parked, sent again, received; its receiver counts it once throughout."""
    one = make(1)
    unit = begin(store)
    unit.add_delivery(one, 0)
    await commit(store, unit)
    assert await look(store) == ({"parked": 0, "failing": 0}, {})
    await attempt(store, one)
    assert await look(store) == ({"parked": 0, "failing": 1}, {ORIGINS[0]: 1})
    await attempt(store, one, state=DeliveryState.PARKED)
    assert await look(store) == ({"parked": 1, "failing": 0}, {ORIGINS[0]: 1})
    assert await store.troubles.count(PROJECT, since_ms=1001) == {"parked": 1, "failing": 0}
    assert await store.troubles.count(PROJECT, since_ms=1002) == {"parked": 0, "failing": 0}
    loaded = await load(store, one.id)
    again = begin(store)
    moved = move_to(replace(loaded.record, state=DeliveryState.PENDING), make(1, ORIGINS[1]).lane)
    again.put_delivery(moved, loaded)
    again.attempt_at(moved, 0, how="sooner")
    await commit(store, again)
    assert await look(store) == ({"parked": 0, "failing": 1}, {ORIGINS[1]: 1})
    await attempt(store, moved, state=DeliveryState.SUCCEEDED)
    assert await look(store) == ({"parked": 0, "failing": 0}, {})


async def test_who_has_lost_the_lease_lists_nothing(store: Store) -> None:
    one = make(1)
    unit = begin(store)
    unit.add_delivery(one, 0)
    await commit(store, unit)
    claim = await store.dlv.claim("a", [(one.lane, 9)], most=9, page=9, lease_ms=60_000)
    failed = replace(one, tries=1)
    late = settle_attempt(failed, one, claim.token, 0)
    assert await store.dlv.settle("a", [late]) == []
    assert await store.dlv.settle("a", [late]) == [one.id]
    assert (await look(store))[1] == {ORIGINS[0]: 1}
    await store.redis.delete(keys.delivery(one.id))  # its retention has ended while it was in flight
    claim = await store.dlv.claim("a", [(one.lane, 9)], most=9, page=9, lease_ms=60_000)
    gone = settle_attempt(replace(failed, state=DeliveryState.PARKED), failed, claim.token, None)
    assert await store.dlv.settle("a", [gone]) == []
    assert (await look(store))[0]["parked"] == 0


@pytest.mark.parametrize("seed", range(3))
async def test_the_lists_say_what_the_records_say(store: Store, seed: int) -> None:
    """After any walk through the states, with moves and removals."""
    dice = random.Random(seed)
    known: dict[str, Delivery] = {}
    for number in range(120):
        unit = begin(store)
        if len(known) < 5 or dice.random() < 0.3:
            new = make(number, dice.choice(ORIGINS))
            new = replace(new, state=dice.choice([DeliveryState.PENDING, DeliveryState.PARKED]))
            unit.add_delivery(new, 0)
            known[new.id] = new
            await commit(store, unit)
            continue
        loaded = await load(store, dice.choice(sorted(known)))
        if dice.random() < 0.2:
            await store.redis.set(keys.job(JOB), pack(WATCHED))
            unit.remove_parts(JOB, Loaded(WATCHED, pack(WATCHED)), deliveries=[loaded], events=[])
            del known[loaded.record.id]
        else:
            origin = dice.choice(ORIGINS)
            after = replace(
                loaded.record,
                state=dice.choice([each for each in DeliveryState if each is not DeliveryState.IN_FLIGHT]),
                tries=dice.choice([0, 1, 2]),
                lane=f"{PROJECT} {origin} {0:016x}",
            )
            unit.put_delivery(after, loaded)
            known[after.id] = after
        await commit(store, unit)
    troubles = Counter(find_trouble(each) for each in known.values())
    origins = Counter(read_origin(each.lane) for each in known.values() if find_trouble(each))
    wanted = {"parked": troubles["parked"], "failing": troubles["failing"]}
    assert await look(store) == (wanted, dict(origins))
    places = await store.indexes.deliveries_in_trouble(PROJECT, ["parked", "failing"])
    assert {each.id for each in places} == {each.id for each in known.values() if find_trouble(each)}


async def test_the_sweep_lists_what_is_not_and_takes_off_what_must_not_be(store: Store) -> None:
    """As after an upgrade from a version without the lists."""
    unit = begin(store)
    parked = replace(make(1), state=DeliveryState.PARKED)
    unit.add_delivery(parked, 0)
    unit.add_delivery(make(2), 0)
    await commit(store, unit)
    await store.redis.delete(trouble_keys.parked("a", PROJECT), trouble_keys.receivers("a", PROJECT))
    await store.redis.zadd(trouble_keys.failing("a", PROJECT), {make(2).id: 7})
    loaded = [await load(store, parked.id), await load(store, make(2).id)]
    assert await store.troubles.list_anew("a", loaded) == 2
    assert await store.troubles.list_anew("a", loaded) == 0
    assert (await look(store))[0] == {"parked": 1, "failing": 0}


async def test_a_new_store_is_whole_and_an_old_one_is_not(store: Store) -> None:
    assert await store.troubles.is_whole()
    await store.redis.delete(trouble_keys.indexed("b"))
    old = await Store.open(store.redis, keys=[b"k" * 32], shards=3, aof=False)
    assert not await old.troubles.is_whole()
    await old.troubles.note_whole("b")
    assert await old.troubles.is_whole()


async def test_a_full_store_is_listed_too(real: Redis) -> None:
    """Tidying is what frees its memory, and would stop at a list that it cannot write."""
    store = await Store.open(real, keys=[b"k" * 32], aof=False)
    unit = begin(store)
    unit.add_delivery(make(1), 0)
    await commit(store, unit)
    loaded = await load(store, make(1).id)
    parked = replace(loaded.record, state=DeliveryState.PARKED)
    await real.set(keys.delivery(parked.id), pack(parked))
    await real.delete(trouble_keys.indexed("a"))
    await real.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError):
            await real.set("x", "y")
        assert await store.troubles.list_anew("a", [Loaded(parked, pack(parked))]) == 1
        await store.troubles.note_whole("a")
        assert await store.troubles.is_whole()
    finally:
        await real.config_set("maxmemory", "0")
