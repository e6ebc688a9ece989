"""Followed personas: how far the sweeps of each are, and which posts they have shown.

Whoever has leased a persona's place in the poll lane writes; a write that is lost is made good by the next sweep, which sees the
same again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from bridge.domain.following.pages import KnownPosts
from bridge.domain.following.records import Followed, sweep_member
from bridge.store import endpoint_keys
from bridge.store.commit import Change, Committer, Drop, Due, Op, Put

SYNCED_KEPT_MS: Final = 86_400_000
_followed = msgspec.msgpack.Decoder(Followed)
_posts = msgspec.msgpack.Decoder(KnownPosts)


class Following:
    """The followed personas of accounts; `shard_of` returns an account's shard letter."""

    def __init__(self, redis: Redis, committer: Committer, shard_of: Callable[[str], str]) -> None:
        """Take the store's client, and what commits changes of the poll lanes."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        self._committer = committer
        self._shard_of = shard_of

    async def add_project(self, project: str) -> None:
        """Note that a project has an endpoint that names personas."""
        await self._redis.sadd(endpoint_keys.FOLLOWING, project)

    async def remove_project(self, project: str) -> None:
        """Note that none of a project's endpoints names personas any more."""
        await self._redis.srem(endpoint_keys.FOLLOWING, project)

    async def projects(self) -> list[str]:
        """Return the projects with an endpoint that names personas, or did so until lately."""
        return sorted(each.decode() for each in await self._redis.smembers(endpoint_keys.FOLLOWING))

    async def load(self, account: str) -> dict[str, Followed]:
        """Return an account's followed personas; what another version wrote otherwise begins anew."""
        return (await self.load_many((account,)))[0]

    async def load_many(self, accounts: Sequence[str]) -> list[dict[str, Followed]]:
        """Return the followed personas of each account, in one round trip; see `load`."""
        if not accounts:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for account in accounts:
            pipe.hgetall(endpoint_keys.followed(self._shard_of(account), account))
        return [
            {field.decode(): _read_followed(raw) for field, raw in rows.items()}
            for rows in await pipe.execute()
        ]

    async def count_many(self, accounts: Sequence[str]) -> list[int]:
        """Return how many personas of each account are followed, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for account in accounts:
            pipe.hlen(endpoint_keys.followed(self._shard_of(account), account))
        return [int(each) for each in await pipe.execute()] if accounts else []

    async def load_posts(self, account: str, persona: str) -> KnownPosts:
        """Return the posts of a persona that were seen."""
        raw = await self._redis.get(endpoint_keys.posts(self._shard_of(account), account, persona))
        try:
            return KnownPosts() if raw is None else _posts.decode(raw)
        except msgspec.MsgspecError:
            return KnownPosts()

    async def was_synced(self, account: str, persona: str, at_ms: int, *, window_ms: int) -> bool:
        """Return whether a sync of a persona, or of one that is not known, ended within a window around a time."""
        shard = self._shard_of(account)
        buckets = range((at_ms - window_ms) // window_ms, (at_ms + window_ms) // window_ms + 1)
        names = [endpoint_keys.synced(shard, account, each, b) for each in (persona, "") for b in buckets]
        return any(value is not None for value in await self._redis.mget(names))

    async def save(self, account: str, persona: str, followed: Followed, posts: KnownPosts | None) -> None:
        """Write what a sweep has found; `posts` is None where they are as they were."""
        shard = self._shard_of(account)
        pipe = self._redis.pipeline(transaction=False)
        if posts is not None:
            pipe.set(endpoint_keys.posts(shard, account, persona), msgspec.msgpack.encode(posts))
        pipe.hset(endpoint_keys.followed(shard, account), persona, msgspec.msgpack.encode(followed))
        for answer in await pipe.execute(raise_on_error=False):
            # A full store keeps what it had: the next sweep then sees the same news again.
            if isinstance(answer, Exception) and not isinstance(answer, OutOfMemoryError):
                raise answer

    async def begin(self, account: str, personas: Mapping[str, Followed]) -> None:
        """Put personas that are newly followed into the account's poll lane, due now; known ones stay as they are."""
        if not personas:
            return
        shard = self._shard_of(account)
        key = endpoint_keys.followed(shard, account)
        for persona, followed in personas.items():
            await self._redis.hsetnx(key, persona, msgspec.msgpack.encode(followed))
        await self.schedule(account, personas)

    async def schedule(self, account: str, personas: Collection[str]) -> None:
        """Make sure that personas have their place in the account's poll lane."""
        shard = self._shard_of(account)
        ops = tuple(Due("poll", account, sweep_member(shard, each), 0, "absent") for each in personas)
        await self._committer.commit(Change(shard, (), ops))

    async def end(self, account: str, personas: Collection[str]) -> None:
        """Forget personas that are followed no more."""
        if not personas:
            return
        shard = self._shard_of(account)
        ops = tuple(Drop("poll", account, sweep_member(shard, each)) for each in personas)
        await self._committer.commit(Change(shard, (), ops))
        pipe = self._redis.pipeline(transaction=False)
        pipe.hdel(endpoint_keys.followed(shard, account), *personas)
        for persona in personas:
            pipe.delete(endpoint_keys.posts(shard, account, persona))
        await pipe.execute()


def _read_followed(raw: bytes) -> Followed:
    try:
        return _followed.decode(raw)
    except msgspec.MsgspecError:
        return Followed()


def note_synced(shard: str, account: str, persona: str, *, at_ms: int, window_ms: int) -> Op:
    """Return the operation that notes that a sync of a persona has ended; the persona is empty where it is not known."""
    return Put(endpoint_keys.synced(shard, account, persona, at_ms // window_ms), b"1", px=SYNCED_KEPT_MS)
