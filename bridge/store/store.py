"""The store: access to all that is in Redis, opened once per process."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.deliveries.breaker import DEFAULT_PLAN, BreakerPlan
from bridge.domain.deliveries.origin_limits import DEFAULT_LIMITS, OriginLimits
from bridge.domain.deliveries.records import Delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import SHARD_LETTERS, shard_of
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.polling.rate_limit import SHARE
from bridge.store import keys
from bridge.store.chains.chains import Chains
from bridge.store.commit import Change, Committer, Guard, Put
from bridge.store.dashboard.dashboard_table import DashboardTable
from bridge.store.dashboard.spending import Spending
from bridge.store.dashboard.tallies import Tallies
from bridge.store.durable import CountReplicas, DurabilityChecks, DurableScripts, no_replicas
from bridge.store.endpoints.endpoint_pace import EndpointPace
from bridge.store.endpoints.endpoint_troubles import EndpointTroubles
from bridge.store.endpoints.endpoints import Endpoints
from bridge.store.queue.breakers import Breakers
from bridge.store.queue.fair_lanes import FairLanes
from bridge.store.queue.heartbeats import APIS, WORKERS, Heartbeats
from bridge.store.queue.lanes import Lanes
from bridge.store.queue.scan import Scan
from bridge.store.queue.standings import LaneStandings
from bridge.store.queue.upcoming import Upcoming
from bridge.store.records import Loaded, RecordBatch, UnreadableRecord, Wanted, load_many, unpack_object
from bridge.store.registration_reads import RegistrationReads
from bridge.store.scripts import SCRIPTS, ScriptCall, run
from bridge.store.tables.account_health import Health
from bridge.store.tables.account_stats import AccountStatsTable
from bridge.store.tables.accounts import Accounts
from bridge.store.tables.apikeys import ApiKeys
from bridge.store.tables.feed import Feed
from bridge.store.tables.following import Following
from bridge.store.tables.holds import Holds
from bridge.store.tables.idempotency import Idempotency
from bridge.store.tables.inbox import Inbox
from bridge.store.tables.indexes import Indexes
from bridge.store.tables.job_bytes import JobBytes
from bridge.store.tables.key_usage import KeyUsageTable
from bridge.store.tables.outbox import Outbox
from bridge.store.tables.projects import Projects
from bridge.store.tables.rate_budgets import Budgets
from bridge.store.tables.starts import Starts
from bridge.store.tables.table import Dice
from bridge.store.tables.tasks import Tasks
from bridge.store.tables.troubles import INDEXED, Troubles
from bridge.store.trouble import trouble_keys
from bridge.store.vault import Vault

R = TypeVar("R", bound=Struct)
PEPPER_BYTES = 32
PEPPER_RECORD = "pepper"
TICK_LATE_MS = 1_000  # how late a caller of `take_tick` may be and still be let in the next time


def wall_clock_ms() -> int:
    """Return this host's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Store:
    """All tables and queues. `shards` are the shard letters in use, fixed at the first start."""

    def __init__(
        self,
        redis: Redis,
        vault: Vault,
        shards: str,
        *,
        aof: bool,
        replicas: CountReplicas,
        share: float,
        limits: OriginLimits,
        breaker: BreakerPlan,
        clock_ms: Callable[[], int],
        dice: Dice,
    ) -> None:
        """Use `open` instead, which prepares vault and shards."""
        self.redis = redis
        self.vault = vault
        self.shards = shards
        self.poll = Lanes(redis, "poll", shards)
        self.dlv = FairLanes(redis, shards, limits=limits, breaker=breaker)
        self.standings = LaneStandings(redis, limits)
        self.breakers = Breakers(redis, shards)
        durable = DurableScripts(redis, aof=aof, replicas=replicas)
        self.committer = Committer(redis, aof=aof, durable=durable)
        self.durability = DurabilityChecks(durable, aof=aof)
        self.upcoming = Upcoming(redis, self.committer)
        self.projects = Projects(redis, vault, clock_ms=clock_ms, dice=dice, durable=durable)
        self.health = Health(redis, self.shard_of)
        self.budgets = Budgets(redis, self.shard_of, share=share)
        self.account_stats = AccountStatsTable(redis, self.shard_of)
        self.accounts = Accounts(redis, vault, self.health, clock_ms=clock_ms, dice=dice, durable=durable)
        self.apikeys = ApiKeys(redis, self.projects, clock_ms=clock_ms, dice=dice, durable=durable)
        self.endpoints = Endpoints(redis, shards, durable=durable)
        self.endpoint_pace = EndpointPace(redis)
        self.endpoint_troubles = EndpointTroubles(redis, clock_ms=clock_ms)
        self.idempotency = Idempotency(redis, clock_ms=clock_ms, dice=dice)
        self.tasks = Tasks(redis, shards, durable=durable, clock_ms=clock_ms)
        self.tallies = Tallies(redis)
        self.spending = Spending(redis)
        self.dashboard = DashboardTable(redis, clock_ms=clock_ms)
        self._open_clockless(redis, shards)

    def _open_clockless(self, redis: Redis, shards: str) -> None:
        """Open what needs neither a clock nor the keys."""
        self.feed = Feed(redis)
        self.chains = Chains(redis, self.shard_of)
        self.following = Following(redis, self.committer, self.shard_of)
        self.outbox = Outbox(redis, self.feed, shards)
        self.heartbeats = Heartbeats(redis, WORKERS)
        self.api_heartbeats = Heartbeats(redis, APIS)
        self.inbox = Inbox(redis)
        self.holds = Holds(redis)
        self.indexes = Indexes(redis, shards)
        self.troubles = Troubles(redis, self.committer, shards)
        self.job_bytes = JobBytes(redis, self.committer, shards)
        self.key_usage = KeyUsageTable(redis, self.committer)
        self.registrations = RegistrationReads(redis, shards)
        self.scan = Scan(redis)
        self.starts = Starts(redis)

    @classmethod
    async def open(
        cls,
        redis: Redis,
        *,
        keys: Sequence[bytes],
        shards: int = 1,
        aof: bool,
        replicas: CountReplicas = no_replicas,
        share: float = SHARE,
        limits: OriginLimits = DEFAULT_LIMITS,
        breaker: BreakerPlan = DEFAULT_PLAN,
        clock_ms: Callable[[], int] = wall_clock_ms,
        dice: Dice = os.urandom,
    ) -> "Store":
        """Return the store, opened with the master keys, of which the first one encrypts.

        `shards` matters only at the very first start. `share` is the part of an account's rate limit that the bridge
        may always use. `replicas` says how many replicas must have what is accepted on disk too. `limits` are those of an origin that receives deliveries,
        `breaker` says when the breaker of a URL opens. Raise `VaultError` if no key decrypts
        what is stored.
        """
        letters = SHARD_LETTERS[: await _fix_shards(redis, shards)]
        vault = Vault(keys, pepper=await _fix_pepper(redis, Vault(keys, dice=dice), dice), dice=dice)
        return cls(
            redis,
            vault,
            letters,
            aof=aof,
            replicas=replicas,
            share=share,
            limits=limits,
            breaker=breaker,
            clock_ms=clock_ms,
            dice=dice,
        )

    async def finish(self) -> None:
        """Wait until all that was handed to the store has been answered, before its connections are closed."""
        users = (self.holds, self.committer, self.durability, self.feed, self.registrations)
        await asyncio.gather(*(each.finish() for each in users))

    def shard_of(self, account: str) -> str:
        """Return the shard letter of an account and of all that belongs to it."""
        return shard_of(account, len(self.shards))

    async def time_ms(self) -> int:
        """Return the time of the Redis server in Unix milliseconds."""
        seconds, micros = await self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def take_tick(self, name: str, now_ms: int, *, every_ms: int) -> bool:
        """Return whether the caller may do what only one of all workers does once in about an interval."""
        # Less than the interval, or a caller that comes in time would be refused after one that came late.
        least_ms = every_ms - min(every_ms // 4, TICK_LATE_MS)
        call = ScriptCall(SCRIPTS["probe_v1"], (keys.tick(name),), (now_ms, least_ms))
        return bool(await run(self.redis, call) == b"1")

    async def load_job(self, key: str) -> Loaded[Job] | None:
        """Read a job by its key; raise `UnreadableRecord`."""
        page = await self.load_many(Wanted(jobs=(key,)))
        return _pick(page, page.jobs, key)

    async def load_log(self, key: str) -> Loaded[PollLog] | None:
        """Read a job's poll log by the job's key; one that cannot be read counts as missing."""
        return (await self.load_many(Wanted(logs=(key,)))).logs.get(key)

    async def load_delivery(self, identifier: str) -> Loaded[Delivery] | None:
        """Read a delivery; raise `UnreadableRecord`."""
        page = await self.load_many(Wanted(deliveries=(identifier,)))
        return _pick(page, page.deliveries, identifier)

    async def load_event(self, identifier: str) -> EventRecord | None:
        """Read an event; raise `UnreadableRecord`."""
        page = await self.load_many(Wanted(events=(identifier,)))
        found = _pick(page, page.events, identifier)
        return found.record if found else None

    async def load_object(self, key: str) -> Any:
        """Read the last observed object of a job by the job's key, None if there is none; raise `UnreadableRecord`."""
        raw = await self.redis.get(keys.observed(key))
        return None if raw is None else unpack_object(raw)

    async def count_unreadable(self) -> dict[str, int]:
        """Count the records that cannot be read in the tables of the installation, by table; those without any left out."""
        tables = (self.projects, self.accounts, self.apikeys)
        return {
            name: lost for table in tables for name, lost in (await table.count_unreadable()).items() if lost
        }

    async def load_many(self, wanted: Wanted) -> RecordBatch:
        """Read a page of records in one round trip; see `records.load_many`."""
        return await load_many(self.redis, wanted)


def _pick(page: RecordBatch, found: Mapping[str, Loaded[R]], identifier: str) -> Loaded[R] | None:
    """Return the record with this id, None if it does not exist; raise `UnreadableRecord`."""
    if identifier in page.unreadable:
        raise UnreadableRecord(identifier)
    return found.get(identifier)


async def _fix_shards(redis: Redis, wanted: int) -> int:
    if not 1 <= wanted <= len(SHARD_LETTERS):
        raise ValueError(f"between 1 and {len(SHARD_LETTERS)} shards, not {wanted}")
    # Read first, because a full store refuses even a SET that would change nothing.
    found = await redis.get(keys.SHARDS)
    if found is None:
        if await redis.set(keys.SHARDS, wanted, nx=True):
            for letter in SHARD_LETTERS[:wanted]:
                await redis.set(trouble_keys.indexed(letter), INDEXED)
        found = await redis.get(keys.SHARDS)
    return int(found)


async def _fix_pepper(redis: Redis, vault: Vault, dice: Dice) -> bytes:
    """Return the key of the fingerprints, which the first start creates; encrypt it again under a new master key."""
    sealed = await redis.get(keys.PEPPER)
    if sealed is None:
        await redis.set(keys.PEPPER, vault.seal(dice(PEPPER_BYTES), record=PEPPER_RECORD), nx=True)
        sealed = await redis.get(keys.PEPPER)
    pepper = vault.open(sealed, record=PEPPER_RECORD)
    if vault.needs_reseal(sealed):
        resealed = vault.seal(pepper, record=PEPPER_RECORD)
        # A conflict means that another process has just done the same.
        change = Change("g", (Guard(keys.PEPPER, sealed),), (Put(keys.PEPPER, resealed),))
        await Committer(redis, aof=False).commit(change)
    return pepper
