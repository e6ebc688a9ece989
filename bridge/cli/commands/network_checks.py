"""What `reelbridge doctor` checks of the network: names, this machine's clock, the upstreams' keys, a callback URL."""

import asyncio
import socket
import ssl
import time
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from bridge.cli.commands.findings import Finding
from bridge.cli.local.errors import CommandError
from bridge.cli.local.receiver import check_receiver
from bridge.config.settings import Settings
from bridge.domain.urls.policy import explain_rule, judge_connect
from bridge.providers.provider_spec import ProviderSpec
from bridge.providers.timestamps import read_http_date_ms

TIMEOUT_S: Final = 10.0
# Receivers take a signature for five minutes; an HTTP date is whole seconds and was on its way for some.
MAX_SKEW_S: Final = 30.0


async def check_upstream(settings: Settings, provider: ProviderSpec) -> tuple[Finding, bool]:
    """Return whether an upstream's name is known and its server reached, and whether it has the same time.

    With the finding comes whether it answers at all: of one that does not, nothing else can be asked.
    """
    url = URL(settings.upstream_url(provider.name))
    host = url.host or ""
    if not await _look_up(host, url.port or 443):
        text = f"DNS: {host} is not known here: check {provider.url_variable} and this machine's name servers"
        return Finding(level="wrong", text=text), False
    try:
        async with (
            ClientSession(
                timeout=ClientTimeout(total=TIMEOUT_S), cookie_jar=DummyCookieJar(), trust_env=False
            ) as session,
            session.get(url.origin(), allow_redirects=False) as response,
        ):
            date_ms = read_http_date_ms(response.headers.get("Date", ""))
    except (TimeoutError, ClientError, OSError) as error:
        text = (
            f"{provider.name}: no answer from {host} ({type(error).__name__}): let this machine reach it, or check"
            f" {provider.url_variable}"
        )
        return Finding(level="wrong", text=text), False
    return judge_clock(provider.name, date_ms, now_ms=int(time.time() * 1000)), True


def judge_clock(other: str, theirs_ms: int | None, *, now_ms: int) -> Finding:
    """Return whether this machine's clock and another one differ by so much that signatures would be refused."""
    if theirs_ms is None:
        return Finding(level="info", text=f"{other} is reached; it does not tell the time")
    skew_s = (now_ms - theirs_ms) / 1000
    if abs(skew_s) <= MAX_SKEW_S:
        return Finding(level="ok", text=f"clock: the same time as {other}")
    word = "ahead of" if skew_s > 0 else "behind"
    return Finding(
        level="wrong",
        text=f"clock: {abs(skew_s):.0f} s {word} {other}: set this machine's (timedatectl set-ntp true), since"
        " receivers refuse signatures that are five minutes off",
    )


async def check_callback(settings: Settings, text: str) -> Finding:
    """Return whether a callback URL is allowed and its server is reached; no request is sent to it."""
    try:
        policy, url = check_receiver(settings, text, option="--callback")
    except CommandError as error:
        return Finding(level="wrong", text=str(error))
    addresses = await _look_up(url.host, url.port)
    if not addresses:
        return Finding(
            level="wrong", text=f"callback: the name {url.host} is not known here: check its spelling"
        )
    for address in addresses:
        if rule := judge_connect(address, url.port, policy):
            return Finding(
                level="wrong",
                text=f"callback: {url.host} is {address}: {explain_rule(rule)}",
            )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                addresses[0],
                url.port,
                ssl=ssl.create_default_context() if url.scheme == "https" else None,
                server_hostname=url.host if url.scheme == "https" else None,
            )
            writer.transport.abort()
    except (TimeoutError, OSError) as error:
        why = "its certificate is refused" if isinstance(error, ssl.SSLError) else type(error).__name__
        return Finding(
            level="wrong",
            text=f"callback: no connection to {url.host}:{url.port} ({why}): start the receiver, or open its firewall"
            " to this machine",
        )
    return Finding(level="ok", text=f"callback: {url.masked} is allowed, and its server is reached")


async def _look_up(host: str, port: int) -> list[str]:
    """Return a name's addresses, none if it is not known in time."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (TimeoutError, OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
