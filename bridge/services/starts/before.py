"""Find out what a job looks like before a call that runs it again is sent."""

import asyncio
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from bridge.config.log import get_logger
from bridge.domain.ids import job_key
from bridge.domain.jobs.baseline import Baseline, take_baseline
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import Observation, Observed
from bridge.providers.read import read_object
from bridge.providers.registry import KINDS, find_rule
from bridge.providers.spec import KindSpec, Lens
from bridge.services.accounts.account_reads import AccountReads, NotReadNow
from bridge.services.context import Services
from bridge.services.jobs.observe import observe
from bridge.services.polling.waiting_jobs import lease_waiting_jobs
from bridge.services.queries import load_log
from bridge.services.starts.guard import Intent, Ticket
from bridge.store.records import UnreadableRecord

LATELY_MS = (
    60_000  # so long what was seen of an ended job is taken for what it is; others may run it again meanwhile
)
READ_S = 5.0  # for which a call waits at most
LEASE_MS = 8_000
log = get_logger("bridge.proxy")


async def add_baseline(services: Services, intent: Intent, ticket: Ticket) -> Intent:
    """Return a start with what the object that it is about looks like now, as far as that can be found out.

    It is known from the watch of that object, or read once if the account's budget has a request for it.
    """
    about = find_rule(intent.account.provider, intent.rule).about
    if not about or not intent.subject:
        return intent
    if intent.key is not None and await services.store.starts.load(ticket.place) is not None:
        return intent  # nothing will be sent
    kind = KINDS[about]
    key = job_key(ticket.place[0], intent.account.id, kind.name, intent.subject)
    before = await _recall(services, kind, key, intent.subject)
    if before is None:
        try:
            async with asyncio.timeout(READ_S):
                before = await _read(services, intent, kind, key)
        except (NotReadNow, TimeoutError) as error:
            log.info("proxy.no_baseline", kind=kind.name, error=type(error).__name__)
    return replace(intent, baseline=before)


async def _recall(services: Services, kind: KindSpec, key: str, job_id: str) -> Baseline | None:
    """Return a job as it was seen to have ended lately."""
    loaded = await services.store.load_job(key)
    if loaded is None or not loaded.record.seen:
        return None
    try:
        seen_ms = (await load_log(services.store, key)).seen_ms
        value = await services.store.load_object(key)
    except UnreadableRecord:
        return None
    if services.clock_ms() - seen_ms > LATELY_MS:
        return None
    lens = Lens(now_ms=seen_ms, words=services.upstream.words, superseded=frozenset(loaded.record.superseded))
    result = read_object(kind, job_id=job_id, value=value, lens=lens)
    if not isinstance(result, Observed) or result.observation.ending is None:
        return None
    return take_baseline(result.observation, kind.traits.result_fields)


async def _read(services: Services, intent: Intent, kind: KindSpec, key: str) -> Baseline:
    """Read a job; if it is watched, this counts as a poll. Raise NotReadNow."""
    begun_ms = services.clock_ms()
    reads = await AccountReads.open(services, intent.account, kind)
    observation = await reads.read_job(kind, intent.subject)
    await _apply(services, intent.account.id, key, observation, begun_ms)
    return take_baseline(observation, kind.traits.result_fields)


async def _apply(services: Services, account: str, key: str, observation: Observation, begun_ms: int) -> None:
    """Apply what was read to the job, so that its watchers hear of an ending that is about to be overwritten."""
    now_ms = services.clock_ms()
    digest = blake2b(msgspec.json.encode(observation.data), digest_size=8).digest()
    at = PollContext(begun_ms=begun_ms, now_ms=now_ms, took_ms=now_ms - begun_ms, digest=digest)
    leased = await lease_waiting_jobs(services, account, {key: begun_ms}, lease_ms=LEASE_MS)
    for job in leased.jobs:
        settled = await observe(services, job.held, Observed(observation=observation), at)
        if settled is not None:
            await services.store.poll.settle(key[0], [settled])
