"""What reading one job now is worth: pure arithmetic over its lifetime's distribution.

Checking for an end that cannot be seen otherwise is the classic inspection problem (Barlow, Hunter, Proschan,
"Optimum checking procedures", 1963): check when (share ended since the last check) / density equals the price of a check plus the
time to the next one. Solved for the price, with the density taken as constant over the rest, this gives the most that
a read should cost now. A price has the unit seconds of waiting saved.
"""

from dataclasses import dataclass
from math import sqrt

from bridge.domain.polling.durations import Durations

LATE_START = 0.02  # of the jobs never read: had ended before they were registered
MAX_PRICE_FACTOR = 30.0  # a price is at most this many times the waiting that is expected to have gathered
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Priority:
    """`price`: the most a read of this job alone should cost. `waiting`: expected seconds its end went unseen so far.

    Of one read that shows many jobs the `waiting` adds up; its price does not, because the next such read is needed
    whether or not one of them ends.
    """

    price: float
    waiting: float


def rate(durations: Durations, *, age_s: float, read_age_s: float | None) -> Priority:
    """Rate a read at `age_s` of a job last seen alive at `read_age_s`, None: never seen."""
    now = durations.at(age_s)
    if read_age_s is None:
        sure, rest = LATE_START, 1 - LATE_START
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
