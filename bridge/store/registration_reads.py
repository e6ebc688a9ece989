"""What registrations are decided on, read in one round trip for all that come in the same moment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.ids import shard_of
from bridge.domain.jobs.records import Job
from bridge.store import keys
from bridge.store.grouping import Grouping
from bridge.store.records import TABLES, Loaded, UnreadableRecord, log_unreadable, unpack
from bridge.store.tables.accounts import Account
from bridge.store.tables.idempotency import count_kept

MOST_TOGETHER = 64
VALUES_AT_ONCE = 500  # in one command, while which the server does nothing else


class RegistrationPage(Struct, frozen=True):
    """What is stored of some jobs, and what their project has.

    That is `watched` jobs, and `held_bytes` of job records and of answers kept for an Idempotency-Key.
    """

    values: Mapping[str, bytes]
    watched: int
    held_bytes: int

    def read_job(self, key: str) -> Loaded[Job] | None:
        """Return a job by its key, None if it has no record; raise `UnreadableRecord`."""
        raw = self.values.get(keys.job(key))
        if raw is None:
            return None
        try:
            return Loaded(unpack(Job, raw), raw)
        except UnreadableRecord as error:
            log_unreadable(TABLES[Job], key, error)
            raise


class _Asked(Struct, frozen=True):
    project: str
    accounts: Sequence[Account]
    jobs: Sequence[str]
    now_ms: int


class _Counters:
    """The keys of what is counted for a project."""

    def __init__(self, asked: _Asked, shards: str) -> None:
        self.sizes = [keys.job_bytes(shard, asked.project) for shard in shards]
        self.lanes = [keys.lane(shard_of(each.id, len(shards)), "poll", each.id) for each in asked.accounts]
        self.answers = keys.answers(asked.project)


class RegistrationReads:
    """Loads pages; requests of the same moment share the round trip, and what is counted for their project."""

    def __init__(self, redis: Redis, shards: str) -> None:
        """Take the letters of the shards in use."""
        self._redis = redis
        self._shards = shards
        self._together = Grouping(self._load_each, most=MOST_TOGETHER)
        self.finish = self._together.finish

    async def load(
        self, project: str, jobs: Sequence[str], *, accounts: Sequence[Account], now_ms: int
    ) -> RegistrationPage:
        """Return a page for jobs, by their keys, of a project with these accounts."""
        return await self._together.ask(_Asked(project, accounts, jobs, now_ms))

    async def _load_each(self, asked: Sequence[_Asked]) -> list[RegistrationPage | Exception]:
        projects = {each.project: _Counters(each, self._shards) for each in asked}
        names = [keys.job(job) for each in asked for job in each.jobs]
        split = list(_split_values(chain(names, *(each.sizes for each in projects.values()))))
        counted = [name for each in projects.values() for name in (*each.lanes, each.answers)]
        pipe = self._redis.pipeline(transaction=False)
        for some in split:
            pipe.execute_command("MGET", *some)
        for each in projects.values():
            for lane in each.lanes:
                pipe.zcard(lane)
            pipe.hgetall(each.answers)
        # An error in the answers is that of one project's key: the others are read all the same.
        answers = await pipe.execute(raise_on_error=False)
        found: dict[str, Any] = dict(zip(counted, answers[len(split) :], strict=True))
        values: dict[str, bytes] = {}
        for some, raws in zip(split, answers, strict=False):
            if isinstance(raws, Exception):
                raise raws
            values |= {name: raw for name, raw in zip(some, raws, strict=True) if raw is not None}
        return [_read_page(each, projects[each.project], values, found) for each in asked]


def _read_page(
    asked: _Asked, counters: _Counters, values: Mapping[str, bytes], found: Mapping[str, Any]
) -> RegistrationPage | Exception:
    """Return a page, or the error of a project for which something counted cannot be read."""
    *lanes, answers = (found[name] for name in (*counters.lanes, counters.answers))
    for each in (*lanes, answers):
        if isinstance(each, Exception):
            return each
    try:
        records = sum(int(values.get(size, 0)) for size in counters.sizes)
        kept = count_kept(answers, now_ms=asked.now_ms)
    except ValueError:
        error = UnreadableRecord("a counter that is no number")
        log_unreadable("counters", asked.project, error)
        return error
    return RegistrationPage(values, sum(lanes), max(0, records) + kept)


def _split_values(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of different keys of one shard each, since one command reaches one shard."""
    by_shard: dict[str, dict[str, None]] = {}
    for name in names:
        by_shard.setdefault(name[1], {})[name] = None
    for here in by_shard.values():
        rest = iter(here)
        while some := list(islice(rest, VALUES_AT_ONCE)):
            yield some
