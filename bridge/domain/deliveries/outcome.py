"""What an attempt says of its destination: of the URL when the receiver was reached, else of the URL's origin."""

from typing import Final

from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict

ANSWERED: Final = "g"  # 2xx
REFUSED: Final = "r"  # another answer, and it came soon
BROKEN: Final = "b"  # the connection broke soon, before an answer
TIMED_OUT: Final = "s"  # no answer in time, or a failure after a long while
UNREACHED: Final = "c"  # no connection: what the URL would have answered is unknown
OFFLINE: Final = "n"  # no connection, as to no other host lately: the trouble may be our own network's
UNSENT: Final = ""  # no attempt was made, so it says nothing

SUCCESSES: Final = frozenset({Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING})
SLOW_MS: Final = 1_000  # a failure that took longer keeps others waiting as a time-out does
_NOT_SENT: Final = frozenset({"internal", "refused_url", "refused_address"})


def outcome_of(answer: ReceiverAnswer, verdict: Verdict) -> str:
    """Return the letter under which the delivery queue notes an attempt's outcome."""
    if verdict is Verdict.SUCCEEDED:
        return ANSWERED
    if answer.failure in _NOT_SENT:
        return UNSENT
    if verdict in SUCCESSES:
        return ANSWERED
    if not answer.connected:
        return UNREACHED
    if answer.failure == "timeout" or answer.duration_ms >= SLOW_MS:
        return TIMED_OUT
    return BROKEN if answer.status is None else REFUSED
