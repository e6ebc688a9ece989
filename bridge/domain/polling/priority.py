"""How urgent it is to read one job now, from the distribution of how long such jobs take.

Looking for an end that cannot be seen otherwise is the classic inspection problem (Barlow, Hunter, Proschan, "Optimum
checking procedures", 1963): inspect when (share ended since the last inspection) / density equals the price of an
inspection plus the time to the next one. Solved for the price, with the density taken as constant from here on, this
gives the most that a read should cost now. The unit of a price is seconds of waiting saved.
"""

from dataclasses import dataclass
from math import sqrt

from bridge.domain.polling.durations import Durations

ENDED_BEFORE = 0.02  # the share of jobs that had ended before they were registered
MAX_PRICE_FACTOR = 30.0  # a price is at most this many times the expected waiting
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Priority:
    """How urgent a read of a job is.

    `price` is the most that a read of this job alone should cost, `waiting` the expected seconds for which its end has
    gone unseen so far. For one read that shows many jobs the `waiting` adds up, but not the price, because the next such
    read is needed whether or not one of them ends.
    """

    price: float
    waiting: float


def rate(durations: Durations, *, age_s: float, read_age_s: float | None) -> Priority:
    """Return the priority of a read at `age_s` of a job last seen running at `read_age_s`, None: never seen."""
    now = durations.at(age_s)
    if read_age_s is None:
        sure, rest = ENDED_BEFORE, 1 - ENDED_BEFORE
        gone, left = sure + rest * now.ended, rest * (1 - now.ended)
        density = max(rest * now.density, _EPSILON)
        waiting = sure * max(age_s, 0.0) + rest * now.area
    else:
        read_age_s = min(read_age_s, age_s)  # a clock may step back
        then = durations.at(read_age_s)
        alive = max(1 - then.ended, _EPSILON)
        gone, left, density = now.ended - then.ended, 1 - now.ended, max(now.density, _EPSILON)
        waiting = max(0.0, (now.area - then.area - then.ended * (age_s - read_age_s)) / alive)
    passed, ahead = gone / density, left / density
    root = (sqrt(2 * ahead + 4 * passed) - sqrt(2 * ahead)) / 2
    return Priority(min(root * root, MAX_PRICE_FACTOR * waiting), waiting)
