"""What registrations are decided on, read in one round trip for all that come in the same moment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from redis.asyncio import Redis

from bridge.domain.jobs.records import Job
from bridge.store import keys
from bridge.store.grouping import Grouping
from bridge.store.records import TABLES, Loaded, UnreadableRecord, log_unreadable, unpack
from bridge.store.tables.idempotency import count_kept

MOST_TOGETHER = 64
VALUES_AT_ONCE = 500  # in one command, while which the server does nothing else


@dataclass(frozen=True, slots=True)
class RegistrationPage:
    """What is stored of some jobs, and what their project has.

    That is `watched` jobs, and `held_bytes` of job records and of answers kept for an Idempotency-Key.
    """

    raw_jobs: Mapping[str, bytes]
    watched: int
    held_bytes: int

    def read_job(self, key: str) -> Loaded[Job] | None:
        """Return a job by its key, None if it has no record; raise `UnreadableRecord`."""
        raw = self.raw_jobs.get(key)
        if raw is None:
            return None
        try:
            return Loaded(unpack(Job, raw), raw)
        except UnreadableRecord as error:
            log_unreadable(TABLES[Job], key, error)
            raise


@dataclass(frozen=True, slots=True)
class _Asked:
    values: Sequence[str]
    lanes: Sequence[str]
    answers: str


class RegistrationReads:
    """Loads pages; requests of the same moment share the round trip, and what belongs to their project."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._shards = shards
        self._together = Grouping(self._load_each, most=MOST_TOGETHER)

    async def load(
        self, project: str, jobs: Sequence[str], *, accounts: Iterable[tuple[str, str]], now_ms: int
    ) -> RegistrationPage:
        """Return a page for jobs, by their keys, of a project with these accounts, as (shard, id)."""
        records = {keys.job(key): key for key in jobs}
        sizes = [keys.job_bytes(shard, project) for shard in self._shards]
        lanes = [keys.lane(shard, "poll", account) for shard, account in accounts]
        answers = keys.answers(project)
        found = await self._together.ask(_Asked((*records, *sizes), lanes, answers))
        return RegistrationPage(
            raw_jobs={key: found[name] for name, key in records.items() if name in found},
            watched=sum(found[lane] for lane in lanes),
            held_bytes=max(0, sum(int(found.get(size, 0)) for size in sizes))
            + count_kept(found[answers], now_ms=now_ms),
        )

    async def _load_each(self, asked: Sequence[_Asked]) -> list[Mapping[str, Any] | Exception]:
        """Return everything that was asked for, by key, to each one who asked."""
        values = list(_split_values(chain.from_iterable(each.values for each in asked)))
        lanes = list(dict.fromkeys(chain.from_iterable(each.lanes for each in asked)))
        counters = list(dict.fromkeys(each.answers for each in asked))
        pipe = self._redis.pipeline(transaction=False)
        for names in values:
            pipe.execute_command("MGET", *names)
        for lane in lanes:
            pipe.execute_command("ZCARD", lane)
        for name in counters:
            pipe.hgetall(name)
        answers = await pipe.execute()
        found: dict[str, Any] = dict(zip([*lanes, *counters], answers[len(values) :], strict=True))
        for names, raws in zip(values, answers, strict=False):
            found.update((name, raw) for name, raw in zip(names, raws, strict=True) if raw is not None)
        return [found] * len(asked)


def _split_values(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of different keys of one shard each, since one command reaches one shard."""
    by_shard: dict[str, dict[str, None]] = {}
    for name in names:
        by_shard.setdefault(name[1], {})[name] = None
    for here in by_shard.values():
        rest = iter(here)
        while some := list(islice(rest, VALUES_AT_ONCE)):
            yield some
