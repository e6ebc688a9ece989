"""Look up accounts, and replace their credentials while their jobs go on."""

from bridge.errors import Conflict, NotFound, ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.services.context import Services
from bridge.store.tables.accounts import Account, CredentialTaken, NoSuchAccount


async def get_account(services: Services, project: str, account_id: str) -> Account:
    """Return an account of a project; raise NotFound if the project has no such account."""
    account = await services.store.accounts.get(account_id)
    if account is None or account.project != project:
        raise NotFound(f"there is no account {account_id[:80]} in this project")
    return account


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
