"""Rate limits of upstream accounts: what a provider documents, what is asked and granted, and what people are shown.

The counting itself is one script (`store/lua/spend_v2.lua`), because all workers of an account share one budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct

SHARE = 0.8  # of a limit that is always ours; the rest is kept for the client while it may need it


class Purpose(StrEnum):
    """What a request is for, as it is counted and shown."""

    SINGLE = "single"  # one job's own read
    LIST = "list"  # one page that shows many jobs
    CONFIRM = "confirm"  # a second look before a surprising answer counts
    PROBE = "probe"  # a first call of a list that is documented nowhere and may not be there


class Limit(Struct, frozen=True, kw_only=True, gc=False):
    """A documented rate limit: under its `name` the provider lets `requests` through in `window_s` seconds."""

    name: str
    requests: int
    window_s: float


class Bucket(Struct, frozen=True, gc=False):
    """One limit of one account. `is_only`: every poll of the account counts under it."""

    account: str
    limit: Limit
    is_only: bool = True


class RateReport(Struct, frozen=True, kw_only=True, gc=False):
    """What one answer said of a limit.

    `request` is the id that its grant gave, empty for a request that no budget granted. Times are in Unix milliseconds,
    None where the answer does not say. `quiet_ms` comes with a 429: nothing may be asked before then. `shared` and
    `batched` count requests that it saved: callbacks that share one job's read, jobs on one page. `others` are the ids of
    requests whose answers named the same limit and window with no less left, so that they have nothing to add.
    """

    request: str = ""
    limit: int | None = None
    remaining: int | None = None
    reset_ms: int | None = None
    quiet_ms: int | None = None
    shared: int = 0
    batched: int = 0
    others: Sequence[str] = ()


class Grant(Struct, frozen=True, kw_only=True, gc=False):
    """How many of the requests asked for may go out now: the first ones, in the order asked for.

    `requests` are their ids, which come back in a `RateReport`. `wait_ms` is the time until more may be had, 0 when all
    were granted and no pause is on. `ms_per_request` is the present pace. `remaining` is None until an answer says it.
    `own` and `client` count the requests of this window.
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
    """A budget as `GET /v1/accounts` shows it.

    `spent`, `shared`, `batched` and `limited` (429s) count since the account was first used. `ms_per_request` is the
    present pace, `turn_ms` how long a job waited for its turn when last planned, `quiet_ms` when a pause ends, 0: none.
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
    client: int = 0  # requests of the client in this window
    spent: Mapping[Purpose, int] = field(default_factory=dict)

    def expected_delay_s(self, watched: int) -> float:
        """Return how many seconds a job waits for its turn on average, 0 where none is watched."""
        return self.turn_ms / 2000 if watched else 0.0


def read_view(state: Mapping[str, float], documented: Limit, *, share: float, now_ms: int) -> BudgetView:
    """Return what a budget's stored state shows; what is left of a window is unknown once it is over."""
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
        client=0 if remaining is None else round(state.get("client", 0)),
        spent={purpose: int(state.get(f"spent:{purpose}", 0)) for purpose in Purpose},
    )
