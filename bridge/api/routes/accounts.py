"""Routes of accounts at the providers."""

from collections.abc import Sequence

from aiohttp import web

from bridge.api.requests.fields import AccountBody, CredentialBody, PageQuery
from bridge.api.responses.following_views import view_followed
from bridge.api.responses.json_response import reply
from bridge.api.responses.models import AccountPage, AccountShape
from bridge.api.responses.views import view_account
from bridge.api.routes.administration import paginate
from bridge.api.routing import ApiCall, Routes
from bridge.services.accounts import manage
from bridge.services.accounts.budget_view import count_watched, view_budgets
from bridge.store.tables.accounts import Account

ROUTES = Routes("Accounts")


@ROUTES.add("GET", "/v1/accounts", scope="read", by_query=False, query=PageQuery, answers={200: AccountPage})
async def list_accounts(call: ApiCall) -> web.StreamResponse:
    """List the project's upstream accounts, with health and budget."""
    shown, cursor = paginate(await call.services.store.accounts.list(call.project), call.query(PageQuery))
    return reply({"data": await _view_many(call, shown), "next_cursor": cursor})


@ROUTES.add(
    "GET", "/v1/accounts/{id}", scope="read", by_query=False, answers={200: AccountShape}, errors=(404,)
)
async def get_account(call: ApiCall) -> web.StreamResponse:
    """Read an upstream account."""
    return reply(await _view(call, await manage.get_account(call.services, call.project, call.path("id"))))


@ROUTES.add(
    "POST",
    "/v1/accounts",
    scope="admin",
    body=AccountBody,
    answers={201: AccountShape, 200: AccountShape},
    errors=(409,),
)
async def create_account(call: ApiCall) -> web.StreamResponse:
    """Add an upstream account; for a credential that the project has already, return its account (200)."""
    body = await call.body(AccountBody)
    account, is_new = await manage.add_account(
        call.services, call.project, body.provider, body.credential, name=body.name or body.provider
    )
    if not is_new:
        return reply(await _view(call, account))
    location = {"Location": call.link(f"/v1/accounts/{account.id}")}
    return reply(await _view(call, account), status=201, headers=location)


@ROUTES.add(
    "PUT",
    "/v1/accounts/{id}/credential",
    scope="admin",
    body=CredentialBody,
    answers={200: AccountShape},
    errors=(404, 409),
)
async def replace_credential(call: ApiCall) -> web.StreamResponse:
    """Replace an account's credential; paused jobs are read again at once."""
    account = await manage.get_account(call.services, call.project, call.path("id"))
    body = await call.body(CredentialBody)
    fresh = await manage.replace_credential(call.services, account, body.credential)
    return reply(await _view(call, fresh))


async def _view(call: ApiCall, account: Account) -> AccountShape:
    return (await _view_many(call, (account,)))[0]


async def _view_many(call: ApiCall, accounts: Sequence[Account]) -> list[AccountShape]:
    services = call.services
    health = await services.store.health.load_many([account.id for account in accounts])
    watched = await count_watched(services, accounts)
    budgets = await view_budgets(services, accounts)
    followed = await services.store.following.load_many([account.id for account in accounts])
    return [
        view_account(
            account,
            health[account.id],
            budget,
            watched=watched[account.id],
            following=view_followed(personas),
        )
        for account, budget, personas in zip(accounts, budgets, followed, strict=True)
    ]
