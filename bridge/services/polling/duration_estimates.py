"""How long an account's jobs take: what this process saw, folded now and then into what all workers know."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.polling.durations import NO_DURATIONS, Durations, DurationTable, add_duration
from bridge.providers.registry import KINDS
from bridge.store.tables.account_stats import AccountStats, AccountStatsTable

FRESH_S = 5.0  # how old a picture of lifetimes may be
MOST_NOTES = 200  # the latest of an account since the last folding
MOST_ACCOUNTS = 5_000


class ObservedDuration(Struct, frozen=True, kw_only=True, gc=False):
    """One read: a job of a sort, last seen alive at `alive_s` (None: never), runs at `age_s`, or has ended by then."""

    sort: str
    alive_s: float | None
    age_s: float
    ended: bool


@dataclass(slots=True)
class _Known:
    folded_s: float
    tables: Mapping[str, DurationTable] = field(default_factory=dict)
    durations: dict[str, Durations] = field(default_factory=dict)


def sort_of(job: Job, log: PollLog) -> str:
    """Name the sort of a job: its kind, with the media type once its items show one."""
    spec = KINDS[job.kind]
    shown = job.parts or (job.seen and not spec.parts_field)
    media = spec.sort_for(log.interval_s) if shown else job.media
    if media not in spec.expected_by_media:
        media = ""
    return f"{job.kind}:{media}" if media else job.kind


class DurationEstimates:
    """Lifetimes by account and sort: documented ranges, bent to the lives that were seen."""

    def __init__(
        self, account_stats: AccountStatsTable, *, scale: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Take `scale`, the factor on all documented times: lives are noted without it."""
        self._account_stats = account_stats
        self._unit_ms = 1000 * scale
        self._clock_s = clock_s
        self._known: dict[str, _Known] = {}
        self._notes: dict[str, deque[ObservedDuration]] = defaultdict(lambda: deque(maxlen=MOST_NOTES))
        self._documented: dict[str, Durations] = {}

    def note(self, job: Job, log: PollLog, *, at_ms: int, ended: bool) -> None:
        """Note a read of a job whose records are as they were before it."""
        if job.account not in self._notes and len(self._notes) >= MOST_ACCOUNTS:
            self._notes.clear()
        notes = self._notes[job.account]
        if job.run_ms <= at_ms:
            seen = log.seen_ms >= job.run_ms
            notes.append(
                ObservedDuration(
                    sort=sort_of(job, log),
                    alive_s=(log.seen_ms - job.run_ms) / self._unit_ms if seen else None,
                    age_s=(at_ms - job.run_ms) / self._unit_ms,
                    ended=ended,
                )
            )

    def is_stale(self, account: str) -> bool:
        """Say whether an account's lessons should be loaded anew."""
        known = self._known.get(account)
        return known is None or self._clock_s() - known.folded_s >= FRESH_S

    async def fold(self, account: str, stats: AccountStats) -> None:
        """Take over what all workers know, and add what this process saw."""
        tables = dict(stats.lives)
        notes = self._notes.pop(account, deque())
        for note in notes:
            tables[note.sort] = add_duration(
                tables.get(note.sort, NO_DURATIONS),
                self._prior(note.sort),
                alive_s=note.alive_s,
                age_s=note.age_s,
                ended=note.ended,
            )
        if len(self._known) >= MOST_ACCOUNTS:
            self._known.clear()
        self._known[account] = _Known(self._clock_s(), tables)
        if notes:
            await self._account_stats.save_lives(account, tables)

    def durations(self, account: str, sorts: Collection[str]) -> dict[str, Durations]:
        """Give the lifetimes of some sorts, as far as is known of the account."""
        known = self._known.get(account)
        if known is None:
            return {sort: self._prior(sort) for sort in sorts}
        for sort in sorts:
            if sort not in known.durations:
                table = known.tables.get(sort)
                prior = self._prior(sort)
                known.durations[sort] = Durations(_expected(sort), table) if table else prior
        return {sort: known.durations[sort] for sort in sorts}

    def _prior(self, sort: str) -> Durations:
        if sort not in self._documented:
            self._documented[sort] = Durations(_expected(sort))
        return self._documented[sort]


def _expected(sort: str) -> tuple[tuple[float, float], ...]:
    kind, _, media = sort.partition(":")
    return KINDS[kind].expected_for(media)
