"""What an upstream account may spend: the limits a provider documents, what a grant gives, and what people are shown.

The counting itself is one script (`store/lua/spend_v1.lua`), because all workers of an account share one budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SHARE = 0.8


class Purpose(StrEnum):
    """What a request is for, as it is counted and shown."""

    SINGLE = "single"  # one job's own read
    LIST = "list"  # one page that shows many jobs
    CONFIRM = "confirm"  # a second look before a surprising answer counts
    PROBE = "probe"  # does this account have a list that is documented nowhere?


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A documented rate limit: `name` is its own bucket at the provider, `requests` fit into `window_s` seconds."""

    name: str
    requests: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit of one account. `is_only`: every poll of the account counts under it."""

    account: str
    limit: Limit
    is_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReport:
    """What one answer said of the limit; `request` is the id that its grant gave, empty for a call of the client's.

    Times in Unix milliseconds; None where the answer does not say. `quiet_ms` comes with a 429: nothing before then.
    `shared` and `batched` count requests that it saved: callbacks that share one job's read, jobs on one page.
    """

    request: str = ""
    limit: int | None = None
    remaining: int | None = None
    reset_ms: int | None = None
    quiet_ms: int | None = None
    shared: int = 0
    batched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How many of the requests asked for may go out now, the first ones in order of worth.

    `requests` are their ids, to come back in `Heard`. `wait_ms`: when to ask for more, 0 when all were granted.
    `pace_ms` is the time a request takes at the present pace. `remaining` is None until an answer tells it.
    """

    now_ms: int
    requests: tuple[str, ...]
    wait_ms: int
    ms_per_request: int
    limit: int
    remaining: int | None
    reset_ms: int
    own: int
    client: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """A budget as `GET /v1/accounts` shows it; `spent`, `shared`, `batched` count since the account was first used.

    `pace_ms` is what a request takes now, `turn_ms` how long a job waited for its turn when last planned.
    """

    limit: int
    window_ms: int
    remaining: int | None
    reset_ms: int
    share: float
    client_peak: int
    quiet_ms: int
    limited: int
    ms_per_request: int
    turn_ms: int
    shared: int
    batched: int
    spent: Mapping[Purpose, int] = field(default_factory=dict)

    def expected_delay_s(self, watched: int) -> float:
        """Give how many seconds a job waits for its turn on average, where so many are watched."""
        return self.turn_ms / 2000 if watched else 0.0


def read_view(state: Mapping[str, float], documented: Limit, *, share: float, now_ms: int) -> BudgetView:
    """Give what a budget's stored state shows; of a window that is over nothing is left to tell."""
    reset_ms = int(state.get("reset", 0))
    remaining = state.get("remaining") if reset_ms > now_ms else None
    return BudgetView(
        limit=int(state.get("limit", documented.requests)),
        window_ms=int(state.get("window", documented.window_s * 1000)),
        remaining=None if remaining is None else int(remaining),
        reset_ms=max(reset_ms, 0),
        share=share,
        client_peak=round(max(state.get("peak", 0), state.get("client", 0))),
        quiet_ms=int(state.get("quiet", 0)) if state.get("quiet", 0) > now_ms else 0,
        limited=int(state.get("limited", 0)),
        ms_per_request=int(state.get("pace", documented.window_s * 1000 / documented.requests)),
        turn_ms=int(state.get("turn", 0)),
        shared=int(state.get("shared", 0)),
        batched=int(state.get("batched", 0)),
        spent={purpose: int(state.get(f"spent:{purpose}", 0)) for purpose in Purpose},
    )
