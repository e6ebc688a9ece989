"""Look up and add accounts, and replace their credentials while their jobs go on."""

from collections.abc import Sequence

from bridge.errors import Conflict, NotFound, ValidationFailed
from bridge.providers.registry import KINDS, PROVIDERS
from bridge.services.context import Services
from bridge.store.tables.accounts import Account, CredentialTaken, NoSuchAccount


async def get_account(services: Services, project: str, account_id: str) -> Account:
    """Return an account of a project; raise NotFound if the project has no such account."""
    account = await services.store.accounts.get(account_id)
    if account is None or account.project != project:
        raise _no_account()
    return account


async def add_account(
    services: Services, project: str, provider: str, credential: str, *, name: str
) -> tuple[Account, bool]:
    """Return a project's account with this credential, and whether it is new."""
    _check(provider, credential)
    accounts = services.store.accounts
    known = await accounts.find(provider, credential)
    if known is not None and known.project == project:
        return known, False
    try:
        return await accounts.create(project, provider, credential, name), True
    except CredentialTaken:
        raise _taken() from None


async def choose_account(services: Services, project: str, kind: str, named: str | None) -> Account:
    """Return the account whose jobs of this kind a project registers: the one it names, else the oldest one."""
    provider, accounts = KINDS[kind].provider, services.store.accounts
    chosen = _choose(await accounts.list_recent(project), provider, named)
    if chosen is None:  # it may have been added just now, through another process
        chosen = _choose(await accounts.list(project), provider, named)
    if chosen is not None:
        return chosen
    if named:
        raise ValidationFailed(
            "account_id", "no such account of this provider in this project; GET /v1/accounts lists them"
        )
    variable = f"{provider.upper()}_API_KEY"
    raise ValidationFailed(
        "kind",
        f"this project has no {provider} account: set {variable} or add one with POST /v1/accounts",
    )


async def find_account_of(
    services: Services, project: str, provider: str, *, named: str | None = None
) -> Account | None:
    """Return the account that a project uses at a provider: the named one, else the oldest one; None without one."""
    accounts = services.store.accounts
    known = _choose(await accounts.list_recent(project), provider, named)
    return known or _choose(await accounts.list(project), provider, named)


def _choose(accounts: Sequence[Account], provider: str, named: str | None) -> Account | None:
    fitting = [each for each in accounts if each.provider == provider and named in (None, each.id)]
    return min(fitting, key=lambda account: account.created_ms, default=None)


async def replace_credential(services: Services, account: Account, credential: str) -> Account:
    """Replace an account's credential; an account whose key was refused is polled again at once."""
    _check(account.provider, credential)
    try:
        fresh = await services.store.accounts.replace_credential(account.id, credential)
    except CredentialTaken:
        raise _taken() from None
    except NoSuchAccount:
        raise _no_account() from None
    await services.store.health.forget(account.id)
    shard = services.store.shard_of(account.id)
    await services.store.poll.unblock(shard, account.id, due_all=True)
    return fresh


def _check(provider: str, credential: str) -> None:
    """Raise ValidationFailed for a credential that cannot be the provider's, or is clearly another's."""
    spec = PROVIDERS[provider]
    try:
        spec.auth_headers(credential)
    except ValueError as error:
        raise ValidationFailed("credential", f"{error}: paste the key again") from None
    if spec.credential_pattern.fullmatch(credential):
        return
    for other in PROVIDERS.values():
        if other is not spec and other.credential_pattern.fullmatch(credential):
            raise ValidationFailed(
                "credential", f"this is a key of {other.title}: set provider to {other.name}"
            )


def _no_account() -> NotFound:
    return NotFound("there is no such account in this project: GET /v1/accounts lists them")


def _taken() -> Conflict:
    return Conflict(
        "credential: this credential belongs to another account: an upstream login has one account, and one project"
    )
