"""The keys of the breakers of URLs, in the notation of `bridge.store.keys`.

Key                     Type    Content                                             Owner                Removed
{s}:dlv:streaks         zset    lane -> its last failure: s * 1000 + in a row       queue/fair_lanes     by a 2xx; after 1 d, by the sweep
{s}:dlv:opened          zset    lane -> ms at which its breaker opened              queue/fair_lanes     after the ramp; 1 d empty, by the sweep
{s}:dlv:ramps           zset    lane in `opened` -> ms of the 2xx that closed it    queue/fair_lanes     with `opened`

The sleep of an open breaker is the lane's gate.
"""


def streaks(letter: str) -> str:
    """Return the key of the lanes whose last attempts failed in a row."""
    return f"{{{letter}}}:dlv:streaks"


def opened(letter: str) -> str:
    """Return the key of the lanes whose breaker is open, or was until a moment ago."""
    return f"{{{letter}}}:dlv:opened"


def ramps(letter: str) -> str:
    """Return the key of the lanes whose breaker has just closed."""
    return f"{{{letter}}}:dlv:ramps"
