"""The bridge on the course: its planner and its budget script as they are, its worker's round in virtual time."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from redis.asyncio import Redis

from bridge.domain.polling.durations import NO_DURATIONS, Durations, DurationTable, add_duration
from bridge.domain.polling.list_pages import PAGE, ListStats, note_page
from bridge.domain.polling.planner import (
    Candidate,
    Plan,
    PlanningContext,
    Request,
    defer_ms,
    longest_wait_ms,
    plan_requests,
)
from bridge.domain.polling.rate_limit import Grant, Limit, Purpose, RateReport
from bridge.store.tables.rate_budgets import Budgets
from tests.bench.race import (
    FULL_MS,
    IMAGE,
    LATENCY_MS,
    LIMIT,
    SORTS,
    START_MS,
    VIDEO,
    Job,
    Limiter,
    Result,
    Style,
    Verdict,
    client_calls,
    tell,
)

SHARE = 0.8
POST = "generated_post"
API = Limit(name="api", requests=LIMIT, window_s=FULL_MS / 1000)
PACE_MS = FULL_MS / (LIMIT * SHARE)  # what is always ours: the pace of the stated bound
IN_FLIGHT = 16
WARM_MS = START_MS + FULL_MS
LASTS_MS = 4_000_000
LEARN_MS = 5_000  # how old a worker's picture of lifetimes may be


@dataclass(slots=True, kw_only=True)
class Watched:
    """A job in the queue: when it may be read again (`due_ms`), and when it is looked at (`wake_ms`)."""

    job: Job
    sort: str
    due_ms: int
    wake_ms: int
    read_ms: int = 0
    flying: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request on its way, and what the upstream said and showed when it arrived there."""

    request: Request
    id: str
    verdict: Verdict | None = None
    at_ms: int = 0
    rows: tuple[int, ...] | None = None
    listed: int = 0


