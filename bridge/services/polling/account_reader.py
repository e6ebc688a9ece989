"""Read a provider with an account's credential, and keep the jobs leased meanwhile."""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.jobs.records import Job
from bridge.http.upstream import KnownAnswer, ListAnswer, PollAnswer
from bridge.providers.registry import KINDS
from bridge.services.accounts.credentials import Credentials
from bridge.services.context import Services
from bridge.services.jobs.observe import Held
from bridge.services.polling.leases import RenewalTimer, RenewedLeases

RENEW_EVERY_S = 2.0  # less than what is left of a lease when its task has waited to be started


class AccountReader:
    """Reads jobs and pages of lists for one worker."""

    def __init__(self, services: Services, credentials: Credentials, *, lease_ms: int) -> None:
        """Take the duration of a lease, for renewing it."""
        self._services = services
        self._credentials = credentials
        self._lease_ms = lease_ms
        self._renewals = RenewalTimer(every_s=RENEW_EVERY_S)

    async def read_job(
        self, account: str, version: int, job: Job, *, known: KnownAnswer | None = None
    ) -> PollAnswer:
        """Read one job; `known` is an answer whose repetition need not be parsed. Raise KeyError without account."""
        return await self._services.upstream.read(
            await self._credentials.get(account, version),
            KINDS[job.kind],
            job.id,
            now_ms=self._services.clock_ms(),
            superseded=frozenset(job.superseded),
            known=known,
        )

    async def read_page(self, account: str, version: int, kind: str, name: str, *, offset: int) -> ListAnswer:
        """Read a page of the list `name` of a kind. Raise KeyError if the account does not exist any more."""
        return await self._services.upstream.read_list(
            await self._credentials.get(account, version),
            KINDS[kind],
            name,
            offset=offset,
            now_ms=self._services.clock_ms(),
        )

    def keep_leases(self, account: str, held: Sequence[Held]) -> RenewedLeases:
        """Return a context manager that renews the leases of some jobs of an account while its block runs."""
        return RenewedLeases(
            self._services.store.poll,
            held[0].key[0],
            account,
            [(each.key, each.token) for each in held],
            lease_ms=self._lease_ms,
            timer=self._renewals,
        )


def with_tokens(held: Sequence[Held], kept: RenewedLeases) -> list[Held]:
    """Return leased jobs with their tokens after a block of `keep_leases`."""
    return [
        each if each.token == token else replace(each, token=token)
        for each, token in zip(held, kept.tokens, strict=True)
    ]
