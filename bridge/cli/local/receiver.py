"""A receiver that a command posts to: its URL, judged as a callback's is, and the client for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from bridge.cli.local.errors import CommandError
from bridge.config.settings import Settings
from bridge.domain.deliveries.signing import check_secret
from bridge.domain.urls.host import RefusedUrl
from bridge.domain.urls.policy import CheckedUrl, UrlPolicy, check_url, plan_policy
from bridge.http.receivers import Sender


def check_receiver(settings: Settings, url: str, *, option: str) -> tuple[UrlPolicy, CheckedUrl]:
    """Return the rules for callback URLs, and a URL that keeps them; raise `CommandError`, which names the option."""
    policy = plan_policy(
        host=settings.host,
        allow_http=settings.allow_http,
        allow_networks=settings.allow_networks,
        own_origins=frozenset(),
    )
    try:
        checked = check_url(url, policy)
    except RefusedUrl as refused:
        raise CommandError(f"{option}: {refused.message}") from None
    if checked.inbox:
        raise CommandError(
            f"{option}: `inbox:` is inside the bridge; use an address such as http://127.0.0.1:9000/hook"
        )
    return policy, checked


def check_signing_secret(secret: str) -> None:
    """Raise `CommandError`, which does not show it, for a secret that cannot sign."""
    try:
        check_secret(secret)
    except ValueError as error:
        raise CommandError(f"the signing secret cannot be used: {error}") from None


@asynccontextmanager
async def sending(policy: UrlPolicy) -> AsyncIterator[Sender]:
    """Yield a client that posts as the bridge's deliveries do."""
    sender = Sender(policy=policy, user_agent=f"reelbridge/{version('reelbridge')}")
    await sender.start()
    try:
        yield sender
    finally:
        await sender.close()
