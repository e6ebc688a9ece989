"""Models of the answers about endpoints."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other TypedDict before Python 3.12

from bridge.api.responses.following_models import FollowingShape


class WarningShape(TypedDict):
    """What somebody should look after; `at` is when it happened, or will at the earliest."""

    code: Literal["endpoint_failing", "endpoint_disabled"]
    endpoint_id: str
    message: str
    at: str


class BreakerShape(TypedDict):
    """Whether deliveries to a URL are held back because it failed `failures` times in a row.

    `closed`: they are not. `open`: nothing is sent before `next_attempt_at`. `half_open`: one attempt decides.
    """

    state: Literal["closed", "open", "half_open"]
    failures: int
    opened_at: str | None
    next_attempt_at: str | None


class EndpointShape(TypedDict):
    """A standing URL; `secret` is shown only in the answers that make one."""

    id: str
    object: Literal["endpoint"]
    url: str
    events: list[str]
    personas: list[str] | None
    following: FollowingShape | None
    description: str
    metadata: dict[str, Any] | str | None
    payload: str
    rate_limit_per_second: float | None
    enabled: bool
    disabled_at: str | None
    disabled_reason: str | None
    breaker: BreakerShape
    created_at: str
    previous_secret_expires_at: str | None
    secret: NotRequired[str]
    note: NotRequired[str]


class EndpointPage(TypedDict):
    """Endpoints, newest first."""

    data: list[EndpointShape]
    next_cursor: str | None


class EndpointSecretShape(TypedDict):
    """The secret that signs an endpoint's deliveries; the former one signs too until `previous_expires_at`."""

    id: str
    object: Literal["secret"]
    secret: str
    previous_expires_at: str | None
