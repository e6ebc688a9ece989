"""What all kinds of subscriptions have in common."""

from typing import Any, Protocol


class Subscription(Protocol):
    """A URL to which events are delivered, with their filter, format and signing secret.

    The prefix of `id` shows the kind: `cb_` is a callback, which is stored in its job's record, `ep_` an endpoint, which is
    stored in its project's table. Only the code that
    registers or ends a kind needs more than this; deliveries, requests and their lanes work for all kinds.

    `url`, `secret` and `headers` are sealed by the vault under `id`. For the lane of its
    deliveries see `domain/deliveries/lanes.py`, for the effect of a 410 `services/deliveries/gone.py`.
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
        """The URL as lists may show it, in records that earlier versions wrote; empty where it is made of the URL."""

    @property
    def fingerprint(self) -> bytes:
        """A keyed hash of the URL, by which two with the same URL are found."""

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
        """Whether pending deliveries are dropped; one that a client asked for is still sent."""
