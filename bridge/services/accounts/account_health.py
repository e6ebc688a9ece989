"""What answers say of an account's health: refusals, recoveries, many jobs that vanish at once.

A 429 is not noted here: it goes to the account's budget, from which the pause follows (see `pause.py`).
"""

from msgspec.structs import replace

from bridge.domain.jobs.intervals import MASS_VANISH, OUTAGE_RETRY_S
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observed,
    PollResult,
    UnexpectedAnswer,
)
from bridge.services.accounts.health_cache import HealthCache
from bridge.services.context import Services
from bridge.store.tables.account_health import AccountHealth


class AccountHealthRecorder:
    """Records what an answer says of its account's health."""

    def __init__(self, services: Services, health_cache: HealthCache) -> None:
        self._services = services
        self._health_cache = health_cache

    async def note(
        self,
        account: str,
        health: AccountHealth,
        kind: str,
        result: PollResult,
        at: PollContext,
        *,
        key: str = "",
    ) -> PollContext:
        """Record an answer to a read of a kind; return its context with the refusal that it belongs to, if any.

        `key` names the job that it was about, if an earlier answer had shown that job: a 404 then means that it vanished.
        """
        store = self._services.store.health
        match result:
            case KeyRefused():
                self._health_cache.forget(account)
                await store.note_refused(account, at.now_ms, begun_ms=at.begun_ms)
                return await self._with_refusal(account, kind, at)
            case KindForbidden():
                self._health_cache.forget(account)
                await store.note_forbidden(account, kind, at.now_ms, begun_ms=at.begun_ms)
                return await self._with_refusal(account, kind, at)
            case JobNotFound() if key:
                window_ms = self._services.time_scale.ms(OUTAGE_RETRY_S)
                gone = await store.note_vanished(account, key, at.now_ms, window_ms)
                at = replace(at, vanishing=gone >= MASS_VANISH)
            case Observed() | JobNotFound() | UnexpectedAnswer():
                await self.note_ok(account, health, kind)
        return replace(at, auth_refused="") if at.auth_refused else at

    async def note_ok(self, account: str, health: AccountHealth, kind: str) -> None:
        """Record that the upstream lets an account read a kind, if anything was recorded against it."""
        if not health.well and await self._services.store.health.note_ok(account, kind):
            shard = self._services.store.shard_of(account)
            await self._services.store.poll.unblock(shard, account, due_all=True)

    async def _with_refusal(self, account: str, kind: str, at: PollContext) -> PollContext:
        """Return a context with the refusal as it stands after this answer, empty while it is only suspected."""
        health = await self._services.store.health.load(account)
        return replace(at, auth_refused=auth_refusal_for(health, kind))


def auth_refusal_for(health: AccountHealth, kind: str) -> str:
    """Return an id of the confirmed refusal that stops reads of a kind, empty without one."""
    if health.outage_ms:
        return f"401:{health.outage_ms}"
    return f"403:{health.forbidden[kind]}" if kind in health.forbidden else ""
