"""Models of what answers say about followed personas."""

from typing import Literal

from typing_extensions import TypedDict  # pydantic reads no other TypedDict before Python 3.12

FollowStateName = Literal["starting", "following", "unavailable"]


class FollowedShape(TypedDict):
    """One persona that an account is followed for; `*` stands for the list of personas.

    `interval_seconds` is the time between two sweeps at present, null before the first.
    """

    persona: str
    state: FollowStateName
    reason: str | None
    interval_seconds: float | None
    swept_at: str | None
    following_since: str | None


class FollowingShape(TypedDict):
    """How far the bridge is with an endpoint's personas: the state is that of the one that is least far."""

    state: FollowStateName
    reason: str | None
    personas: list[FollowedShape]
