"""How long an account's jobs take: observations of this process, merged from time to time into those of all workers."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from msgspec import Struct

from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.polling.durations import NO_DURATIONS, Durations, DurationTable, add_duration
from bridge.providers.registry import KINDS
from bridge.store.tables.account_stats import AccountStats, AccountStatsTable

STALE_AFTER_S = 5.0  # the age at which an account's durations should be loaded again
MAX_NOTES = 200  # observations of an account that are kept until the next merge, the latest ones
MAX_ACCOUNTS = 5_000
LATE = 0.9  # the share of jobs that have ended when one is late


class ObservedDuration(Struct, frozen=True, kw_only=True, gc=False):
    """One poll of a job.

    The job was last seen running at the age `alive_s` (None: never); at the age `age_s` it still ran or had ended.
    """

    category: str
    alive_s: float | None
    age_s: float
    ended: bool


@dataclass(slots=True)
class _Known:
    merged_s: float
    tables: Mapping[str, DurationTable] = field(default_factory=dict)
    durations: dict[str, Durations] = field(default_factory=dict)
    late_s: dict[str, float] = field(default_factory=dict)


def category_of(job: Job, log: PollLog) -> str:
    """Return the name of the jobs that should take as long as this one: its kind, with its media type if known."""
    return _category(job.timed_kind, job.media, bool(job.parts), job.seen, log.interval_s)


@lru_cache(maxsize=1024)
def _category(kind: str, media: str, has_parts: bool, seen: bool, interval_s: float) -> str:  # noqa: FBT001 -- the fields
    spec = KINDS[kind]
    if has_parts or (seen and not spec.parts_field):
        media = spec.sort_for(interval_s)
    return f"{kind}:{media}" if media in spec.expected_by_media else kind


class DurationEstimates:
    """Durations by account and category: the documented ranges, corrected by observations."""

    def __init__(
        self, account_stats: AccountStatsTable, *, scale: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Take `scale`, the factor on all documented times; durations are stored without it."""
        self._account_stats = account_stats
        self._unit_ms = 1000 * scale
        self._clock_s = clock_s
        self._known: dict[str, _Known] = {}
        self._notes: dict[str, deque[ObservedDuration]] = defaultdict(lambda: deque(maxlen=MAX_NOTES))
        self._documented: dict[str, Durations] = {}
        self._late_s: dict[str, float] = {}

    def note(self, job: Job, log: PollLog, *, at_ms: int, ended: bool) -> None:
        """Record a poll at `at_ms`; `job` and `log` are the job's records from before it."""
        if job.account not in self._notes and len(self._notes) >= MAX_ACCOUNTS:
            self._notes.clear()
        notes = self._notes[job.account]
        if job.run_ms <= at_ms:
            seen = log.seen_ms >= job.run_ms
            notes.append(
                ObservedDuration(
                    category=category_of(job, log),
                    alive_s=(log.seen_ms - job.run_ms) / self._unit_ms if seen else None,
                    age_s=(at_ms - job.run_ms) / self._unit_ms,
                    ended=ended,
                )
            )

    def is_stale(self, account: str) -> bool:
        """Return whether an account's durations should be loaded again."""
        known = self._known.get(account)
        return known is None or self._clock_s() - known.merged_s >= STALE_AFTER_S

    async def merge(self, account: str, stats: AccountStats) -> None:
        """Replace an account's durations by the stored ones with this process's new observations, and store these."""
        tables = dict(stats.durations)
        notes = self._notes.pop(account, deque())
        for note in notes:
            tables[note.category] = add_duration(
                tables.get(note.category, NO_DURATIONS),
                self._prior(note.category),
                alive_s=note.alive_s,
                age_s=note.age_s,
                ended=note.ended,
            )
        if len(self._known) >= MAX_ACCOUNTS:
            self._known.clear()
        self._known[account] = _Known(self._clock_s(), tables)
        if notes:
            await self._account_stats.save_durations(account, tables)

    def durations(self, account: str, categories: Collection[str]) -> dict[str, Durations]:
        """Return the durations of some categories; the documented ones where nothing is known of the account."""
        known = self._known.get(account)
        if known is None:
            return {category: self._prior(category) for category in categories}
        for category in categories:
            if category not in known.durations:
                table = known.tables.get(category)
                prior = self._prior(category)
                known.durations[category] = Durations(_expected(category), table) if table else prior
        return {category: known.durations[category] for category in categories}

    def late_ms(self, job: Job, log: PollLog) -> int:
        """Return the time by which nine in ten jobs like this one would have ended, in Unix milliseconds."""
        category = category_of(job, log)
        known = self._known.get(job.account)
        late_s = (self._late_s if known is None else known.late_s).get(category)
        if late_s is None:
            late_s = self.durations(job.account, (category,))[category].quantile(LATE)
            (self._late_s if known is None else known.late_s)[category] = late_s
        return job.run_ms + round(late_s * self._unit_ms)

    def _prior(self, category: str) -> Durations:
        if category not in self._documented:
            self._documented[category] = Durations(_expected(category))
        return self._documented[category]


def _expected(category: str) -> tuple[tuple[float, float], ...]:
    kind, _, media = category.partition(":")
    return KINDS[kind].expected_for(media)
