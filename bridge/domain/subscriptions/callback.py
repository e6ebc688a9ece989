"""The record of a callback: the registration of a URL for a job's events.

Times are Unix milliseconds. Records are packed as arrays, so new fields go to the end and carry a default.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct


class CallbackState(StrEnum):
    """The states of a callback; `paused` is a `watching` one whose account's key is refused, and is never stored."""

    WATCHING = "watching"
    PAUSED = "paused"
    ENDED = "ended"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Callback(Struct, frozen=True, array_like=True, kw_only=True):
    """A subscription to the events of one job, stored in that job's record."""

    id: str
    state: CallbackState
    created_ms: int
    url: bytes  # sealed by the vault under `id`, as `secret` and `headers` are
    origin: str  # "https://host:port", or "inbox:"
    masked: str  # what lists may show, as versions before 0.2 wrote it; empty: it is made of the URL
    fingerprint: bytes  # a keyed hash of the URL, for comparison without decrypting it
    once: bool = True  # closes with its job's first ending event
    events: tuple[str, ...] = ()  # patterns of event types; empty: the ending ones
    metadata: Any = None  # object or string, sent back with each event
    secret: bytes | None = None  # sealed own whsec_, None: the project's
    headers: bytes | None = None  # sealed JSON object
    payload: str = "full"
    expect: str = "any"
    from_run: int = 0  # `expect: new_run`: endings of earlier runs do not count
    timeout_s: float | None = None
    expires_ms: int = 0
    closed_ms: int = 0
    timed_out_run: int = 0  # the last run whose `.timed_out` was sent to it
    notified_run: int = 0  # the last run whose ending was sent to it, or kept from it by its filter
    auth_refused: str = ""  # the refusal of the account's key that it was last notified of
    late: bool = True  # with `once`: the ending that comes after its `.timed_out` follows
    owed_parts: bool = False  # it is still to hear of the parts that had ended before it was registered
    group: str = ""  # "kind/id" of the group whose member's watch this is; nothing is sent to it
    closed_by: str = ""  # such a watch: id of the event that closed it

    @property
    def takes_one_call(self) -> bool:
        """Whether its URL is used up by one ending."""
        return self.once

    @property
    def is_stopped(self) -> bool:
        """Whether pending deliveries are dropped; those of a callback that has only ended are still sent."""
        return self.state is CallbackState.CANCELLED
