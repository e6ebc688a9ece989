"""What `reelbridge doctor` asks of a running bridge: readiness, its key, its accounts, deliveries in trouble."""

from collections.abc import AsyncIterator
from typing import Any

from bridge.cli.commands.findings import Finding
from bridge.cli.commands.key_checks import check_master_keys, check_records
from bridge.cli.local.api_client import ApiClient, local_url
from bridge.cli.local.errors import CommandError
from bridge.cli.local.key_files import find_api_key
from bridge.cli.remote.lists import read_data
from bridge.config.settings import Settings

SCOPES = ("register", "read", "manage", "proxy", "admin")


async def check_bridge(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what the bridge on this machine says of itself."""
    url = local_url(settings)
    try:
        api_key = find_api_key(settings)
    except CommandError:
        yield Finding(level="info", text="no API key yet: the first `reelbridge up` makes one")
        return
    try:
        async with ApiClient(url, api_key) as api:
            ready, facts = await api.request("GET", "/readyz")
            known, me = await api.request("GET", "/v1/me") if ready == 200 else (0, None)
            told = [finding async for finding in _ask(api, me)] if known == 200 else []
    except CommandError:
        yield Finding(level="info", text=f"no bridge is running at {url}")
        return
    if ready != 200:
        yield Finding(
            level="wrong", text=f"the bridge at {url} is not ready (/readyz: {ready}): read its log"
        )
    elif known != 200:
        yield Finding(
            level="wrong",
            text=f"the bridge at {url} refuses the API key ({known}): set REELBRIDGE_API_KEY to one of its own",
        )
    else:
        yield Finding(level="ok", text=f"the bridge at {url} is ready and knows the API key")
        for finding in (*told, *check_master_keys(facts), *check_records(facts)):
            yield finding


async def _ask(api: ApiClient, me: Any) -> AsyncIterator[Finding]:
    scopes = me["key"]["scopes"]
    lacking = [scope for scope in SCOPES if scope not in scopes]
    yield Finding(
        level="info" if lacking else "ok",
        text=f"the API key has the scopes {', '.join(scopes)}"
        + (f", not {', '.join(lacking)}: `reelbridge keys create` makes another" if lacking else ""),
    )
    if "read" not in scopes:
        return
    for account in read_data(await api.call("GET", "/v1/accounts")):
        if finding := _judge_account(account):
            yield finding
    if parked := read_data(await api.call("GET", "/v1/deliveries?state=parked&limit=1")):
        yield Finding(
            level="warning",
            text=f"deliveries are parked, the last one to {parked[0].get('destination')} ({parked[0].get('reason')}): mend the"
            " receiver, then `reelbridge deliveries recover --since 7d`",
        )


def _judge_account(account: dict[str, Any]) -> Finding | None:
    name = f"account {account.get('id')} ({account.get('provider')})"
    if account.get("state") == "unauthorized":
        return Finding(
            level="wrong",
            text=f"{name}: its key is refused: PUT /v1/accounts/{account.get('id')}/credential a new one",
        )
    if kinds := account.get("forbidden_kinds"):
        return Finding(
            level="warning",
            text=f"{name}: its key may not read {', '.join(kinds)}: give the key the scopes for them at the provider",
        )
    return None
