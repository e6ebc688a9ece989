"""Routes of accounts at the providers."""

from aiohttp import web

from bridge.api.requests.fields import AccountBody, CredentialBody, PageQuery
from bridge.api.responses.json_response import reply
from bridge.api.responses.models import AccountPage, AccountShape
from bridge.api.responses.views import view_account
from bridge.api.routes.administration import paginate
from bridge.api.routing import ApiCall, Routes
from bridge.errors import Conflict, NotFound, ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.budget_view import view_budget
from bridge.services.accounts.manage import replace_credential as put_credential
from bridge.store.tables.accounts import Account, CredentialTaken

ROUTES = Routes("Accounts")
TAKEN = "this credential belongs to another account: an upstream login has one account, and one project"


@ROUTES.add("GET", "/v1/accounts", scope="read", by_query=False, query=PageQuery, answers={200: AccountPage})
async def list_accounts(call: ApiCall) -> web.StreamResponse:
    """List the project's upstream accounts, with health and budget."""
    shown, cursor = paginate(await call.services.store.accounts.list(call.project), call.query(PageQuery))
    return reply({"data": [await _view(call, account) for account in shown], "next_cursor": cursor})


@ROUTES.add(
    "GET", "/v1/accounts/{id}", scope="read", by_query=False, answers={200: AccountShape}, errors=(404,)
)
async def get_account(call: ApiCall) -> web.StreamResponse:
    """Read an upstream account."""
    return reply(await _view(call, await _find(call)))


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
    _check_credential(body.provider, body.credential)
    accounts = call.services.store.accounts
    known = await accounts.find(body.provider, body.credential)
    if known is not None and known.project == call.project:
        return reply(await _view(call, known))
    try:
        account = await accounts.create(
            call.project, body.provider, body.credential, body.name or body.provider
        )
    except CredentialTaken:
        raise Conflict(f"credential: {TAKEN}") from None
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
    account = await _find(call)
    body = await call.body(CredentialBody)
    _check_credential(account.provider, body.credential)
    fresh = await put_credential(call.services, call.project, account.id, body.credential)
    return reply(await _view(call, fresh))


async def _find(call: ApiCall) -> Account:
    account = await call.services.store.accounts.get(call.path("id"))
    if account is None or account.project != call.project:
        raise NotFound("there is no such account in this project: GET /v1/accounts lists them")
    return account


def _check_credential(provider: str, credential: str) -> None:
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


async def _view(call: ApiCall, account: Account) -> AccountShape:
    store = call.services.store
    return view_account(
        account,
        await store.health.load(account.id),
        await view_budget(call.services, account),
        watched=await store.poll.size(store.shard_of(account.id), account.id),
    )
