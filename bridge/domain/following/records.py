"""What is known of a followed persona; times are Unix milliseconds.

Records are packed as arrays, so new fields go to the end and carry a default.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from bridge.domain.subscriptions.endpoint import Endpoint

SWEEP: Final = ":sweep:"  # behind the shard's letter in the poll lane's member for a persona


class FollowState(StrEnum):
    """How far the bridge is with a persona."""

    STARTING = "starting"  # the baseline is being taken: nothing is told yet
    FOLLOWING = "following"
    UNAVAILABLE = "unavailable"  # the provider does not give the list; tried again daily


class Followed(Struct, frozen=True, array_like=True, kw_only=True):
    """A persona of an account, or all of them under `EVERY_PERSONA`, whose list `found` then holds."""

    state: FollowState = FollowState.STARTING
    reason: str = ""  # why it is unavailable
    since_ms: int = 0
    swept_ms: int = 0
    news_ms: int = 0  # when news or a running post was last seen
    interval_s: float = 0.0  # the present one, unscaled
    found: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()  # (source, when it was last synced) as far as that was told
    sources_ms: int = 0  # when the sources are to be read again; 0: they were never read
    sources_reason: str = ""  # why they cannot be read


def list_wanted(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    """Return the personas that endpoints name, disabled ones too; `EVERY_PERSONA` may be among them."""
    return frozenset(persona for endpoint in endpoints for persona in endpoint.personas)


def sweep_member(shard: str, persona: str) -> str:
    """Return the member of an account's poll lane that stands for the sweeps of a persona."""
    return f"{shard}{SWEEP}{persona}"


def read_sweep_member(member: str) -> str | None:
    """Return the persona whose sweeps a member stands for, None for a job's key."""
    return member[1 + len(SWEEP) :] if member.startswith(SWEEP, 1) else None
