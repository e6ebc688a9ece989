"""Reads of an upstream with the credential of an account, however long they take."""

from collections.abc import Sequence
from dataclasses import replace

from bridge.domain.jobs.records import Job
from bridge.http.upstream import KnownAnswer, ListAnswer, PollAnswer
from bridge.providers.registry import KINDS
from bridge.services.accounts.credentials import Credentials
from bridge.services.context import Services
from bridge.services.jobs.observe import Held
from bridge.services.polling.leases import RenewedLeases

RENEW_EVERY_S = 2.0  # less than what is left of a lease whose task has waited for its turn


class AccountReader:
    """Reads jobs and pages of lists, and keeps the leases of the jobs meanwhile."""

    def __init__(self, services: Services, credentials: Credentials, *, lease_ms: int) -> None:
        """Take how long a lease lasts unless it is renewed."""
        self._services = services
        self._credentials = credentials
        self._lease_ms = lease_ms

    async def read_job(
        self, account: str, version: int, job: Job, *, known: KnownAnswer | None = None
    ) -> PollAnswer:
        """Read one job; raise KeyError for an account that is gone. `known` is an answer that may come again."""
        return await self._services.upstream.read(
            await self._credentials.get(account, version),
            KINDS[job.kind],
            job.id,
            now_ms=self._services.clock_ms(),
            superseded=frozenset(job.superseded),
            known=known,
        )

    async def read_page(self, account: str, version: int, kind: str, name: str, *, offset: int) -> ListAnswer:
        """Read a page of the list `name` of a kind; raise KeyError for an account that is gone."""
        return await self._services.upstream.read_list(
            await self._credentials.get(account, version),
            KINDS[kind],
            name,
            offset=offset,
            now_ms=self._services.clock_ms(),
        )

    def keep_leases(self, account: str, held: Sequence[Held]) -> RenewedLeases:
        """Return a context manager that renews the leases of an account's jobs for as long as its block lasts."""
        return RenewedLeases(
            self._services.store.poll,
            held[0].key[0],
            account,
            [(each.key, each.token) for each in held],
            lease_ms=self._lease_ms,
            every_s=RENEW_EVERY_S,
        )


def with_tokens(held: Sequence[Held], kept: RenewedLeases) -> list[Held]:
    """Return jobs with the tokens that their leases have after a block that kept them."""
    return [
        each if each.token == token else replace(each, token=token)
        for each, token in zip(held, kept.tokens, strict=True)
    ]
