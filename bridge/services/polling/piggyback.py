"""Riding: jobs that an answer speaks of though it was not asked for them, held by name for as long as that takes.

Rows of a list show posts that were not due, and a post shows its items: they need no reads of their own.
"""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from bridge.domain.ids import job_key
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import Job
from bridge.domain.observation import Observation, Observed
from bridge.providers.read import part_observation
from bridge.providers.registry import KINDS
from bridge.providers.spec import Lens
from bridge.services.context import Services
from bridge.services.jobs.observe import Held, observe, take_held
from bridge.services.polling.duration_estimates import DurationEstimates
from bridge.store.queue.lanes import Settled
from bridge.store.records import Wanted

NOTICED_S = 60.0  # how long after one of its items was watched an account is believed to have such
MOST_MISSED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PiggybackJob:
    """A job held by name, and how many ms there were to its turn."""

    held: Held
    left_ms: int


class Piggyback:
    """Takes jobs along."""

    def __init__(
        self,
        services: Services,
        duration_estimates: DurationEstimates,
        *,
        lease_ms: int,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._duration_estimates = duration_estimates
        self._lease_ms = lease_ms
        self._clock_s = clock_s
        self._items: dict[str, float] = {}
        self._missed: dict[str, tuple[int, float]] = {}

    def notice(self, account: str, kind: str) -> None:
        """Notice that an account watches a job that a post could show."""
        if KINDS[kind].parent_field is not None:
            self._items[account] = self._clock_s()

    def may_carry(self, account: str, kind: str) -> bool:
        """Say whether an answer about this kind of job may speak of others that are watched."""
        if not KINDS[kind].part_kinds or account not in self._items:
            return False
        if self._clock_s() - self._items[account] > NOTICED_S:
            del self._items[account]
            return False
        return True

    async def hold(
        self, shard: str, account: str, keys: Sequence[str], *, begun_ms: int
    ) -> list[PiggybackJob]:
        """Hold those of some jobs that wait, and were not read since `begun_ms`."""
        if not keys:
            return []
        store = self._services.store
        claim = await store.poll.hold(shard, account, keys, lease_ms=self._lease_ms)
        if not claim.items:
            return []
        members = [item.member for item in claim.items]
        page = await store.load_many(Wanted(jobs=members, logs=members))
        passengers: list[PiggybackJob] = []
        back: list[Settled] = []
        for item in claim.items:
            held = take_held(page, item.member, claim.token)
            left_ms = max(0, item.due_ms - claim.now_ms)
            if held is None or held.log.last_ms >= begun_ms:
                back.append(Settled(account, item.member, claim.token, left_ms))
            else:
                passengers.append(PiggybackJob(held=held, left_ms=left_ms))
        if back:
            await store.poll.settle(shard, back)
        return passengers

    async def carry_parts(self, held: Held, post: Observation, at: PollContext) -> None:
        """Let a post that was just read speak for those of its items that are watched."""
        job = held.job.record
        shown = {
            job_key(held.key[0], job.account, kind, part.id): (kind, part)
            for part in post.parts
            for kind in KINDS[job.kind].part_kinds
            if KINDS[kind].registrable
        }
        passengers = await self.hold(held.key[0], job.account, list(shown), begun_ms=at.begun_ms)
        # Its post is read again before its own turn comes.
        least_ms = 0 if post.ending else self._services.time_scale.ms(2 * post.timing.interval_s)
        self._miss(shown.keys() - {passenger.held.key for passenger in passengers}, least_ms)
        settled: list[Settled] = []
        for passenger in passengers:
            kind, part = shown[passenger.held.key]
            lens = Lens(now_ms=at.now_ms, words=self._services.upstream.words)
            seen = part_observation(KINDS[kind], part, post, lens=lens)
            self.notice(job.account, kind)
            if seen is None:
                settled.append(back_in_line(passenger))
                continue
            moment = replace(at, digest=digest_of(part.data))
            settled += await self.observe(passenger.held, seen, moment, least_ms=least_ms)
        if settled:
            await self._services.store.poll.settle(held.key[0], settled)

    def _miss(self, keys: Collection[str], least_ms: int) -> None:
        """Remember what a post showed but could not take along, most often because it was being read itself."""
        if len(self._missed) + len(keys) > MOST_MISSED:
            self._missed.clear()
        until_s = self._clock_s() + least_ms / 1000
        self._missed.update((key, (least_ms, until_s)) for key in keys)

    def least_ms(self, key: str) -> int:
        """Give how long a job that was read by itself waits at least, 0: as its answer says.

        A post and its item that fall due together are read together, and would be from then on. The item waits for
        as long as one that was taken along, so that the post's next read finds it waiting.
        """
        least_ms, until_s = self._missed.pop(key, (0, 0.0))
        return least_ms if self._clock_s() < until_s else 0

    async def observe(
        self, held: Held, seen: Observation, at: PollContext, *, least_ms: int = 0
    ) -> Sequence[Settled]:
        """Take what an answer shows of a held job to its end; see `progress.observe`."""
        self._duration_estimates.note(
            held.job.record, held.log, at_ms=at.now_ms, ended=seen.ending is not None
        )
        settled = await observe(self._services, held, Observed(observation=seen), at, least_ms=least_ms)
        return (settled,) if settled else ()


def back_in_line(passenger: PiggybackJob) -> Settled:
    """Put a job back to where it was."""
    job: Job = passenger.held.job.record
    return Settled(job.account, passenger.held.key, passenger.held.token, passenger.left_ms)


def digest_of(shown: Mapping[str, object]) -> bytes:
    """Hash an object as one answer shows it, halves of characters included."""
    try:
        text = msgspec.json.encode(shown)
    except UnicodeEncodeError:
        text = json.dumps(shown).encode()
    return hashlib.blake2b(text, digest_size=8).digest()
