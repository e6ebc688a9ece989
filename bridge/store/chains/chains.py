"""Chains: which posts they wait for, and what is known to have come of what.

The operations are parts of commits; here they are made, and what they have written is read.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from redis.asyncio import Redis

from bridge.domain.jobs.records import Job
from bridge.store.chains import chain_keys
from bridge.store.commit import Delete, Op, Put, Rank, Unrank

CHILD_KEPT_MS: Final = 30 * 86_400_000
MOST_FOUND: Final = 500  # jobs that one chain takes for its own


class Chains:
    """The chains of accounts; `shard_of` returns an account's shard letter."""

    def __init__(self, redis: Redis, shard_of: Callable[[str], str]) -> None:
        """Take the store's client."""
        self._redis = redis
        self._shard_of = shard_of

    async def waiting(self, account: str, *, now_ms: int) -> dict[str, list[str]]:
        """Return the keys of the chains that wait for posts, by their personas."""
        key = chain_keys.chains(self._shard_of(account), account)
        chains: dict[str, list[str]] = {}
        for member in await self._redis.zrangebyscore(key, now_ms, "+inf"):
            persona, _, chain = member.decode().rpartition(" ")
            chains.setdefault(persona, []).append(chain)
        return chains

    async def found(self, chain: str) -> list[str]:
        """Return the ids of the jobs that began while a chain waited, the first ones first."""
        found = await self._redis.zrange(chain_keys.found(chain), 0, MOST_FOUND - 1)
        return [each.decode() for each in found]

    async def children(self, account: str, kind: str, ids: Collection[str]) -> list[str]:
        """Return the ids of the jobs of a kind that came of some jobs or parts."""
        if not ids:
            return []
        shard = self._shard_of(account)
        values = await self._redis.mget([chain_keys.child(shard, account, kind, each) for each in ids])
        return list(dict.fromkeys(each.decode() for each in values if each is not None))


def wait_for_posts(chain: str, account: str, persona: str, *, until_ms: int) -> Op:
    """Return the operation by which posts of a persona that begin until then may belong to a chain."""
    return Rank(chain_keys.chains(chain[0], account), f"{persona} {chain}", until_ms)


def note_found(chain: str, job_id: str, *, now_ms: int) -> Op:
    """Return the operation that gives a job which has just begun to a chain."""
    return Rank(chain_keys.found(chain), job_id, now_ms)


def note_child(shard: str, account: str, kind: str, of: str, child: str) -> Op:
    """Return the operation that notes which job of a kind came of a job or a part."""
    return Put(chain_keys.child(shard, account, kind, of), child.encode(), px=CHILD_KEPT_MS)


def end_waiting(chain: str, account: str, personas: Collection[str]) -> Sequence[Op]:
    """Return the operations by which a chain waits for nothing any more."""
    key = chain_keys.chains(chain[0], account)
    return [Unrank(key, f"{persona} {chain}") for persona in personas if persona]


def forget_chain(chain: str, job: Job) -> Sequence[Op]:
    """Return the operations that remove what is kept beside a chain's record."""
    return [Delete(chain_keys.found(chain)), *end_waiting(chain, job.account, [job.persona])]
