"""API keys are found by their text, which the store does not know."""

from bridge.store import keys
from bridge.store.store import Store

TEXT = "brk_configured_key_0123456789"


async def test_a_key_is_found_by_its_text_until_it_is_revoked(store: Store) -> None:
    """With its project and scopes; the text itself is nowhere in Redis."""
    key, text = await store.apikeys.create("prj_1", ["read", "register"], "n8n")
    assert text.startswith("brk_")
    assert key.hint == text[-4:]
    assert key.scopes == {"read", "register"}
    assert await store.apikeys.find(text) == key
    assert await store.apikeys.find(text + "x") is None
    rows = await store.redis.hgetall(keys.API_KEYS)  # type: ignore[misc]  # redis-py types both clients at once
    assert all(text.encode() not in field + value for field, value in rows.items())
    assert not await store.apikeys.revoke("prj_2", key.id)
    assert await store.apikeys.revoke("prj_1", key.id)
    assert await store.apikeys.find(text) is None
    assert not await store.apikeys.revoke("prj_1", key.id)


async def test_a_project_sees_its_own_keys_newest_first(store: Store, clock: list[int]) -> None:
    """Another project's are not listed."""
    for project, name in [("prj_1", "a"), ("prj_2", "b"), ("prj_1", "c")]:
        await store.apikeys.create(project, ["read"], name)
        clock[0] += 1
    assert [key.name for key in await store.apikeys.list("prj_1")] == ["c", "a"]


async def test_a_key_may_be_brought_along(store: Store) -> None:
    """Its text stays as it is."""
    key, text = await store.apikeys.create("prj_1", ["read"], "own", TEXT)
    assert text == TEXT
    assert await store.apikeys.find(TEXT) == key


async def test_the_configured_key_is_the_only_configured_one(store: Store, clock: list[int]) -> None:
    """A restart changes nothing, further scopes are taken over and none is lost, and a changed key ends the one before it."""
    _, other = await store.apikeys.create("prj_1", ["read"], "other")
    first = await store.apikeys.ensure(TEXT, "prj_1", ["read"])
    clock[0] += 1
    assert await store.apikeys.ensure(TEXT, "prj_1", ["read"]) == first
    wider = await store.apikeys.ensure(TEXT, "prj_1", ["read", "admin"])
    assert wider.scopes == {"read", "admin"}
    assert await store.apikeys.ensure(TEXT, "prj_1", ["read"]) == wider
    await store.apikeys.ensure(TEXT + "2", "prj_1", ["read"])
    assert await store.apikeys.find(TEXT) is None
    assert await store.apikeys.find(TEXT + "2") is not None
    assert await store.apikeys.find(other) is not None
