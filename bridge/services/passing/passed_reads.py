"""Apply answers that passed through the proxy to the watched jobs that they show."""

import hashlib
from collections.abc import Mapping, Sequence

from msgspec import Struct

from bridge.domain.ids import job_key
from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import Observed
from bridge.providers.lists import Rows, read_list
from bridge.providers.passing import Shown, Sight
from bridge.providers.read import read_answer
from bridge.providers.registry import KINDS
from bridge.services.context import Services
from bridge.services.jobs.observe import observe, observe_unchanged
from bridge.services.jobs.unchanged import UnchangedAnswers
from bridge.services.passing.unwatched_jobs import UnwatchedJobs
from bridge.services.polling.piggyback import Piggyback
from bridge.services.polling.waiting_jobs import WaitingJob, lease_waiting_jobs, return_to_queue
from bridge.store.queue.lanes import Settled

MAX_ETAGS = 10_000
LEASE_MS = 8_000  # after so long a dead process's jobs are polled again
# A client that polls at the documented interval is a little later each time: waiting longer lets it come first.
PATIENCE = 1.25


class PassedAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """An answer, what it shows, and when its request began and it ended; `body` is without its content coding.

    `path` is where its request went.
    """

    shown: Shown
    path: str = ""
    headers: Mapping[str, str]
    body: bytes
    begun_ms: int
    ended_ms: int

    @property
    def as_of_ms(self) -> int:
        """The time of what it tells: a read's beginning, by its age earlier, and a change's end."""
        if self.shown.sight is Sight.CHANGE:
            return self.ended_ms
        return self.begun_ms - 1000 * self.shown.age_s


