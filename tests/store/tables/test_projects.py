"""Projects, and the secrets their deliveries are signed with."""

import asyncio

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.store import Store
from bridge.store.tables.projects import DEFAULT, Secrets

DAY_MS = 24 * 3600 * 1000


async def test_the_default_project_is_made_once(store: Store, clock: list[int]) -> None:
    """A later start finds it as it was."""
    first = await store.projects.ensure_default()
    clock[0] += 1
    assert await store.projects.ensure_default() == first
    assert (first.id, first.name) == (DEFAULT, "default")


async def test_projects_are_listed_newest_first(store: Store, clock: list[int]) -> None:
    """Each has an id of its own; a given id gives the same project again."""
    await store.projects.ensure_default()
    clock[0] += 1
    made = await store.projects.create("shop")
    clock[0] += 1
    derived = await store.projects.create("by key", project="prj_derived")
    assert await store.projects.create("again", project="prj_derived") == derived
    assert [project.name for project in await store.projects.list()] == ["by key", "shop", "default"]
    assert await store.projects.get(made.id) == made
    assert await store.projects.get("prj_none") is None


async def test_a_projects_secret_is_made_on_first_use_once(store: Store) -> None:
    """Ten at once get the same one; it lies sealed in Redis."""
    found = await asyncio.gather(*(store.projects.default_secret("prj_1") for _ in range(10)))
    assert len({secrets.current for secrets in found}) == 1
    current = found[0].current
    assert current.startswith("whsec_")
    rows = await store.redis.hgetall(keys.SECRETS)  # type: ignore[misc]  # redis-py types both clients at once
    assert all(current.encode() not in raw and current[6:].encode() not in raw for raw in rows.values())


async def test_both_secrets_sign_for_a_day_after_a_rotation(store: Store, clock: list[int]) -> None:
    """At most two; the same rotation again changes nothing; then only the new one is left."""
    first = (await store.projects.default_secret("prj_1")).current
    rotated = await store.projects.rotate("prj_1", "whsec_bmV3IHNlY3JldCBvZiB0aGlydHktdHdvIGJ5dGVz")
    assert rotated.previous == first
    assert rotated.previous_expires_ms == clock[0] + DAY_MS
    assert await store.projects.rotate("prj_1", rotated.current) == rotated
    third = await store.projects.rotate("prj_1")
    assert third.previous == rotated.current
    clock[0] += DAY_MS
    assert await store.projects.default_secret("prj_1") == Secrets(current=third.current)


async def test_no_rotation_is_lost_when_two_come_at_once(store: Store) -> None:
    """One follows the other: both are in force, the older as the previous one."""
    await store.projects.default_secret("prj_1")
    made = await asyncio.gather(store.projects.rotate("prj_1"), store.projects.rotate("prj_1"))
    now = await store.projects.default_secret("prj_1")
    assert {now.current, now.previous} == {secrets.current for secrets in made}


async def test_a_secret_is_sealed_again_under_a_new_master_key(store: Store, redis: Redis) -> None:
    """Reading it with the new key first is enough for the old key to go."""
    secrets = await store.projects.default_secret("prj_1")
    rotated = await Store.open(redis, keys=[b"n" * 32, b"k" * 32], aof=False)
    assert await rotated.projects.default_secret("prj_1") == secrets
    alone = await Store.open(redis, keys=[b"n" * 32], aof=False)
    assert await alone.projects.default_secret("prj_1") == secrets
