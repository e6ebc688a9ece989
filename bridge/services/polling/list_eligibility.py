"""Which jobs a list call may show, and which lists are worth a call.

A list that did not serve (because the persona was mistyped, or because the list is undocumented and does not exist) is
not asked for a while; its jobs are read one by one meanwhile.
"""

from collections.abc import Callable, Sequence

from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.jobs.records import Job
from bridge.domain.polling.list_pages import ListStats
from bridge.providers.registry import KINDS
from bridge.providers.spec import ListSpec
from bridge.services.polling.list_membership import ListMembership
from bridge.services.polling.poll_requests import DueJob

RETRY_S = 60.0  # before a list that did not serve once is tried again
UNDOCUMENTED_RETRY_S = 86_400.0  # the same for a list that may not exist
IGNORED_MS = 30_000  # for so long, what the store knows of a list that does not serve is not loaded again
MAX_IGNORED = 10_000


class ListEligibility:
    """Decides which lists of an account may be asked."""

    def __init__(
        self, list_membership: ListMembership, *, clock_ms: Callable[[], int], scale: TimeScale
    ) -> None:
        self._list_membership = list_membership
        self._clock_ms = clock_ms
        self._scale = scale
        self._ignored_until_ms: dict[tuple[str, str], int] = {}

    def name_lists(self, due: Sequence[DueJob]) -> dict[str, str]:
        """Return the list that may show each job, by job key; jobs that no list shows are left out."""
        names: dict[str, str] = {}
        for job in due:
            record = job.held.job.record
            name = list_of(record)
            if not name or self._clock_ms() < self._ignored_until_ms.get((job.account, name), 0):
                continue
            self._list_membership.add(job.account, name, record.id)
            if not self._list_membership.is_missing(job.account, name, record.id):
                names[job.held.key] = name
        return names

    def count_members(self, account: str, name: str) -> int:
        """Return how many watched jobs a list is known to show, due or not."""
        return self._list_membership.count(account, name)

    def may_ask(self, job: DueJob, name: str, stats: ListStats | None, *, now_ms: int) -> bool:
        """Return whether the list that would show a job may be asked now."""
        if stats is None or not stats.useless_ms:
            return True
        spec = _list_spec(job.held.job.record)
        served = spec.documented or stats.count > 0
        retry_ms = self._scale.ms(RETRY_S) if served else round(UNDOCUMENTED_RETRY_S * 1000)
        if now_ms - stats.useless_ms >= retry_ms:
            return True
        if len(self._ignored_until_ms) >= MAX_IGNORED:
            self._ignored_until_ms.clear()
        self._ignored_until_ms[job.account, name] = min(stats.useless_ms + retry_ms, now_ms + IGNORED_MS)
        return False


def is_untried(job: Job, stats: ListStats | None) -> bool:
    """Return whether the list that would show a job may not exist: it is undocumented and has not served yet."""
    return not _list_spec(job).documented and (stats is None or stats.useless_ms > 0)


def list_of(job: Job) -> str:
    """Return the name of the list that would show a job, empty where none is known."""
    spec = KINDS[job.kind].list
    return spec.name_for(job.persona) if spec is not None else ""


def _list_spec(job: Job) -> ListSpec:
    spec = KINDS[job.kind].list
    assert spec is not None, "a list of the job has a name"
    return spec
