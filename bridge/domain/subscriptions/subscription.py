"""What every receiver of events has in common, however it was registered."""

from typing import Any, Protocol


class Subscription(Protocol):
    """A URL to which events are delivered, with how they are filtered, written and signed.

    The prefix of `id` names the kind: `cb_` is a callback, which lives in its job's record. Only the code that registers
    or ends a kind knows more of it than this; deliveries, requests and their lanes work for all kinds.

    `url`, `secret` and `headers` are sealed by the vault under `id`. The lane of its deliveries is named in
    `domain/deliveries/lanes.py`; what a 410 does to it stands in `services/deliveries/gone.py`.
    """

    @property
    def id(self) -> str:
        """The id that clients use."""

    @property
    def url(self) -> bytes:
        """The sealed URL."""

    @property
    def origin(self) -> str:
        """The URL's origin, `https://host:port`, or `inbox:` for the built-in inbox."""

    @property
    def masked(self) -> str:
        """The URL as lists and logs may show it; empty when that is the origin and `/…`."""

    @property
    def secret(self) -> bytes | None:
        """The sealed signing secret; None: the project's secret signs."""

    @property
    def headers(self) -> bytes | None:
        """The sealed JSON object of extra request headers."""

    @property
    def events(self) -> tuple[str, ...]:
        """The filter: patterns of event types; empty: those that end a job."""

    @property
    def payload(self) -> str:
        """The form of the body, one of `PAYLOADS`."""

    @property
    def metadata(self) -> Any:
        """The client's own value, sent back with each event."""

    @property
    def takes_one_call(self) -> bool:
        """Whether its URL is used up by one ending, as that of a workflow that waits to be resumed."""

    @property
    def is_stopped(self) -> bool:
        """Whether waiting deliveries are dropped; one that a person asked for is still sent."""
