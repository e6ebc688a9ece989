"""Models of callbacks, which `views` fills and OpenAPI describes."""

from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other TypedDict before Python 3.12

from bridge.api.words import one_of
from bridge.domain.jobs.watches import CHAIN, GROUP
from bridge.providers.registry import PROVIDERS

# Each provider's kinds, those that cannot be registered last, and jobs that are waited for together.
Kind = Annotated[
    str,
    one_of(
        (
            *(
                kind.name
                for provider in PROVIDERS.values()
                for kind in sorted(provider.kinds.values(), key=lambda kind: not kind.registrable)
            ),
            GROUP,
            CHAIN,
        )
    ),
]
CallbackWord = Literal["watching", "paused", "ended", "timed_out", "cancelled"]


class ProgressShape(TypedDict):
    """How many jobs a callback with `wait_for` waits for, and how many of them have ended."""

    total: int
    ended: int


class CallbackShape(TypedDict):
    """A registered URL for one job, or for several that are waited for together."""

    id: str
    object: Literal["callback"]
    kind: str
    job_id: str
    account_id: str
    state: CallbackWord
    status: str | None
    callback_url: str
    events: list[str]
    once: bool
    late: bool
    metadata: dict[str, Any] | str | None
    payload: str
    expect: str
    timeout_seconds: float | None
    run: int
    created_at: str
    expires_at: str | None
    next_poll_at: str | None
    closed_at: str | None
    progress: ProgressShape | None
    updated: NotRequired[bool]


class CallbackGroup(TypedDict):
    """The callbacks that a request with `job_ids` registered; `id` is the first one's."""

    id: str
    data: list[CallbackShape]


class CallbackPage(TypedDict):
    """Callbacks, newest first."""

    data: list[CallbackShape]
    next_cursor: str | None
