"""Look up accounts, and replace their credentials while their jobs go on."""

from collections.abc import Sequence

from bridge.errors import Conflict, NotFound, ValidationFailed
from bridge.providers.registry import KINDS, PROVIDERS
from bridge.services.context import Services
from bridge.store.tables.accounts import Account, CredentialTaken, NoSuchAccount


async def get_account(services: Services, project: str, account_id: str) -> Account:
    """Return an account of a project; raise NotFound if the project has no such account."""
    account = await services.store.accounts.get(account_id)
    if account is None or account.project != project:
        raise NotFound(f"there is no account {account_id[:80]} in this project")
    return account


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


def _choose(accounts: Sequence[Account], provider: str, named: str | None) -> Account | None:
    fitting = [each for each in accounts if each.provider == provider and named in (None, each.id)]
    return min(fitting, key=lambda account: account.created_ms, default=None)


async def replace_credential(services: Services, project: str, account_id: str, credential: str) -> Account:
    """Replace an account's credential; an account whose key was refused is polled again at once."""
    account = await get_account(services, project, account_id)
    _check(account.provider, credential)
    try:
        account = await services.store.accounts.replace_credential(account_id, credential)
    except CredentialTaken:
        raise _taken() from None
    except NoSuchAccount:
        raise NotFound(f"there is no account {account_id[:80]} in this project") from None
    await services.store.health.forget(account_id)
    shard = services.store.shard_of(account_id)
    await services.store.poll.unblock(shard, account_id, due_all=True)
    return account


def _check(provider: str, credential: str) -> None:
    if provider not in PROVIDERS:
        raise ValidationFailed("provider", f"use one of {', '.join(sorted(PROVIDERS))}")
    try:
        PROVIDERS[provider].auth_headers(credential)
    except ValueError as error:
        raise ValidationFailed("credential", str(error)) from None


def _taken() -> Conflict:
    return Conflict(
        "credential: another project has this credential; an upstream login belongs to one project"
    )
