"""Names and limits of the lanes in which deliveries wait.

There is one lane per project and origin; origins that never answered 2xx share one over all projects. So a dead
receiver delays nobody else, and the bridge is no reflector: a stranger's host gets few attempts at a time, however many
projects name it.
"""

INBOX = "inbox:"  # the origin of the built-in inbox
UNPROVEN = "?"  # first character of the shared lane of an origin that never answered 2xx

CAP = 10
UNPROVEN_CAP = 2
FAILING_CAP = 1
FAILING_AFTER = 5  # failures in a row


def lane_of(project: str, origin: str, *, proven: bool) -> str:
    """Return the name of the lane for deliveries to an origin; `proven` when it has ever answered 2xx."""
    if origin == INBOX or proven:
        return f"{project} {origin}"
    return f"{UNPROVEN} {origin}"


def origin_of(lane: str) -> str:
    """Return the origin that a lane leads to."""
    return lane.split(" ", 1)[1]


def cap_of(lane: str, *, proven: bool, failures: int) -> int:
    """Return how many attempts a lane may have in flight after so many failures in a row."""
    if lane.startswith(UNPROVEN) and not proven:
        return UNPROVEN_CAP if failures < FAILING_AFTER else FAILING_CAP
    return CAP if failures < FAILING_AFTER else FAILING_CAP
