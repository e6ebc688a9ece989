"""When the next attempt of a delivery comes and what it waits for, in words. No I/O."""

from bridge.domain.counts import say_count
from bridge.domain.deliveries.breaker import Breaker
from bridge.domain.deliveries.lanes import INBOX, read_origin
from bridge.domain.deliveries.records import Delivery
from bridge.domain.times import iso_ms
from bridge.services.deliveries.waits import LATE_MS, Wait
from bridge.store.queue.standings import LaneStanding


def name_place(lane: str) -> str:
    """Return where a lane leads, as users may read it."""
    origin = read_origin(lane)
    return "the inbox" if origin == INBOX else origin


def describe_next_attempt(delivery: Delivery, due_ms: int, wait: Wait | None) -> str:
    """Return a sentence about the attempt that is due at `due_ms`; negative: one is in flight until then."""
    attempt = f"Attempt {delivery.tries + 1} to {name_place(delivery.lane)}"
    if due_ms == -delivery.busy_ms:
        return (
            f"Attempt {delivery.tries + 2} to {name_place(delivery.lane)}, as soon as the one has ended that was in flight "
            "when the callback or delivery was changed."
        )
    if due_ms >= 0:
        return f"{attempt}{explain_wait(wait) if wait else ''}."
    if wait:
        return (
            f"{attempt} was taken by a worker: it is in flight, or begins before {iso_ms(wait.begins_by_ms)}."
        )
    return f"{attempt} is in flight."


def explain_delay(delivery: Delivery, due_ms: int | None, wait: Wait | None) -> str | None:
    """Return `describe_next_attempt` where something holds the attempt back, else None."""
    if due_ms is None or (wait is None and due_ms != -delivery.busy_ms):
        return None
    begins_at_once = wait is not None and due_ms >= 0 and not explain_wait(wait)
    return None if begins_at_once else describe_next_attempt(delivery, due_ms, wait)


def explain_wait(wait: Wait) -> str:
    """Return why an attempt that is due has not begun, to stand behind where it goes; empty where it begins at once."""
    if wait.late_ms > LATE_MS and not wait.workers:
        return " is due and waits: no worker is running"
    standing = wait.standing
    if standing is not None and wait.is_asleep:
        return _explain_sleep(standing.breaker)
    if standing is not None and standing.in_flight >= standing.per_url:
        if standing.per_url > 1:
            return f" is due and waits: {standing.in_flight} attempts are in flight to this URL, as many as may be"
        return " is due and waits: an attempt to this URL is in flight, and it gets one at a time until it answers 2xx"
    if standing is not None and standing.before is not None and not standing.has_room:
        return _explain_turn(standing, standing.before)
    if wait.late_ms <= LATE_MS:
        return ""
    kept = "" if standing is None or standing.kind == "healthy" else "; some are kept for URLs that answer"
    return f" is due and waits for a free slot of a worker{kept}"


def _explain_sleep(breaker: Breaker) -> str:
    if breaker.is_ramping:
        return " is due and waits: this URL has just answered 2xx again, and what waits for it is let out step by step"
    return (
        f" is due and waits, which costs no attempt: this URL has failed {breaker.failures} times in a row, so it is left alone "
        f"until {iso_ms(breaker.sleeps_until_ms)}; then one attempt looks whether it is back"
    )


def _explain_turn(standing: LaneStanding, before: int) -> str:
    attempts = f"{standing.origin_in_flight} of {standing.origin_most} attempts"
    why = {
        "stranger": f"this host has never answered 2xx, so {attempts} over all its URLs are in flight",
        "unreachable": "connecting to this host failed several times in a row, so one attempt at a time tries it",
        "slow": f"this URL took too long the last time, and {attempts} for such URLs of the host are in flight",
    }.get(standing.kind, f"{attempts} for this host are in flight")
    if standing.origin_in_flight < standing.origin_most and standing.kind != "unreachable":
        why += ", and they begin a few at a time"
    if before == 0:
        return f" is due and waits for its turn, which comes next: {why}"
    return f" is due and waits for its turn: {why}; {say_count(before, 'other URL is', 'other URLs are')} before it"