@dataclass
class Course:
    """One run: a queue of things that happen, and a worker that makes a round after each."""

    redis: Redis
    jobs: list[Job]
    style: Style
    client: int
    seed: int
    lists: bool  # personas are known, so that list calls serve their posts
    blind: bool = False  # a post's media type is known only once it was read
    now: int = START_MS - FULL_MS
    live: dict[int, Watched] = field(default_factory=dict)
    seen: dict[str, ListStats] = field(default_factory=dict)
    tables: dict[str, DurationTable] = field(default_factory=dict)
    result: Result = field(default_factory=Result)

    def __post_init__(self) -> None:
        self._limiter = Limiter(self.style, self.seed)
        self._budgets = Budgets(self.redis, lambda _: "a", share=SHARE, now_ms=lambda: self.now)
        self._queue: list[tuple[int, int, str, object]] = []
        self._order = count()
        self._ranges: dict[str, Sequence[tuple[float, float]]] = {
            POST: (IMAGE.takes_s, VIDEO.takes_s),
            **{sort.name: (sort.takes_s,) for sort in SORTS},
        }
        self._lifetimes = {name: Durations(ranges) for name, ranges in self._ranges.items()}
        self._learned_ms = 0
        self._asleep_ms = 0
        self._wake_ms: int | None = None
        self._pace_ms = PACE_MS
        self._flying = 0
        self._left = len(self.jobs)

    def _later(self, at_ms: int, what: str, subject: object = None) -> None:
        heapq.heappush(self._queue, (at_ms, next(self._order), what, subject))

    async def run(self) -> Result:
        """Run until every job was seen to end."""
        await self.redis.flushall()
        for job in self.jobs:
            self._later(job.start_ms, "starts", job)
        for at in client_calls(self.client, self.seed, LASTS_MS):
            self._later(at, "client")
        while self._left:
            self.now, _, what, subject = heapq.heappop(self._queue)
            if what == "client":
                refused = not self._limiter.take(self.now).allowed
                self.result.client_refused += refused and self.now > WARM_MS
                continue
            if what == "arrives" and isinstance(subject, Sent):
                self._arrive(subject)
                continue
            if what == "starts" and isinstance(subject, Job):
                sort = POST if self.blind and subject.sort in {IMAGE, VIDEO} else subject.sort.name
                watched = Watched(job=subject, sort=sort, due_ms=self.now, wake_ms=self.now)
                self.live[subject.number] = watched
            elif what == "answers" and isinstance(subject, Sent):
                await self._answer(subject)
            elif self._wake_ms == self.now:
                self._wake_ms = None
            if not self._queue or self._queue[0][0] > self.now:
                await self._round()
        told = tell(self.jobs)
        told.add(self.result)
        context = PlanningContext(now_ms=0, ms_per_request=PACE_MS, durations={}, watched=len(self.jobs))
        told.bound_s = longest_wait_ms(len(self.jobs), context) / 1000
        return told

    def _arrive(self, sent: Sent) -> None:
        """The upstream counts the request, and looks."""
        verdict = self._limiter.take(self.now)
        self.result.limited += not verdict.allowed
        self.result.limited_warm += not verdict.allowed and self.now > WARM_MS
        rows: tuple[int, ...] | None = None
        listed: list[int] = []
        if sent.request.purpose is Purpose.LIST:
            listed = [
                job.number
                for job in reversed(self.jobs)
                if job.persona == sent.request.list and job.start_ms <= self.now
            ]
            rows = tuple(listed[sent.request.offset : sent.request.offset + PAGE])
        answer = Sent(
            request=sent.request, id=sent.id, verdict=verdict, at_ms=self.now, rows=rows, listed=len(listed)
        )
        self._later(self.now + LATENCY_MS - LATENCY_MS // 2, "answers", answer)

    async def _answer(self, sent: Sent) -> None:
        verdict = sent.verdict
        assert verdict is not None
        self._flying -= 1
        quiet = None if verdict.allowed else verdict.reset_ms
        said = RateReport(
            request=sent.id,
            limit=LIMIT,
            remaining=verdict.remaining,
            reset_ms=verdict.reset_ms,
            quiet_ms=quiet,
        )
        await self._budgets.spend("x", API, reports=(said,))
        covered = [self.live[number] for number in map(int, sent.request.covers) if number in self.live]
        for watched in covered:
            watched.flying = False
            watched.wake_ms = max(self.now, quiet or 0)
        if not verdict.allowed:
            return
        self.result.requests += 1
        shown = map(int, sent.request.covers) if sent.rows is None else sent.rows
        for number in shown:
            if number in self.live and not self.live[number].flying:
                self._observe(self.live[number], sent.at_ms)
        if sent.rows is not None:
            self._note_page(sent)

    def _note_page(self, sent: Sent) -> None:
        persona = sent.request.list
        watched = {str(n) for n, each in self.live.items() if each.job.persona == persona}
        self.seen[persona] = note_page(
            self.seen.get(persona),
            offset=sent.request.offset,
            ids=[str(number) for number in sent.rows or ()],
            count=sent.listed,
            looked_for=sent.request.covers,
            watched=watched,
            now_ms=self.now,
        )

    def _observe(self, watched: Watched, looked_ms: int) -> None:
        job = watched.job
        late_s = (self.now - watched.due_ms) / 1000
        self.result.longest_wait_s = max(self.result.longest_wait_s, late_s)
        name, ended = watched.sort, job.end_ms <= looked_ms
        self.tables[name] = add_duration(
            self.tables.get(name, NO_DURATIONS),
            self._lifetimes[name],
            alive_s=(watched.read_ms - job.start_ms) / 1000 if watched.read_ms else None,
            age_s=(self.now - job.start_ms) / 1000,
            ended=ended,
        )
        if ended:
            job.seen_ms = self.now
            self._left -= 1
            del self.live[job.number]
            return
        job.gave_up |= looked_ms > job.start_ms + 1000 * job.sort.timeout_s
        watched.read_ms, watched.sort = self.now, job.sort.name
        watched.due_ms = watched.wake_ms = self.now + 1000 * job.sort.every_s

    async def _round(self) -> None:
        """What a worker does when an account's lane is due: plan, ask for requests, send, put the rest back."""
        due = {n: each for n, each in self.live.items() if each.wake_ms <= self.now and not each.flying}
        if due and self._flying < IN_FLIGHT and self.now >= self._asleep_ms:
            self._learn()
            candidates = self._watches(due)
            context = PlanningContext(
                now_ms=self.now,
                ms_per_request=self._pace_ms,
                durations=self._lifetimes,
                lists=self.seen,
                members=Counter(each.job.persona for each in self.live.values()) if self.lists else {},
                watched=len(self.live),
            )
            plan = plan_requests(candidates, context)
            wanted = plan.requests[: IN_FLIGHT - self._flying]
            grant = await self._budgets.spend("x", API, [request.purpose for request in wanted])
            self._pace_ms = grant.ms_per_request
            self._asleep_ms = self.now + grant.wait_ms
            self._send(wanted, grant)
            self._put_back(candidates, plan, grant, context)
        self._sleep()

    def _learn(self) -> None:
        if self.now - self._learned_ms >= LEARN_MS:
            self._learned_ms = self.now
            self._lifetimes |= {
                name: Durations(self._ranges[name], table) for name, table in self.tables.items()
            }

    def _watches(self, due: Mapping[int, Watched]) -> list[Candidate]:
        return [
            Candidate(
                key=str(number),
                id=str(number),
                category=each.sort,
                started_ms=each.job.start_ms,
                read_ms=each.read_ms,
                due_ms=each.due_ms,
                interval_ms=1000 * each.job.sort.every_s,
                list=each.job.persona if self.lists else "",
            )
            for number, each in due.items()
        ]

    def _send(self, wanted: Sequence[Request], grant: Grant) -> None:
        for request, identifier in zip(wanted, grant.requests, strict=False):
            self._flying += 1
            self._later(self.now + LATENCY_MS // 2, "arrives", Sent(request=request, id=identifier))
            for key in request.covers:
                self.live[int(key)].flying = True

    def _put_back(
        self, candidates: Sequence[Candidate], plan: Plan, grant: Grant, context: PlanningContext
    ) -> None:
        left = plan.requests[len(grant.requests) :]
        if not left:
            return
        by_key = {candidate.key: candidate for candidate in candidates}
        for key, priority in plan.priorities.items():
            watched = self.live[int(key)]
            if not watched.flying:
                wait = (
                    0 if key in left[0].covers else defer_ms(by_key[key], priority, left[0].priority, context)
                )
                watched.wake_ms = self.now + max(grant.wait_ms, wait)

    def _sleep(self) -> None:
        wakes = [each.wake_ms for each in self.live.values() if not each.flying]
        if not wakes:
            return
        at = max(min(wakes), self.now + 1, self._asleep_ms)
        if self._wake_ms is None or at < self._wake_ms:
            self._wake_ms = at
            self._later(at, "wake")


async def run_bridge(
    redis: Redis, jobs: list[Job], *, lists: bool, style: Style, client: int, seed: int, blind: bool = False
) -> Result:
    """Run the bridge over a job set; `lists`: the personas of posts are known; `blind`: their media type is not."""
    return await Course(redis, jobs, style, client, seed, lists, blind).run()
