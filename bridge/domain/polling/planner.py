"""Which requests to spend an account's budget on, in order of worth: pure, without I/O, a clock or dice.

One poll a job; the posts of one persona share pages of its list. The most worth goes first, but a job that waits too
long goes before all others, so that nobody waits longer than `longest_wait_ms`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

from bridge.domain.polling.durations import Lifetimes
from bridge.domain.polling.list_pages import ListSeen, Page, plan_pages
from bridge.domain.polling.priority import Worth, rate
from bridge.domain.polling.rate_limit import Purpose

PATIENCE = 3.0  # a job goes first when it waited this many times the time that one read of each would take
LEAST_PATIENCE_MS = 180_000
MOST_DEFER_MS = 2_000
DEFER_EACH_MS = 8  # the more jobs there are, the less often each is weighed
# A read that no ending drives gains this many seconds of worth for each interval that it is late.
STEADY_RISE = 4.0
SOON = 1e6  # what has a moment of its own (a confirmation, a deadline) is worth more than any guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A job as the planner sees it; times in Unix ms, 0: never.

    `sort` names its lifetimes. `due_ms` is when its documented interval let it be read again. A `steady` job is read
    for other reasons than a likely end (a draft, a slow tail). `prompt`: a confirmation, or a deadline that has come.
    `list` names the list that shows it, empty where none is known; `id` is how that list calls it.
    """

    key: str
    id: str
    sort: str
    started_ms: int
    read_ms: int
    due_ms: int
    interval_ms: int
    list: str = ""
    purpose: Purpose = Purpose.SINGLE
    steady: bool = False
    prompt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: a job's own read, or a page of a list from `offset`. `covers` are the keys of the due it shows."""

    purpose: Purpose
    worth: float
    covers: tuple[str, ...]
    list: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a plan rests on beside the jobs.

    `scale` is the factor on all documented times. `pace_ms` is what a request takes at the budget's pace. `watched`
    counts the account's jobs, also those that are not among the plan's watches. `untried` names lists that may not be
    there. `members`: how many watched jobs a list is known to show, due or not.
    """

    now_ms: int
    pace_ms: float
    lifetimes: Mapping[str, Lifetimes]
    lists: Mapping[str, ListSeen] = field(default_factory=dict)
    untried: frozenset[str] = frozenset()
    members: Mapping[str, int] = field(default_factory=dict)
    scale: float = 1.0
    watched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Requests in order of worth, and the worth of each due job by itself."""

    requests: tuple[Request, ...]
    worths: Mapping[str, Worth]


def plan_requests(due: Sequence[Watch], scene: Scene) -> Plan:
    """Plan for jobs that are due; what else a page shows comes for nothing and needs no plan."""
    worths = {watch.key: _rate(watch, scene) for watch in due}
    requests: list[Request] = []
    alone = set(worths)
    for name, rows in _by_list(due).items():
        for page in plan_pages({row.id: row.key for row in rows}, scene.lists.get(name)):
            if max(len(page.covers), scene.members.get(name, 0)) > 1:
                requests.append(_ask_page(name, page, worths, scene))
                alone.difference_update(page.covers)
    singles = [watch for watch in due if watch.key in alone]
    requests += [
        Request(purpose=watch.purpose, worth=worths[watch.key].price, covers=(watch.key,))
        for watch in singles
    ]
    patience = patience_ms(len(requests) + max(0, scene.watched - len(due)), scene)
    since = {watch.key: watch.due_ms for watch in due}

    def order(request: Request) -> tuple[float, float]:
        oldest = min(since[key] for key in request.covers)
        late = scene.now_ms - oldest > patience
        return (oldest if late else scene.now_ms, -request.worth)

    requests.sort(key=order)
    return Plan(requests=tuple(requests), worths=worths)


def patience_ms(needed: int, scene: Scene) -> float:
    """Give how long a job waits past its due time before it goes first; `needed` requests would read all once."""
    return max(LEAST_PATIENCE_MS * scene.scale, PATIENCE * needed * scene.pace_ms)


def longest_wait_ms(needed: int, scene: Scene) -> float:
    """Give the bound: no job waits longer past its due time, while the budget keeps this pace.

    What waited too long is served first come, first served, and at most `needed` requests stand before it.
    """
    return patience_ms(needed, scene) + (needed + 1) * scene.pace_ms + most_defer_ms(scene)


def most_defer_ms(scene: Scene) -> float:
    """Give how long a job that got no request stays unweighed at most."""
    return max(MOST_DEFER_MS * scene.scale, DEFER_EACH_MS * scene.watched)


def defer_ms(watch: Watch, worth: Worth, clearing: float, scene: Scene) -> int:
    """Give when a job that got no request should be weighed again: about when it is worth what a request costs now."""
    most = most_defer_ms(scene)
    if worth.price >= clearing:
        return round(min(scene.pace_ms, most))
    waited = scene.now_ms - (watch.read_ms or watch.started_ms)
    rise = sqrt((clearing + 0.1) / (worth.price + 0.1)) - 1  # a price grows with the square of the wait
    return round(min(max(waited * rise, scene.pace_ms), most))


def _rate(watch: Watch, scene: Scene) -> Worth:
    late_s = (scene.now_ms - watch.due_ms) / scene.scale / 1000
    if watch.prompt:
        return Worth(SOON + late_s, late_s)
    if watch.steady:
        rise = STEADY_RISE * (0.5 + 1000 * scene.scale * late_s / max(watch.interval_ms, 1))
        return Worth(rise, 0.0)
    unit = scene.scale * 1000
    read_age = (watch.read_ms - watch.started_ms) / unit if watch.read_ms else None
    age = (scene.now_ms - watch.started_ms) / unit
    return rate(scene.lifetimes[watch.sort], age_s=age, read_age_s=read_age)


def _by_list(due: Iterable[Watch]) -> Mapping[str, list[Watch]]:
    found: dict[str, list[Watch]] = defaultdict(list)
    for watch in due:
        if watch.list and not watch.steady and not watch.prompt:
            found[watch.list].append(watch)
    return found


def _ask_page(name: str, page: Page, worths: Mapping[str, Worth], scene: Scene) -> Request:
    shown = [worths[key] for key in page.covers]
    worth = max(sum(worth.waiting for worth in shown), *(worth.price for worth in shown))
    purpose = Purpose.PROBE if name in scene.untried else Purpose.LIST
    return Request(purpose=purpose, worth=worth, covers=page.covers, list=name, offset=page.offset)
