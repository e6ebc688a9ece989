"""Find out whose a proxied request is, and with which credential it goes on."""

from functools import partial

from aiohttp import web

from bridge.api.auth import Presented, check_scope
from bridge.api.requests.key_text import explain_missing, read_authorization, read_key_text
from bridge.api.routing import Api
from bridge.errors import Unauthorized, ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.proxy.proxy_call import Caller
from bridge.proxy.proxy_errors import ProxyError
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.manage import find_account_of
from bridge.store.vault import VaultError

SCOPE = "proxy"


def read_proxy_key(request: web.BaseRequest) -> Presented:
    """Return the key that stands where the provider's own would.

    Raise Unauthorized without one, ValidationFailed for two that differ. A key in the URL does not count: URLs end up
    in logs, and a link could lead a browser to the provider's pages.
    """
    authorization = request.headers.get("Authorization", "")
    found = {read_authorization(authorization), read_key_text(request.headers.get("X-API-Key", ""))} - {""}
    if len(found) > 1:
        raise ValidationFailed(
            "X-API-Key", "it holds another key than the header Authorization: send one of them"
        )
    for text in found:
        return Presented(text=text)
    raise Unauthorized(explain_missing(authorization))


class ProxyLogin:
    """Logs callers in by their key, and finds the credential of their project's account."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._credentials = Credentials(api.services)

    async def find_caller(self, request: web.BaseRequest, provider: str) -> Caller:
        """Return who calls; raise Unauthorized, Forbidden, RateLimited, or ProxyError without a usable account."""
        presented = read_proxy_key(request)
        client = partial(self._api.forwarding.client, request)
        key = await self._api.authenticator.find_key(presented, client)
        check_scope(key, SCOPE, presented, by_query=False)
        services, named = self._api.services, key.account or None
        account = await find_account_of(services, key.project, provider, named=named)
        if account is None and named:
            raise Unauthorized(f"this is no key of {PROVIDERS[provider].title}")
        if account is None:
            raise ProxyError(
                "no_account",
                f"this project has no {provider} account: add one with POST /v1/accounts",
                status=403,
                code="FORBIDDEN",
            )
        try:
            login = await self._credentials.get(account.id, account.version)
        except (KeyError, VaultError):
            raise ProxyError(
                "no_credential",
                "the account's credential cannot be used: replace it with PUT /v1/accounts/{id}/credential",
                status=503,
                code="SERVICE_UNAVAILABLE",
            ) from None
        return Caller(
            project=key.project,
            account=account,
            scopes=key.scopes,
            login=login,
            key=presented.text,
            is_own_key=bool(named),
        )
