"""An upstream login has one account, one project, and a credential that can be replaced."""

import asyncio

import pytest
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.store import Store
from bridge.store.tables.accounts import Account, CredentialTaken, NoSuchAccount


async def make(store: Store, *, project: str = "prj_1", credential: str = "rm_1") -> Account:
    return await store.accounts.create(project, "reelmirror", credential, "main")


async def test_an_account_keeps_its_credential_sealed(store: Store) -> None:
    """It is read back in clear by its id; Redis holds neither it nor a hash that could be guessed."""
    account = await make(store, credential="rm_secret_credential")
    assert await store.accounts.credential(account.id) == "rm_secret_credential"
    assert await store.accounts.get(account.id) == account
    for table in (keys.ACCOUNTS, keys.CREDENTIALS):
        rows = await store.redis.hgetall(table)  # type: ignore[misc]  # redis-py types both clients at once
        assert all(b"rm_secret" not in field + value for field, value in rows.items())


async def test_a_credential_has_one_account_in_the_whole_installation(store: Store) -> None:
    """The same project gets that account, another is refused; another provider's key may read alike."""
    account = await make(store)
    assert await make(store) == account
    with pytest.raises(CredentialTaken):
        await make(store, project="prj_2")
    assert (await store.accounts.create("prj_2", "reelbot", "rm_1", "bot")).project == "prj_2"
    assert await store.accounts.find("reelmirror", "rm_1") == account
    assert await store.accounts.find("reelmirror", "rm_none") is None


async def test_two_projects_that_race_for_a_credential(store: Store) -> None:
    """Exactly one gets it."""
    made = await asyncio.gather(
        *(make(store, project=f"prj_{number}") for number in range(6)), return_exceptions=True
    )
    assert sum(isinstance(account, Account) for account in made) == 1
    assert sum(isinstance(account, CredentialTaken) for account in made) == 5


async def test_a_replaced_credential_has_a_new_version_that_workers_hear_of(store: Store) -> None:
    """The old one is free again; one that another account has is refused and changes nothing."""
    account = await make(store)
    assert (await store.health.load(account.id)).version == 1
    fresh = await store.accounts.replace_credential(account.id, "rm_2")
    assert (fresh.id, fresh.version) == (account.id, 2)
    assert await store.accounts.credential(account.id) == "rm_2"
    assert (await store.health.load(account.id)).version == 2
    other = await make(store, project="prj_2", credential="rm_1")
    with pytest.raises(CredentialTaken):
        await store.accounts.replace_credential(account.id, "rm_1")
    assert await store.accounts.credential(account.id) == "rm_2"
    assert await store.accounts.find("reelmirror", "rm_1") == other


async def test_no_replacement_is_lost_when_several_come_at_once(store: Store) -> None:
    """Each gets a version of its own, and the last one's credential is the one in force."""
    account = await make(store)
    made = await asyncio.gather(
        *(store.accounts.replace_credential(account.id, f"rm_{number}") for number in range(10, 15))
    )
    assert sorted(fresh.version for fresh in made) == [2, 3, 4, 5, 6]
    last = max(range(5), key=lambda number: made[number].version) + 10
    assert await store.accounts.credential(account.id) == f"rm_{last}"
    assert [
        await store.accounts.find("reelmirror", f"rm_{number}") is not None for number in range(10, 15)
    ] == [number == last for number in range(10, 15)]


async def test_the_configured_account_is_the_same_after_every_start(store: Store) -> None:
    """Its id follows from project and provider; a changed credential or address is taken over."""
    first = await store.accounts.ensure("prj_1", "reelmirror", "rm_1")
    assert await store.accounts.ensure("prj_1", "reelmirror", "rm_1") == first
    changed = await store.accounts.ensure("prj_1", "reelmirror", "rm_2", base_url="http://127.0.0.1:9")
    assert (changed.id, changed.version, changed.base_url) == (first.id, 2, "http://127.0.0.1:9")
    assert await store.accounts.get(first.id) == changed
    with pytest.raises(CredentialTaken):
        await store.accounts.ensure("prj_2", "reelmirror", "rm_2")


async def test_a_configured_credential_that_was_added_by_hand_keeps_its_account(store: Store) -> None:
    """No second account for one login."""
    by_hand = await make(store)
    assert await store.accounts.ensure("prj_1", "reelmirror", "rm_1") == by_hand


async def test_a_project_sees_its_own_accounts_newest_first(store: Store, clock: list[int]) -> None:
    """Another project's are not listed."""
    for number, project in enumerate(["prj_1", "prj_2", "prj_1"]):
        await make(store, project=project, credential=f"rm_{number}")
        clock[0] += 1
    made = [account.created_ms for account in await store.accounts.list("prj_1")]
    assert made == [clock[0] - 1, clock[0] - 3]


async def test_an_unknown_account_is_said_to_be_unknown(store: Store) -> None:
    """By its own error, for reading and for replacing."""
    assert await store.accounts.get("acc_none") is None
    with pytest.raises(NoSuchAccount):
        await store.accounts.credential("acc_none")
    with pytest.raises(NoSuchAccount):
        await store.accounts.replace_credential("acc_none", "rm_1")


async def test_a_credential_is_sealed_again_under_a_new_master_key(store: Store, redis: Redis) -> None:
    """Reading it with the new key first is enough for the old key to go."""
    account = await make(store)
    await (await Store.open(redis, keys=[b"n" * 32, b"k" * 32], aof=False)).accounts.credential(account.id)
    alone = await Store.open(redis, keys=[b"n" * 32], aof=False)
    assert await alone.accounts.credential(account.id) == "rm_1"
