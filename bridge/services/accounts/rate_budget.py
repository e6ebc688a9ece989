"""Spending an account's budget: what may go out now, and what answers said of what is left."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from bridge.domain.observation import Broken, Limited, RateSeen
from bridge.domain.polling.rate_limit import Grant, Heard, Limit, Purpose
from bridge.providers.registry import KINDS
from bridge.services.accounts.budget_view import plan_limit
from bridge.services.accounts.credentials import Logins
from bridge.services.context import Services
from bridge.store.tables.rate_budgets import MOST_OPEN, Ask

TELL_S = 0.02  # what answers say is gathered for so long, unless a request is asked for sooner
FEW_OPEN = 2  # requests in flight of an account whose upstream let the last one hang
HANGS_MS = 5_000  # without an answer
UNTOLD = 2  # times as many are open to the budget: it hears of an answer a little later
MOST_PURSES = 10_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Purse:
    """One limit of one account."""

    account: str
    limit: Limit


def hear(request: str, rate: RateSeen, reading: object, *, shared: int = 0, batched: int = 0) -> Heard:
    """Put down what the answer to a request says of the limit; `request` is empty for a call of the client's."""
    return Heard(
        request=request,
        limit=rate.limit,
        remaining=rate.remaining,
        reset_ms=rate.reset_ms,
        quiet_ms=reading.until_ms if isinstance(reading, Limited) else None,
        shared=shared,
        batched=batched,
    )


class Spending:
    """The budgets of accounts as one worker uses them."""

    def __init__(self, services: Services, logins: Logins) -> None:
        self._services = services
        self._logins = logins
        self._heard: dict[Purse, list[Heard]] = defaultdict(list)
        self._silent: set[str] = set()
        self._purses: dict[tuple[str, int, str], Purse] = {}
        self._telling: asyncio.Task[None] | None = None

    async def purse(self, account: str, version: int, kind: str) -> Purse:
        """Give the limit that a kind's reads count under; KeyError for an account that is gone."""
        known = self._purses.get((account, version, KINDS[kind].limit))
        if known is not None:
            return known
        login = await self._logins.get(account, version)
        limit = plan_limit(self._services, login.provider, login.credential, KINDS[kind].limit)
        if len(self._purses) >= MOST_PURSES:
            self._purses.clear()
        purse = self._purses[account, version, limit.name] = Purse(account, limit)
        return purse

    def room(self, account: str) -> int:
        """Give how many requests of an account may be in flight: few while its upstream does not answer."""
        return FEW_OPEN if account in self._silent else MOST_OPEN

    async def ask(self, asked: Sequence[tuple[Purse, Sequence[Purpose], int | None]]) -> list[Grant]:
        """Ask for requests, (purse, purposes in order of worth, turn in ms) each; a prefix of each is granted."""
        return await self._services.store.budgets.spend_many(
            [
                Ask(
                    account=purse.account,
                    limit=purse.limit,
                    wanted=wanted,
                    heard=self._heard.pop(purse, ()),
                    most_open=UNTOLD * self.room(purse.account),
                    turn_ms=turn_ms,
                )
                for purse, wanted, turn_ms in asked
            ]
        )

    def hear(
        self,
        purse: Purse,
        request: str,
        rate: RateSeen,
        reading: object,
        *,
        took_ms: int,
        shared: int = 0,
        batched: int = 0,
    ) -> None:
        """Note what the answer to a request said, and whether the upstream hangs."""
        hangs = isinstance(reading, Broken) and took_ms >= HANGS_MS
        (self._silent.add if hangs else self._silent.discard)(purse.account)
        self._heard[purse].append(hear(request, rate, reading, shared=shared, batched=batched))
        self._tell()

    def give_back(self, purse: Purse, request: str) -> None:
        """Note that a request that was granted never went out; it counts as spent all the same."""
        self._heard[purse].append(Heard(request=request))
        self._tell()

    def _tell(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell_soon())

    async def _tell_soon(self) -> None:
        await asyncio.sleep(TELL_S)
        self._telling = None
        heard, self._heard = self._heard, defaultdict(list)
        asked = [Ask(account=purse.account, limit=purse.limit, heard=said) for purse, said in heard.items()]
        try:
            await self._services.store.budgets.spend_many(asked)
        except (RedisError, OSError) as error:
            # What was open is taken for lost in a while, and the next answer tells the rest.
            log.warning("budget.not_told", accounts=len(asked), error=type(error).__name__)
