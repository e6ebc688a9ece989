"""What the readers of jobs share in one worker."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.domain.jobs.records import Job
from bridge.http.upstream import KnownAnswer, PollAnswer
from bridge.providers.registry import KINDS
from bridge.services.accounts.account_health import AccountHealthRecorder
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.rate_budget import RateBudget
from bridge.services.context import Services
from bridge.services.jobs.observe import Held
from bridge.services.polling.duration_estimates import DurationEstimates
from bridge.services.polling.leases import RenewedLeases
from bridge.services.polling.list_membership import ListMembership
from bridge.services.polling.piggyback import Piggyback

RENEW_S = 2.0  # less than a lease that has waited for a slot still lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTools:
    """One worker's tools for polling; `lease_ms` is how long a claim of jobs lasts unless it is renewed."""

    services: Services
    credentials: Credentials
    rate_budget: RateBudget
    duration_estimates: DurationEstimates
    notes: AccountHealthRecorder
    piggyback: Piggyback
    list_membership: ListMembership
    lease_ms: int

    def keep(self, account: str, held: Sequence[Held]) -> RenewedLeases:
        """Keep the leases of an account's jobs for as long as a block lasts."""
        return RenewedLeases(
            self.services.store.poll,
            held[0].key[0],
            account,
            [(each.key, each.token) for each in held],
            lease_ms=self.lease_ms,
            every_s=RENEW_S,
        )

    async def read(
        self, account: str, version: int, job: Job, *, known: KnownAnswer | None = None
    ) -> PollAnswer:
        """Read one job by itself."""
        return await self.services.upstream.read(
            await self.credentials.get(account, version),
            KINDS[job.kind],
            job.id,
            now_ms=self.services.clock_ms(),
            superseded=frozenset(job.superseded),
            known=known,
        )
