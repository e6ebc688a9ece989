"""Pauses of accounts: after a 429, and while a budget has nothing to grant, an account's polls sleep.

One record says until when: the budget's own state, which `spend_v2.lua` keeps for all workers. The gate of the
account's lane is derived from the budget's answer, here and nowhere else. A gate that is gone, because a replaced
credential has opened it or because its worker died before writing it, comes back with the next claim: whoever plans
asks the same budget, gets the same answer, and closes the lane again.
"""

from collections.abc import Iterable, Mapping, Sequence

from bridge.domain.polling.rate_limit import Bucket, Grant, RateReport
from bridge.services.context import Services
from bridge.store.tables.rate_budgets import Ask

MIN_SLEEP_MS = 50  # a shorter wait needs no gate: the jobs that were put back wait by themselves


async def report_responses(services: Services, reports: Mapping[Bucket, Sequence[RateReport]]) -> None:
    """Report answers to the budgets of their accounts; an account that must pause sleeps until its pause ends.

    A report with `quiet_ms` (a 429) pauses the account, whether or not a budget had granted the request.
    """
    asked = [
        Ask(account=bucket.account, limit=bucket.limit, reports=said) for bucket, said in reports.items()
    ]
    answers = await services.store.budgets.spend_many(asked)
    await close_lanes(services, zip(reports, answers, strict=True))


async def close_lanes(services: Services, answers: Iterable[tuple[Bucket, Grant]]) -> None:
    """Let the lane of each account sleep for as long as its budget said to wait.

    A limit that only some of an account's polls count under closes nothing: its jobs wait one by one, the others go on.
    """
    by_shard: dict[str, dict[str, int]] = {}
    for bucket, grant in answers:
        if bucket.is_only and grant.wait_ms >= MIN_SLEEP_MS:
            by_shard.setdefault(services.store.shard_of(bucket.account), {})[bucket.account] = grant.wait_ms
    for shard, lanes in by_shard.items():
        await services.store.poll.block_many(shard, lanes)
