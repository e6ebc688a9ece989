"""What can be done with accounts: add one, replace a credential."""

from bridge.dashboard.page import Action, Done, Visit
from bridge.errors import ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts import manage

MOST_CHARS = 1_000


def _read_credential(visit: Visit) -> str:
    credential = visit.form.get("credential", "").strip()
    if not credential or len(credential) > MOST_CHARS:
        raise ValidationFailed("credential", "paste the provider's API key")
    return credential


async def add(visit: Visit) -> Done:
    """Add an account at a provider."""
    provider = visit.form.get("provider", "")
    if provider not in PROVIDERS:
        raise ValidationFailed("provider", "choose one of the list")
    name = visit.form.get("name", "").strip()[:100] or provider
    account, is_new = await manage.add_account(
        visit.services, visit.project, provider, _read_credential(visit), name=name
    )
    notice = f"Account {account.id} is added." if is_new else f"Account {account.id} has this key already."
    return Done(to="/accounts", notice=notice)


async def replace(visit: Visit) -> Done:
    """Replace an account's credential; its jobs are read at once."""
    account = await manage.get_account(visit.services, visit.project, visit.path["id"])
    await manage.replace_credential(visit.services, account, _read_credential(visit))
    return Done(to="/accounts", notice=f"{account.id} has a new key; its jobs are read now.")


ACTIONS = (
    Action(path="/accounts", act=add, scope="admin"),
    Action(path="/accounts/{id}/credential", act=replace, scope="admin"),
)
