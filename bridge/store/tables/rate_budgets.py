"""Rate budgets of accounts, spent in one script, so that all workers together stay within a limit."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.polling.rate_limit import SHARE, BudgetView, Grant, Limit, Purpose, RateReport, read_view
from bridge.store import keys
from bridge.store.cluster_commands import Bytes
from bridge.store.scripts import SCRIPTS, ScriptCall, run_many

LOST_MS = 20_000  # an answer that takes longer is lost, since the time limit of a read is shorter
MAX_OPEN = 16  # requests of one account in flight


class Ask(Struct, frozen=True, kw_only=True, gc=False):
    """What one account reports and asks for under one limit: answers' rate headers, and requests by priority.

    At most `max_open` may be without an answer; None: a client waits for them, who gets all or none as far as the
    window reaches. `turn_ms`: how long a job waits for its turn now, for people.
    """

    account: str
    limit: Limit
    wanted: Sequence[Purpose] = ()
    reports: Sequence[RateReport] = ()
    max_open: int | None = MAX_OPEN
    turn_ms: int | None = None


class Budgets:
    """The budgets of accounts, one for each limit that their provider documents; `shard_of` returns their shard.

    `now_ms` is None in service: the script then takes the server's time, which all workers share.
    """

    def __init__(
        self,
        redis: Redis,
        shard_of: Callable[[str], str],
        *,
        share: float = SHARE,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        """Take the share of a limit that the bridge may always use."""
        self._redis = redis
        self._shard_of = shard_of
        self._share = share
        self._now_ms = now_ms

    async def spend(
        self,
        account: str,
        limit: Limit,
        wanted: Sequence[Purpose] = (),
        *,
        reports: Sequence[RateReport] = (),
    ) -> Grant:
        """Spend for one account; see `spend_many`."""
        return (await self.spend_many((Ask(account=account, limit=limit, wanted=wanted, reports=reports),)))[
            0
        ]

    async def spend_many(self, asked: Sequence[Ask]) -> list[Grant]:
        """Report answers, then ask for requests, in one round trip; of each account the first ones are granted."""
        return [
            _read_grant(answer) for answer in await run_many(self._redis, [self._call(ask) for ask in asked])
        ]

    async def debit_many(self, sent: Sequence[tuple[str, Limit, int]]) -> None:
        """Count requests that clients sent through the bridge, as (account, limit, number), in one round trip."""
        now: Bytes = "" if self._now_ms is None else self._now_ms()
        calls = []
        for account, limit, number in sent:
            where = (keys.budget(self._shard_of(account), account, limit.name),)
            args = (now, round(limit.window_s * 1000), number)
            calls.append(ScriptCall(SCRIPTS["debit_v1"], where, args))
        await run_many(self._redis, calls)

    def _call(self, ask: Ask) -> ScriptCall:
        shard = self._shard_of(ask.account)
        where = [
            name(shard, ask.account, ask.limit.name)
            for name in (keys.budget, keys.budget_sent, keys.budget_open)
        ]
        now: Bytes = "" if self._now_ms is None else self._now_ms()
        window_ms = round(ask.limit.window_s * 1000)
        args: list[Bytes] = [now, ask.limit.requests, window_ms, str(self._share), LOST_MS]
        args += (
            "" if ask.max_open is None else ask.max_open,
            "" if ask.turn_ms is None else ask.turn_ms,
            len(ask.reports),
        )
        for each in ask.reports:
            said = (each.limit, each.remaining, each.reset_ms, each.quiet_ms)
            args += (1 + len(each.others), each.request, *each.others)
            args += ("" if value is None else value for value in said)
            args += (each.shared, each.batched)
        return ScriptCall(SCRIPTS["spend_v2"], where, [*args, *ask.wanted])

    async def view(self, account: str, limit: Limit, *, now_ms: int) -> BudgetView:
        """Return a budget as it is shown to users."""
        return (await self.view_many([(account, limit)], now_ms=now_ms))[0]

    async def view_many(self, asked: Sequence[tuple[str, Limit]], *, now_ms: int) -> list[BudgetView]:
        """Return the budgets of accounts under a limit each, in order, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for account, limit in asked:
            pipe.hgetall(keys.budget(self._shard_of(account), account, limit.name))
        views = []
        for (_, limit), found in zip(asked, await pipe.execute() if asked else (), strict=True):
            state = {name.decode(): float(value) for name, value in found.items()}
            views.append(read_view(state, limit, share=self._share, now_ms=now_ms))
        return views


def _read_grant(answer: Sequence[bytes]) -> Grant:
    now_ms, granted, first, wait, pace, most, left, reset, own, client = map(int, answer)
    return Grant(
        now_ms=now_ms,
        requests=tuple(str(first + number) for number in range(granted)),
        wait_ms=wait,
        ms_per_request=pace,
        limit=most,
        remaining=None if left < 0 else left,
        reset_ms=reset,
        own=own,
        client=client,
    )
