"""Choose which requests to spend an account's budget on, the most useful first.

One request reads one job; jobs that a list shows share pages of it. The highest priority goes first, but a job that has
waited too long goes before all others, so that none waits longer than `longest_wait_ms`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from msgspec import Struct

from bridge.domain.polling.durations import Durations
from bridge.domain.polling.list_pages import ListStats, PageRequest, plan_pages
from bridge.domain.polling.priority import Priority, rate
from bridge.domain.polling.rate_limit import Purpose

PATIENCE = (
    3.0  # a job goes first once it waited this many times the time that one read of each job would take
)
MIN_PATIENCE_MS = 180_000
MAX_DEFER_MS = 2_000
DEFER_EACH_MS = 8  # for each watched job: the more there are, the less often each is weighed
# A job that is not read for a likely end gains this much price, in seconds, for each interval that its read is late.
STEADY_RISE = 4.0
PROMPT_PRICE = (
    1e6  # what must be read at a certain time (a confirmation, a deadline) goes before any likely end
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A job as the planner sees it; times in Unix milliseconds, 0: never.

    `category` names its durations in the context. `due_ms` is when its documented interval let it be read again. A
    `steady` job is read for other reasons than a likely end (a draft, or what comes after an end). `prompt` marks a
    confirmation, or a deadline that has come. `list` names the list that shows it, empty where none is known; `id` is
    its id there.
    """

    key: str
    id: str
    category: str
    started_ms: int
    read_ms: int
    due_ms: int
    interval_ms: int
    list: str = ""
    purpose: Purpose = Purpose.SINGLE
    steady: bool = False
    prompt: bool = False


class Request(Struct, frozen=True, kw_only=True, gc=False):
    """One request: a job's own read, or a page of a list from `offset`. `covers` are the keys of the due jobs it shows."""

    purpose: Purpose
    priority: float
    covers: tuple[str, ...]
    list: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningContext:
    """What a plan depends on beside the jobs.

    `scale` is the factor on all documented times. `ms_per_request` is the budget's pace. `watched` counts the account's
    jobs, also those that are not among the plan's candidates. `untried` names lists that may not be there. `members`
    counts the watched jobs that each list is known to show, due or not.
    """

    now_ms: int
    ms_per_request: float
    durations: Mapping[str, Durations]
    lists: Mapping[str, ListStats] = field(default_factory=dict)
    untried: frozenset[str] = frozenset()
    members: Mapping[str, int] = field(default_factory=dict)
    scale: float = 1.0
    watched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Requests, the most useful first, and the priority of each due job by itself."""

    requests: tuple[Request, ...]
    priorities: Mapping[str, Priority]


def plan_requests(due: Sequence[Candidate], context: PlanningContext) -> Plan:
    """Plan requests for jobs that are due; whatever else a page shows comes at no cost and needs no plan."""
    priorities = {candidate.key: _rate(candidate, context) for candidate in due}
    requests: list[Request] = []
    alone = set(priorities)
    for name, rows in _by_list(due).items():
        for page in plan_pages({row.id: row.key for row in rows}, context.lists.get(name)):
            if max(len(page.covers), context.members.get(name, 0)) > 1:
                requests.append(_ask_page(name, page, priorities, context))
                alone.difference_update(page.covers)
    singles = [candidate for candidate in due if candidate.key in alone]
    requests += [
        Request(purpose=candidate.purpose, priority=priorities[candidate.key].price, covers=(candidate.key,))
        for candidate in singles
    ]
    patience = patience_ms(len(requests) + max(0, context.watched - len(due)), context)
    since = {candidate.key: candidate.due_ms for candidate in due}

    def order(request: Request) -> tuple[float, float]:
        oldest = min(since[key] for key in request.covers)
        late = context.now_ms - oldest > patience
        return (oldest if late else context.now_ms, -request.priority)

    requests.sort(key=order)
    return Plan(requests=tuple(requests), priorities=priorities)


def patience_ms(needed: int, context: PlanningContext) -> float:
    """Return how long a job waits past its due time before it goes first; `needed` requests would read all once."""
    return max(MIN_PATIENCE_MS * context.scale, PATIENCE * needed * context.ms_per_request)


def longest_wait_ms(needed: int, context: PlanningContext) -> float:
    """Return the longest time that any job waits past its due time, while the budget keeps this pace.

    Jobs that waited too long go in the order of their due times, so that at most `needed` requests stand before each.
    """
    return patience_ms(needed, context) + (needed + 1) * context.ms_per_request + max_defer_ms(context)


def max_defer_ms(context: PlanningContext) -> float:
    """Return the longest time after which a job that got no request is weighed again."""
    return max(MAX_DEFER_MS * context.scale, DEFER_EACH_MS * context.watched)


def defer_ms(
    candidate: Candidate, priority: Priority, clearing_price: float, context: PlanningContext
) -> int:
    """Return in how many ms to weigh a job without a request again: about when its price reaches `clearing_price`.

    That is the price of the best request that was not granted.
    """
    most = max_defer_ms(context)
    if priority.price >= clearing_price:
        return round(min(context.ms_per_request, most))
    waited = context.now_ms - (candidate.read_ms or candidate.started_ms)
    rise = (
        sqrt((clearing_price + 0.1) / (priority.price + 0.1)) - 1
    )  # a price grows with the square of the wait
    return round(min(max(waited * rise, context.ms_per_request), most))


def _rate(candidate: Candidate, context: PlanningContext) -> Priority:
    late_s = (context.now_ms - candidate.due_ms) / context.scale / 1000
    if candidate.prompt:
        return Priority(PROMPT_PRICE + late_s, late_s)
    if candidate.steady:
        rise = STEADY_RISE * (0.5 + 1000 * context.scale * late_s / max(candidate.interval_ms, 1))
        return Priority(rise, 0.0)
    unit = context.scale * 1000
    read_age = (candidate.read_ms - candidate.started_ms) / unit if candidate.read_ms else None
    age = (context.now_ms - candidate.started_ms) / unit
    return rate(context.durations[candidate.category], age_s=age, read_age_s=read_age)


def _by_list(due: Iterable[Candidate]) -> Mapping[str, list[Candidate]]:
    found: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in due:
        if candidate.list and not candidate.steady and not candidate.prompt:
            found[candidate.list].append(candidate)
    return found


def _ask_page(
    name: str, page: PageRequest, priorities: Mapping[str, Priority], context: PlanningContext
) -> Request:
    shown = [priorities[key] for key in page.covers]
    priority = max(sum(priority.waiting for priority in shown), *(priority.price for priority in shown))
    purpose = Purpose.PROBE if name in context.untried else Purpose.LIST
    return Request(purpose=purpose, priority=priority, covers=page.covers, list=name, offset=page.offset)
