"""The books: what was accepted, what came of it, and for each POST too many a reason."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.chaos.fleet import Away
from tests.e2e.chaos.moody_receivers import LATE_S, Arrival, Fate
from tests.e2e.crash.checks import find_excuse
from tests.e2e.crash.killable_service import Kill

PROGRESS = frozenset({"running", "generating", "processing", "publishing"})
SERVICE = frozenset({"delivery.parked", "endpoint.failing"})  # of the bridge's own, not of a job
STAMP_S = 60.0  # how far a `webhook-timestamp` may be from the receiver's clock, on a loaded machine
REASONS: Mapping[Fate, str] = {
    "reset": "the receiver read it and reset the connection",
    "late": "the receiver answered after the time limit",
}
STOOD_STILL = "the attempt is recorded as unanswered: worker or machine stood still past the time limit"
EXCUSES = {
    "worker": "the worker was killed with the attempt in flight",
    "all": "all processes were killed with the attempt in flight",
    "store": "the store was killed within a second of the answer",
}


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A job whose registration was accepted: its ending, and the places that its event must reach, by subscription."""

    job: str
    ending: str
    places: Mapping[str, str]


@dataclass(kw_only=True)
class Books:
    """What a run came to; it is right if `problems` is empty."""

    events: int = 0
    deliveries: int = 0
    delivered: int = 0
    parked: int = 0  # at receivers that refuse for ever
    exhausted: int = 0  # parked too, because the last attempt after an unanswered one failed as well
    lost: int = 0
    repeated: Counter[str] = field(default_factory=Counter)
    refused: int = 0  # POSTs that were answered 503, after which another one is due
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Books") -> None:
        """Add those of another round."""
        for name in ("events", "deliveries", "delivered", "parked", "exhausted", "lost", "refused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.repeated += other.repeated
        self.problems += other.problems


def balance(
    accepted: Iterable[Accepted],
    *,
    events: Sequence[Mapping[str, Any]],
    deliveries: Sequence[Mapping[str, Any]],
    arrivals: Sequence[Arrival],
    kills: Sequence[Kill],
    away: Sequence[Away],
) -> Books:
    """Compare what was accepted with the feed's events, the deliveries as the API lists them, and what receivers got."""
    books = Books()
    expected = {each.job: each for each in accepted}
    told = _match_events(books, expected, events)
    wanted = {
        (subscription, told[job]): (job, place)
        for job, each in expected.items()
        if job in told
        for subscription, place in each.places.items()
    }
    found = {_key(each): each for each in deliveries}
    if len(found) != len(deliveries):
        books.problems.append("a subscription has two deliveries of one event")
    books.deliveries = sum(len(each.places) for each in expected.values())
    books.lost = books.deliveries - len(wanted.keys() & found.keys())
    books.problems += [f"no delivery of {key}: {wanted[key]}" for key in wanted.keys() - found.keys()]
    books.problems += [f"invented delivery {key}" for key in found.keys() - wanted.keys()]
    came = _group_arrivals(books, expected, told, wanted, arrivals)
    for key in wanted.keys() & found.keys():
        _judge_delivery(books, found[key], came.get((wanted[key][1], key[1]), []), kills, away)
    return books


def _key(delivery: Mapping[str, Any]) -> tuple[str, str]:
    return delivery["callback_id"] or delivery["endpoint_id"], delivery["event_id"]


def _match_events(
    books: Books, expected: Mapping[str, Accepted], events: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Return the ending event of each job; each has one, and nothing else was told but its progress, once."""
    told: dict[str, str] = {}
    progress: set[tuple[str, str]] = set()
    for each in events:
        job, type_ = each["job_id"], each["type"]
        if job in expected and type_ == expected[job].ending and job not in told:
            told[job] = each["id"]
        elif job in expected and type_.partition(".")[2] in PROGRESS and (job, type_) not in progress:
            progress.add((job, type_))
        elif type_ not in SERVICE:
            books.problems.append(f"invented or doubled event {each['id']} {type_} of {job}")
    if len({each["id"] for each in events}) != len(events):
        books.problems.append("two events share an id")
    books.events = len(expected)
    silent = expected.keys() - told.keys()
    books.problems += [f"no event of {job}" for job in silent]
    return told


def _group_arrivals(
    books: Books,
    expected: Mapping[str, Accepted],
    told: Mapping[str, str],
    wanted: Mapping[tuple[str, str], tuple[str, str]],
    arrivals: Sequence[Arrival],
) -> Mapping[tuple[str, str], list[Arrival]]:
    """Return the POSTs by place and event, in order; each is of an expected event, at a place that it must reach."""
    places = {(place, event) for (_, event), (_, place) in wanted.items()}
    came: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for each in sorted(arrivals, key=lambda arrival: arrival.arrived_at):
        came[each.place, each.event].append(each)
        if (each.place, each.event) not in places:
            books.problems.append(f"invented POST {each}")
        elif told[each.job] != each.event or expected[each.job].ending != each.type:
            books.problems.append(f"a fact has two ids or types: {each}")
        if abs(each.stamp_s - each.arrived_at) > STAMP_S:
            books.problems.append(f"stamped by a wrong clock: {each}")
    return came


def _judge_delivery(
    books: Books,
    delivery: Mapping[str, Any],
    came: Sequence[Arrival],
    kills: Sequence[Kill],
    away: Sequence[Away],
) -> None:
    """Count a delivery's end, and each POST that followed one which had been read and not refused."""
    state, fates = delivery["state"], {each.fate for each in came}
    is_taken = "ok" in fates or ("late" in fates and any(map(_is_late_success, delivery["attempts"])))
    if state == "succeeded" and is_taken and "refused" not in fates:
        books.delivered += 1
    elif state == "parked" and fates == {"refused"}:
        books.parked += 1
    elif state == "parked" and fates and not any(_is_success(each) for each in delivery["attempts"]):
        books.exhausted += 1
    else:
        books.lost += 1
        books.problems.append(f"{state} after {sorted(fates)}: {delivery}")
    books.refused += sum(each.fate in ("busy", "refused") for each in came)
    # Attempts without an answer whose receiver did answer: the machine stood still, and the time was up.
    spare = sum(each["status"] is None for each in delivery["attempts"])
    spare -= sum(each.fate in REASONS for each in came)
    for before in came[:-1]:
        if before.fate in ("busy", "refused"):
            continue
        reason = REASONS.get(before.fate) or find_reason(before, kills, away)
        if not reason and spare > 0:
            spare, reason = spare - 1, STOOD_STILL
        if not reason:
            books.problems.append(f"repeated without a reason: {before}\n{list(came)}\n{delivery}\n{kills}")
        books.repeated[reason] += 1


def _is_success(attempt: Mapping[str, Any]) -> bool:
    return attempt["status"] is not None and 200 <= attempt["status"] < 300


def _is_late_success(attempt: Mapping[str, Any]) -> bool:
    """Whether an answer counts that came after the time limit: the worker stood still, and found it when it went on."""
    return _is_success(attempt) and attempt["duration_ms"] >= LATE_S * 1000


def find_reason(post: Arrival, kills: Sequence[Kill], away: Sequence[Away]) -> str:
    """Return why the answer to a POST can have been lost; empty: it cannot."""
    if excuse := find_excuse(post, kills):
        return EXCUSES[excuse]
    for each in away:
        if each.outlasts_leases and each.began - 3.0 <= post.answered_at and post.arrived_at <= each.ended:
            return f"the worker was {each.how} for longer than the attempt's lease"
    return ""
