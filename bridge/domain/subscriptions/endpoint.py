"""The record of a standing endpoint: a URL that gets all matching events of a project.

Times are Unix milliseconds. Records are packed as arrays, so new fields go to the end and carry a default.
"""

from typing import Any, Final

from msgspec import Struct

from bridge.domain.events.filters import matches

MOST_ENDPOINTS: Final = (
    100  # that a project may have: each of its events may become a delivery to all of them
)
EVERY_PERSONA: Final = "*"
DISABLED: Final = "endpoint disabled"  # why a delivery is parked whose endpoint is switched off


class Endpoint(Struct, frozen=True, array_like=True, kw_only=True):
    """A subscription to the events of a project, stored in the project's table.

    `url`, `secret`, `previous_secret` and `headers` are sealed by the vault under `id`.
    """

    id: str
    project: str
    created_ms: int
    url: bytes
    origin: str  # "https://host:port", or "inbox:"
    fingerprint: bytes  # a keyed hash of the URL, for comparison without decrypting it
    lane: str  # where its deliveries wait, see domain/deliveries/lanes.py
    secret: bytes
    previous_secret: bytes | None = None  # signs too, until `previous_expires_ms`
    previous_expires_ms: int = 0
    events: tuple[str, ...] = ()  # patterns of event types; empty: the ending ones
    personas: tuple[str, ...] = ()  # ids, or ("*",); empty: whatever the persona
    description: str = ""
    metadata: Any = None  # object or string, sent back with each event
    headers: bytes | None = None  # sealed JSON object
    payload: str = "full"
    rate: float | None = None  # deliveries a second at most
    enabled: bool = True
    disabled_ms: int = 0
    disabled_reason: str = ""
    schema: int = 1

    @property
    def masked(self) -> str:
        """Empty: lists show what is made of the URL."""
        return ""

    @property
    def takes_one_call(self) -> bool:
        """False: its URL goes on taking events."""
        return False

    @property
    def is_stopped(self) -> bool:
        """False: deliveries of a disabled endpoint are kept, and those of a deleted one find no subscription."""
        return False


def wants(endpoint: Endpoint, event_type: str, *, ending: bool, persona: str) -> bool:
    """Return whether an endpoint's filter lets an event through, enabled or not; `persona` is empty if it shows none."""
    if not matches(endpoint.events, event_type, ending=ending):
        return False
    return not endpoint.personas or EVERY_PERSONA in endpoint.personas or persona in endpoint.personas