class PassedReads:
    """Applies answers to the jobs of one account at a time."""

    def __init__(self, services: Services, unwatched: UnwatchedJobs) -> None:
        """Take what remembers jobs that nobody watches."""
        self._services = services
        self._unwatched = unwatched
        self._unchanged_answers = UnchangedAnswers()
        self._digests: dict[tuple[str, str], bytes] = {}  # of bodies, by their jobs' keys and their ETags
        self._piggyback = Piggyback(
            services, services.durations, lease_ms=LEASE_MS, patience=lambda _: PATIENCE
        )

    async def apply(self, account: str, answers: Sequence[PassedAnswer]) -> None:
        """Apply the latest answer about each job that is watched and not being read."""
        lanes, shard = self._services.store.poll, self._services.store.shard_of(account)
        asked_s = self._unwatched.now_s()
        latest = {
            job_key(shard, account, kind, answer.shown.job_id): answer
            for answer in sorted(answers, key=lambda each: each.as_of_ms)
            for kind in answer.shown.kinds
            if answer.shown.job_id
        }
        times = {key: answer.as_of_ms for key, answer in latest.items()}
        settled: list[Settled] = []
        leased = await lease_waiting_jobs(self._services, account, times, lease_ms=LEASE_MS)
        for job in leased.jobs:
            settled += await self._apply_one(job, latest[job.held.key])
        if settled:
            await lanes.settle(shard, settled)
        if not leased.watched:
            self._unwatched.note(account, asked_s=asked_s)
            return
        watched = {answer.path for key, answer in latest.items() if key not in leased.unwatched}
        for path in {latest[key].path for key in leased.unwatched} - watched:
            self._unwatched.note(account, path, asked_s=asked_s)
        for answer in answers:
            match answer.shown.sight:
                case Sight.ROWS:
                    await self._apply_rows(account, answer)
                case Sight.REFUSED | Sight.FORBIDDEN:
                    await self._suspect(account, answer)

    async def _apply_rows(self, account: str, answer: PassedAnswer) -> None:
        """Apply each row of a list's page to its job; what the page does not show says nothing."""
        now_ms, (kind,) = self._services.clock_ms(), answer.shown.kinds
        page = read_list(
            KINDS[kind], http_status=200, headers=answer.headers, body=answer.body, now_ms=now_ms
        )
        if not isinstance(page, Rows):
            return
        at = PollContext(
            begun_ms=answer.as_of_ms, now_ms=now_ms, took_ms=max(0, answer.ended_ms - answer.begun_ms)
        )
        observed = await self._piggyback.observe_rows(account, kind, page, at)
        if observed.incomplete:
            due = [Settled(account, each.held.key, each.held.token, 0) for each in observed.incomplete]
            await self._services.store.poll.settle(self._services.store.shard_of(account), due)

    async def _suspect(self, account: str, answer: PassedAnswer) -> None:
        """Record that a credential, or its reads of a kind, may be refused: a read of the bridge's own confirms it or not."""
        health, now_ms = self._services.store.health, self._services.clock_ms()
        if answer.shown.sight is Sight.REFUSED:
            await health.suspect_refused(account, now_ms)
            return
        for kind in answer.shown.kinds:
            await health.suspect_forbidden(account, kind, now_ms)

    async def _apply_one(self, job: WaitingJob, answer: PassedAnswer) -> Sequence[Settled]:
        """Apply an answer to its job; return what is left to settle."""
        held, record = job.held, job.held.job.record
        # A callback that was registered meanwhile waits for a read that begins after it.
        is_timely = all(each.created_ms <= answer.as_of_ms for each in list_live_callbacks(record))
        match answer.shown.sight:
            case Sight.STATE if is_timely:
                return await self._observe(job, answer)
            case Sight.SAME if is_timely:
                return (self._observe_same(job, answer),)
            case Sight.CHANGE | Sight.REFUSED | Sight.FORBIDDEN:
                return (_due_now(job),)
            case Sight.ABSENCE if record.seen and not record.missing_reads and held.log.polls:
                return (_due_now(job),)
        return (return_to_queue(job),)

    async def _observe(self, job: WaitingJob, answer: PassedAnswer) -> Sequence[Settled]:
        """Apply a state that was shown, as a poll of the bridge's own; what shows none changes nothing.

        A post's items are looked for among the watched jobs when it has changed, and as long as some of them are watched.
        """
        services, held, now_ms = self._services, job.held, self._services.clock_ms()
        at = PollContext(
            begun_ms=answer.as_of_ms,
            now_ms=now_ms,
            took_ms=max(0, answer.ended_ms - answer.begun_ms),
            digest=hashlib.blake2b(answer.body, digest_size=8).digest(),
        )
        record = held.job.record
        self._note_etag(held.key, answer.headers.get("etag", ""), at.digest)
        known = self._unchanged_answers.find(held.key, held.job, held.log, now_ms=now_ms)
        shows_others = self._piggyback.may_show_watched(record.account, record.kind)
        if known is not None and known.digest == at.digest and not shows_others:
            least_ms = self._least_ms(known.result)
            return (observe_unchanged(services, held, known.result, at, least_ms=least_ms),)
        result = read_answer(
            KINDS[record.kind],
            job_id=record.id,
            http_status=200,
            headers=answer.headers,
            body=answer.body,
            now_ms=now_ms,
            words=services.upstream.words,
            superseded=frozenset(record.superseded),
        )
        if not isinstance(result, Observed):
            return (return_to_queue(job),)
        settled = await observe(
            services,
            held,
            result,
            at,
            unchanged_answers=self._unchanged_answers,
            least_ms=self._least_ms(result),
        )
        if KINDS[record.kind].part_kinds:
            await self._piggyback.observe_parts(held, result.observation, at)
        return (settled,) if settled else ()

    def _observe_same(self, job: WaitingJob, answer: PassedAnswer) -> Settled:
        """Apply a 304: a poll with the same answer as before, if that has passed here and changes nothing any more."""
        held, now_ms = job.held, self._services.clock_ms()
        known = self._unchanged_answers.find(held.key, held.job, held.log, now_ms=now_ms)
        if known is None or self._digests.get((held.key, answer.shown.etag)) != known.digest:
            return return_to_queue(job)
        took_ms = max(0, answer.ended_ms - answer.begun_ms)
        at = PollContext(begun_ms=answer.as_of_ms, now_ms=now_ms, took_ms=took_ms, digest=known.digest)
        least_ms = self._least_ms(known.result)
        return observe_unchanged(self._services, held, known.result, at, least_ms=least_ms)

    def _note_etag(self, key: str, etag: str, digest: bytes) -> None:
        if len(self._digests) >= MAX_ETAGS:
            self._digests.clear()
        if etag:
            self._digests[key, etag] = digest

    def _least_ms(self, seen: Observed) -> int:
        return self._services.time_scale.ms(PATIENCE * seen.observation.timing.interval_s)


def _due_now(job: WaitingJob) -> Settled:
    return Settled(job.held.job.record.account, job.held.key, job.held.token, 0)
