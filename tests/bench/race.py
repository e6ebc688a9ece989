"""The course on which ways of polling compete: jobs, a rate limit, a client, and what is measured. Virtual time, in ms."""

import random
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

START_MS = 1_795_000_000_000
FULL_MS = 60_000  # jobs start evenly over this, and a rate window lasts as long
LATENCY_MS = 150  # an answer comes this long after its request; the upstream looks at half of it
LIMIT = 60
PERSONAS = 10

Style = Literal["fixed", "sliding"]
Set = Literal["P", "M"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """A kind and media type as documented: seconds it takes, between reads, until its watch gives up."""

    name: str
    takes_s: tuple[float, float]
    every_s: int
    timeout_s: int


# ReelMirror, Webhooks guide: table of intervals and timeouts.
IMAGE = Sort(name="generated_post:image", takes_s=(20, 90), every_s=10, timeout_s=300)
VIDEO = Sort(name="generated_post:video", takes_s=(60, 300), every_s=15, timeout_s=600)
SYNC = Sort(name="sync_job", takes_s=(30, 300), every_s=15, timeout_s=600)
VOICE = Sort(name="voice_conversion", takes_s=(30, 120), every_s=10, timeout_s=300)
PUBLISHING = Sort(name="outgoing_post", takes_s=(10, 60), every_s=10, timeout_s=180)
SORTS = (IMAGE, VIDEO, SYNC, VOICE, PUBLISHING)


@dataclass(slots=True, kw_only=True)
class Job:
    """One job of the course: when it starts and ends, and how a contestant fared with it."""

    number: int
    sort: Sort
    persona: str
    start_ms: int
    end_ms: int
    seen_ms: int = 0  # when its end was known
    gave_up: bool = False

    @property
    def delay_s(self) -> float:
        return (self.seen_ms - self.end_ms) / 1000


def make_jobs(which: Set, count: int, seed: int) -> list[Job]:
    """Give the job set of the issue: P posts only, M also other kinds; the same for every contestant."""
    dice = random.Random(f"{which} {count} {seed}")
    posts = [IMAGE if number % 7 < 4 else VIDEO for number in range(count)]
    dice.shuffle(posts)
    others = {7: SYNC, 8: VOICE, 9: PUBLISHING} if which == "M" else {}
    sorts = [others.get(number % 10, posts[number]) for number in range(count)]
    dice.shuffle(sorts)
    jobs = []
    for number, sort in enumerate(sorts):
        start = START_MS + FULL_MS * number // count
        end = start + round(1000 * dice.uniform(*sort.takes_s))
        jobs.append(
            Job(number=number, sort=sort, persona=f"p{number % PERSONAS}", start_ms=start, end_ms=end)
        )
    return jobs


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says to one request; the reset as ReelMirror writes it, in whole seconds."""

    allowed: bool
    remaining: int
    reset_ms: int


class Limiter:
    """60 requests a minute; a fixed window's border lies anywhere, a sliding one resets when its oldest request leaves."""

    def __init__(self, style: Style, seed: int) -> None:
        self._style = style
        self._start = START_MS - FULL_MS - random.Random(f"border {seed}").randrange(FULL_MS)
        self._hits: deque[int] = deque()

    def take(self, now: int) -> Verdict:
        """Count one request if it fits."""
        if self._style == "fixed":
            while now >= self._start + FULL_MS:
                self._start += FULL_MS
                self._hits.clear()
        else:
            while self._hits and self._hits[0] <= now - FULL_MS:
                self._hits.popleft()
        allowed = len(self._hits) < LIMIT
        if allowed:
            self._hits.append(now)
        begins = self._start if self._style == "fixed" else self._hits[0]
        return Verdict(allowed, LIMIT - len(self._hits), -(-(begins + FULL_MS) // 1000) * 1000)


def client_calls(per_minute: int, seed: int, lasts_ms: int) -> list[int]:
    """When the client calls for itself: at random, from a minute before the start on."""
    if not per_minute:
        return []
    dice = random.Random(f"client {seed}")
    now, calls = float(START_MS - FULL_MS), []
    while now < START_MS + lasts_ms:
        now += dice.expovariate(per_minute / FULL_MS)
        calls.append(round(now))
    return calls


@dataclass(slots=True, kw_only=True)
class Result:
    """What one or more runs of a contestant came to; 429s count after the first minute where `warm_up` is given."""

    delays_s: list[float] = field(default_factory=list)
    requests: int = 0
    limited: int = 0
    limited_warm: int = 0
    client_refused: int = 0
    wrong_timeouts: int = 0
    longest_wait_s: float = 0.0
    bound_s: float = 0.0

    def add(self, other: "Result") -> None:
        """Pool another run of the same course."""
        self.delays_s += other.delays_s
        self.requests += other.requests
        self.limited += other.limited
        self.limited_warm += other.limited_warm
        self.client_refused += other.client_refused
        self.wrong_timeouts += other.wrong_timeouts
        self.longest_wait_s = max(self.longest_wait_s, other.longest_wait_s)
        self.bound_s = max(self.bound_s, other.bound_s)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.delays_s)

    def share(self, part: float) -> float:
        """Give the delay that `part` of the jobs do not pass."""
        ordered = sorted(self.delays_s)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    @property
    def requests_per_job(self) -> float:
        return self.requests / len(self.delays_s)


def tell(jobs: Sequence[Job], **counts: int) -> Result:
    """Give the result of one run over `jobs`, all of which were seen to end."""
    assert all(job.seen_ms >= job.end_ms for job in jobs)
    return Result(
        delays_s=[job.delay_s for job in jobs], wrong_timeouts=sum(job.gave_up for job in jobs), **counts
    )
