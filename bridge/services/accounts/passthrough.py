"""Log callers in by their own upstream keys (REELBRIDGE_PASSTHROUGH): each has a project of its own.

A key is checked by one read at its provider, and nothing of it is stored before the provider has accepted it. A key that
is the credential of an account already logs into that account's project.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bridge.errors import Unavailable
from bridge.http.upstream import Login
from bridge.providers.provider_spec import ProviderSpec, Standing
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.checked_logins import CheckedLogins, CredentialHolder
from bridge.services.accounts.manage import replace_credential
from bridge.services.context import Services
from bridge.store.recent import Recent
from bridge.store.tables.accounts import CredentialTaken
from bridge.store.tables.apikeys import ALL_SCOPES, ApiKey

GOOD_S = 600.0
BAD_S = 60.0
UNCLEAR_RETRY_S = 5.0
# What the credential of an account in somebody else's project may do: start work at the provider, and hear how it ends.
CONFIGURED_SCOPES = frozenset({"proxy", "register"})


class Passthrough:
    """Finds the project of a caller's own upstream key, and makes it once the provider has accepted the key."""

    def __init__(self, services: Services, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Take a monotonic clock."""
        self._services = services
        self._clock_s = clock_s
        self._good = CheckedLogins()
        self._bad = CheckedLogins()
        self._holders = Recent(self._find_holder)
        self._checks: dict[bytes, asyncio.Task[CredentialHolder | None]] = {}

    async def log_in(self, credential: str, admit: Callable[[], None]) -> ApiKey | None:
        """Return what a caller with this credential may do; None where no provider has such keys, or it refuses this one.

        `admit` is called before a provider is asked about a key that no account has, and may raise. Raise Unavailable
        where the provider cannot say.
        """
        provider = find_provider(credential)
        if provider is None:
            return None
        fingerprint, now_s = self._fingerprint(provider, credential), self._clock_s()
        if self._bad.has(fingerprint, now_s):
            return None
        holder = await self._holders.get((provider.name, credential))
        if holder is None or holder.is_guest:
            # A key that its account has no longer is checked again; of a login's tokens an account has only the newest.
            may_differ = holder is not None or provider.read_claims(credential).sub is not None
            checked = self._good.get(fingerprint, now_s) if may_differ else None
            holder = checked or await self._check(provider, credential, admit)
        return None if holder is None else _make_key(holder, fingerprint, credential)

    def note_refusal(self, credential: str) -> None:
        """Forget a login whose credential its provider has just refused."""
        provider = find_provider(credential)
        if provider is not None:
            self._good.forget(self._fingerprint(provider, credential))

    async def _check(
        self, provider: ProviderSpec, credential: str, admit: Callable[[], None]
    ) -> CredentialHolder | None:
        """Ask the provider; whoever comes with the same credential meanwhile shares the answer."""
        fingerprint = self._fingerprint(provider, credential)
        check = self._checks.get(fingerprint)
        if check is None:
            check = self._checks[fingerprint] = asyncio.create_task(self._ask(provider, credential, admit))
            check.add_done_callback(partial(self._end_check, fingerprint))
        return await asyncio.shield(check)

    def _end_check(self, fingerprint: bytes, done: "asyncio.Task[CredentialHolder | None]") -> None:
        del self._checks[fingerprint]
        if not done.cancelled():
            done.exception()  # those who still wait have it; if nobody does, it is no news

    async def _ask(
        self, provider: ProviderSpec, credential: str, admit: Callable[[], None]
    ) -> CredentialHolder | None:
        services, named = self._services, (provider.name, credential)
        holder = await self._find_holder(named)
        if holder is None:
            admit()
        base_url = services.settings.upstream_url(provider.name)
        login = Login(provider=provider.name, base_url=base_url, credential=credential)
        standing = await services.upstream.check(login, now_ms=services.clock_ms())
        if standing is Standing.UNCLEAR:
            raise Unavailable(
                f"{provider.title} cannot say now whether it knows this key: repeat the request",
                retry_after_s=UNCLEAR_RETRY_S,
            )
        if standing is Standing.ACCEPTED:
            holder = holder or await self._join(provider, credential)
            self._holders.forget(named)
        self._note(provider, credential, holder if standing is Standing.ACCEPTED else None)
        return holder if standing is Standing.ACCEPTED else None

    def _note(self, provider: ProviderSpec, credential: str, holder: CredentialHolder | None) -> None:
        """Keep a check's result; that of a token at most until it expires."""
        fingerprint, now_s = self._fingerprint(provider, credential), self._clock_s()
        if holder is None:
            self._good.forget(fingerprint)
            self._bad.keep(fingerprint, now_s + BAD_S)
            return
        expires_s = provider.read_claims(credential).exp
        lasts_s = GOOD_S if expires_s is None else expires_s - self._services.clock_ms() / 1000
        self._good.keep(fingerprint, now_s + min(GOOD_S, lasts_s), holder)

    async def _join(self, provider: ProviderSpec, credential: str) -> CredentialHolder | None:
        """Make the project and the account of an accepted credential; None for a key that was replaced by another.

        All tokens of one login lead to one project, whose account gets the newest.
        """
        store, subject = self._services.store, provider.read_claims(credential).sub
        whose = f"project\0{provider.name}\0{subject or credential}"
        project = f"prj_{store.vault.fingerprint(whose).hex()[:20]}"
        for known in await store.accounts.list(project):
            if known.provider == provider.name:
                if subject is None:
                    return None
                fresh = await replace_credential(self._services, known, credential)
                return CredentialHolder(account=fresh, is_guest=True)
        await store.projects.create(f"{provider.title} login", project=project, guest=True)
        with suppress(CredentialTaken):  # by another project, in this moment
            await store.accounts.create(project, provider.name, credential, provider.name)
        return await self._find_holder((provider.name, credential))

    async def _find_holder(self, named: tuple[str, str]) -> CredentialHolder | None:
        store = self._services.store
        account = await store.accounts.find(*named)
        project = None if account is None else await store.projects.get(account.project)
        return None if account is None or project is None else CredentialHolder(account, project.guest)

    def _fingerprint(self, provider: ProviderSpec, credential: str) -> bytes:
        return self._services.store.vault.fingerprint(f"login\0{provider.name}\0{credential}")


def find_provider(credential: str) -> ProviderSpec | None:
    """Return the provider that hands out credentials of this form, None without one."""
    for provider in PROVIDERS.values():
        if provider.credential_pattern.fullmatch(credential):
            return provider
    return None


def _make_key(holder: CredentialHolder, fingerprint: bytes, credential: str) -> ApiKey:
    return ApiKey(
        id=f"key_{fingerprint.hex()[:16]}",
        project=holder.account.project,
        name="upstream key",
        scopes=ALL_SCOPES if holder.is_guest else CONFIGURED_SCOPES,
        created_ms=holder.account.created_ms,
        hint=credential[-4:],
        account=holder.account.id,
    )
