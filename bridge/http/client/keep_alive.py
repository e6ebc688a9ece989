"""How long a connection may be idle before it is not used again.

A request that meets a connection which the peer is just closing is lost, and nobody can tell whether it was read. So
connections are left well before their peer's limit: half of what its `Keep-Alive` header promises, or half of the time
after which it was seen to close one.
"""

import re

MAX_IDLE_S = 3.0
# Without a promise: behind TLS stand proxies that wait a minute, and a handshake costs much; plain HTTP is spoken by
# small servers, some of which wait a second, and a connection costs little.
UNKNOWN_TLS_IDLE_S = MAX_IDLE_S
UNKNOWN_PLAIN_IDLE_S = 0.5
MIN_SEEN_IDLE_S = (
    0.2  # a server that restarts closes all of its connections: this says nothing about its limit
)
_TIMEOUT = re.compile(r"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class KeepAlive:
    """What is known of one origin's limit."""

    __slots__ = ("_seen_s", "_unknown_s")

    def __init__(self, *, tls: bool) -> None:
        self._unknown_s = UNKNOWN_TLS_IDLE_S if tls else UNKNOWN_PLAIN_IDLE_S
        self._seen_s = MAX_IDLE_S

    def limit_s(self, header: str | None) -> float:
        """Return for how many seconds a connection may be idle after a response with this `Keep-Alive` header."""
        promise = _TIMEOUT.search(header) if header else None
        return min(self._seen_s, int(promise[1]) / 2 if promise else self._unknown_s)

    def note_closed(self, idle_s: float) -> None:
        """Take into account that the peer closed a connection that was idle for so long."""
        self._seen_s = min(self._seen_s, max(idle_s / 2, MIN_SEEN_IDLE_S))
