"""An account's troubles are noted once, confirmed by a second look, and forgotten when it reads again."""

import asyncio

import pytest

from bridge.store.store import Store
from bridge.store.tables.account_health import AccountHealth

ACC = "acc_1"


async def test_an_unknown_account_is_well(store: Store) -> None:
    """Nothing is noted, nothing need be cleared."""
    assert await store.health.load(ACC) == AccountHealth()
    assert (await store.health.load(ACC)).well
    assert not await store.health.note_ok(ACC)


async def test_a_refusal_is_suspected_first_and_confirmed_by_a_later_read(store: Store) -> None:
    """The confirmed outage keeps its first time and note, however many reads are refused after it."""
    assert await store.health.note_refused(ACC, 1000) == "suspect"
    assert (await store.health.load(ACC)).suspect_ms == 1000
    assert await store.health.note_refused(ACC, 2000, note="key revoked") == "confirmed"
    assert await store.health.note_refused(ACC, 3000, note="other") == "confirmed"
    health = await store.health.load(ACC)
    assert (health.outage_ms, health.outage_note) == (2000, "key revoked")
    assert not health.well


@pytest.mark.parametrize(
    ("now_ms", "begun_ms"),
    [
        (1000, None),  # the same command, cut off and sent again
        (1500, 900),  # was in flight together with the first
        (1500, 1000),  # began in the very millisecond of the first refusal
    ],
)
async def test_what_began_before_the_first_refusal_confirms_nothing(
    store: Store, now_ms: int, begun_ms: int | None
) -> None:
    """Two reads that were refused together are one sign."""
    await store.health.note_refused(ACC, 1000)
    assert await store.health.note_refused(ACC, now_ms, begun_ms=begun_ms) == "suspect"


async def test_a_forbidden_kind_leaves_the_others_alone(store: Store) -> None:
    """403 is counted by kind, apart from the account's own refusal."""
    assert await store.health.note_forbidden(ACC, "sync_job", 1000) == "suspect"
    assert await store.health.note_forbidden(ACC, "outgoing_post", 1500) == "suspect"
    assert await store.health.note_forbidden(ACC, "sync_job", 2000) == "confirmed"
    health = await store.health.load(ACC)
    assert health.forbidden == {"sync_job": 2000}
    assert health.suspect_kinds == {"sync_job": 1000, "outgoing_post": 1500}
    assert not health.outage_ms
    assert await store.health.note_ok(ACC, "sync_job")
    assert (await store.health.load(ACC)).suspect_kinds == {"outgoing_post": 1500}


async def test_a_good_answer_ends_an_outage_once(store: Store) -> None:
    """The one who ends it hears so; a mere suspicion is no outage."""
    await store.health.note_refused(ACC, 1000)
    assert not await store.health.note_ok(ACC)
    await store.health.note_refused(ACC, 1000)
    await store.health.note_refused(ACC, 2000)
    ended = await asyncio.gather(*(store.health.note_ok(ACC) for _ in range(5)))
    assert sorted(ended) == [False] * 4 + [True]
    assert (await store.health.load(ACC)).well


async def test_one_probe_an_interval(store: Store) -> None:
    """Of many who ask at once one may try."""
    asked = (store.health.take_probe(ACC, 60_000, every_ms=60_000) for _ in range(5))
    assert sum(await asyncio.gather(*asked)) == 1
    assert not await store.health.take_probe(ACC, 119_999, every_ms=60_000)
    assert await store.health.take_probe(ACC, 120_000, every_ms=60_000)


async def test_vanished_jobs_are_counted_once_each_within_the_window(store: Store) -> None:
    """The same job twice is one; what is older than the window is none."""
    counts = [await store.health.note_vanished(ACC, job, 1000, 60_000) for job in ("j1", "j1", "j2")]
    assert counts == [1, 1, 2]
    assert await store.health.note_vanished(ACC, "j3", 61_000, 60_000) == 1


async def test_several_accounts_are_read_together(store: Store) -> None:
    """Each gets its own, whatever its shard."""
    names = [f"acc_{number}" for number in range(8)]
    for number, name in enumerate(names):
        await store.health.note_version(name, number)
    assert {name: health.version for name, health in (await store.health.load_many(names)).items()} == {
        name: number for number, name in enumerate(names)
    }
