"""Keep reads that an upstream lets hang or drip from taking all of their account's places in flight.

A job whose last read was quick is proven. Of a job that was never read nothing is known, and one whose last read broke
off after a long wait is taken to hang again. The last places of an account are for proven jobs, so that one of these
waits at most for one round of reads that were proven too and began to hang. Reads that hang are made two at a time:
they cost requests of the account's rate limit and show nothing. Among those with a place a job that was never read
comes first: known jobs may always be due, and there may be more of them than requests.

An account's places are those of all workers together, which share what is for jobs that are not proven.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from enum import IntEnum

from bridge.domain.jobs.poll_history import last_took_ms
from bridge.domain.jobs.records import PollLog
from bridge.services.polling.poll_requests import DueJob

SLOW_MS = 2_000  # a read that took longer may take all of its time the next time
CROWDED_MS = 100  # before a job without a place is considered again
HANGING_MS = 1_000  # before one that hangs is
HANGING_EACH_MS = 8  # for each of them, so that many cost no more than a few


class Trust(IntEnum):
    """How a read is expected to go; but for first reads, the better ones are made first."""

    PROVEN = 0
    UNKNOWN = 1
    HANGS = 2


FIRST_READ = Trust.PROVEN - 1  # the place of jobs that were never read in the order of reads
UNPROVEN_PLACES = 24  # of an account's 32, over all workers; from the 13th worker on each still has two
# Reads in flight of one account in this process, at most.
MAX_READS = {Trust.UNKNOWN: 10, Trust.HANGS: 2}
MAX_UNKNOWN_SILENT = 2  # of jobs of which nothing is known, where the account's last read hung


class SlowReads:
    """Chooses which due jobs are read, by what is being read in this process."""

    def __init__(self, *, is_silent: Callable[[str], bool]) -> None:
        """Take whether an account's last read hung: then a job of which nothing is known may hang too."""
        self._is_silent = is_silent
        self._reading: dict[str, dict[str, Trust]] = defaultdict(dict)  # unproven ones by account and job key

    def choose(
        self, due: Sequence[DueJob], *, workers: int = 1
    ) -> tuple[list[DueJob], list[tuple[DueJob, int]]]:
        """Return the jobs that may be read, the most urgent first, and those that wait, each with its delay in ms.

        `workers` is how many processes read the accounts.
        """
        trusts = {job.held.key: _trust(job.held.log) for job in due}
        if all(trust is Trust.PROVEN for trust in trusts.values()):
            return list(due), []
        hanging = sum(trust is Trust.HANGS for trust in trusts.values())
        delays = {Trust.UNKNOWN: CROWDED_MS, Trust.HANGS: max(HANGING_MS, HANGING_EACH_MS * hanging)}
        free = self._count_free({job.account for job in due}, UNPROVEN_PLACES // max(1, workers))
        chosen: list[DueJob] = []
        waiting: list[tuple[DueJob, int]] = []
        # Those that hang come in the order in which they were due, so that none is passed over for ever.
        for job in sorted(due, key=lambda job: _order(job, trusts[job.held.key])):
            trust = trusts[job.held.key]
            if trust is Trust.PROVEN:
                chosen.append(job)
            elif free[job.account, trust] > 0:
                free[job.account, trust] -= 1
                chosen.append(job)
            else:
                waiting.append((job, delays[trust]))
        return chosen, waiting

    def _count_free(self, accounts: Collection[str], share: int) -> dict[tuple[str, Trust], int]:
        """Return how many unproven jobs of each account may be read now, by their trust."""
        found = {}
        for account in accounts:
            taken = Counter(self._reading.get(account, {}).values())
            for trust in MAX_READS:
                found[account, trust] = self._max_reads(account, trust, share) - taken[trust]
        return found

    def begin(self, job: DueJob) -> None:
        """Note that a job is about to be read."""
        trust = _trust(job.held.log)
        if trust is not Trust.PROVEN:
            self._reading[job.account][job.held.key] = trust

    def end(self, account: str, key: str) -> None:
        """Note that a job was read or given back."""
        reading = self._reading.get(account)
        if reading is not None:
            reading.pop(key, None)
            if not reading:
                del self._reading[account]

    def _max_reads(self, account: str, trust: Trust, share: int) -> int:
        """Return how many reads this process may have in flight, of its share of the places for unproven jobs."""
        hanging = min(MAX_READS[Trust.HANGS], max(1, share // 4))
        if trust is Trust.HANGS:
            return hanging
        unknown = min(MAX_READS[Trust.UNKNOWN], max(1, share - hanging))
        return min(unknown, MAX_UNKNOWN_SILENT) if self._is_silent(account) else unknown


def _trust(log: PollLog) -> Trust:
    if log.polls and last_took_ms(log) < SLOW_MS:
        return Trust.PROVEN
    return Trust.HANGS if log.streak > 0 else Trust.UNKNOWN


def _order(job: DueJob, trust: Trust) -> tuple[int, int]:
    if not job.held.log.polls:
        return FIRST_READ, 0
    return trust, job.held.log.due_ms if trust is Trust.HANGS else 0
