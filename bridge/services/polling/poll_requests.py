"""Due jobs, and the requests that a budget has granted for them."""

from msgspec import Struct

from bridge.domain.polling.list_pages import ListStats
from bridge.domain.polling.planner import Request
from bridge.domain.polling.rate_limit import Bucket
from bridge.services.jobs.observe import Held


class DueJob(Struct, frozen=True, kw_only=True, gc=False):
    """A leased job that is due.

    `version` is that of its account's credential, `queued_ms` its place in the queue in Unix milliseconds.
    """

    held: Held
    account: str
    version: int
    queued_ms: int


class GrantedRequest(Struct, frozen=True, kw_only=True, gc=False):
    """A request that may be sent now.

    `id` is its id in the budget, `jobs` are the due jobs that it reads, `list_stats` is what is known of its list.
    """

    bucket: Bucket
    id: str
    request: Request
    jobs: tuple[DueJob, ...]
    list_stats: ListStats | None = None
