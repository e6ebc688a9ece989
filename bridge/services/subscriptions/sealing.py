"""Seal and open what a subscription keeps secret: its URL, its own signing secret and its extra headers.

Each value is sealed under the subscription's id and opens under no other. Opening raises `VaultError`.
"""

import json
from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.subscriptions.callback import Callback
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.subscription import Subscription
from bridge.domain.urls.policy import mask_url
from bridge.store.vault import Vault, VaultError


def seal_text(vault: Vault, identifier: str, text: str) -> bytes:
    """Return a URL or a signing secret as it is stored."""
    return vault.seal(text.encode(), record=identifier)


def seal_headers(vault: Vault, identifier: str, headers: Mapping[str, str] | None) -> bytes | None:
    """Return extra headers as they are stored; None stands for no header."""
    return seal_text(vault, identifier, json.dumps(dict(headers))) if headers else None


def open_url(vault: Vault, subscription: Subscription) -> str:
    """Return the URL in clear."""
    return vault.open(subscription.url, record=subscription.id).decode()


def show_url(vault: Vault, subscription: Subscription) -> str:
    """Return the URL as lists may show it, without query values; its origin alone where it does not open."""
    if subscription.masked:
        return subscription.masked
    try:
        url = open_url(vault, subscription)
    except VaultError:
        return f"{subscription.origin}/…"
    return url if subscription.origin == INBOX else mask_url(url)


def open_secrets(vault: Vault, subscription: Subscription, *, now_ms: int) -> list[str]:
    """Return the subscription's own signing secrets, newest first; none when the project's secret signs."""
    if subscription.secret is None:
        return []
    found = [vault.open(subscription.secret, record=subscription.id).decode()]
    if isinstance(subscription, Endpoint) and (previous := valid_previous(subscription, now_ms=now_ms)):
        found.append(vault.open(previous, record=subscription.id).decode())
    return found


def valid_previous(endpoint: Endpoint, *, now_ms: int) -> bytes | None:
    """Return the sealed secret that an endpoint had before its present one, while it signs too."""
    return endpoint.previous_secret if now_ms < endpoint.previous_expires_ms else None


def open_headers(vault: Vault, subscription: Subscription) -> dict[str, str]:
    """Return the extra headers in clear."""
    sealed = subscription.headers
    return {} if sealed is None else json.loads(vault.open(sealed, record=subscription.id))


def reseal(vault: Vault, callback: Callback) -> Callback:
    """Return the record with everything sealed under the newest master key; the same record when it was so already.

    What does not open stays as it is.
    """
    return replace(
        callback,
        url=_renew(vault, callback.url, callback.id),
        secret=callback.secret and _renew(vault, callback.secret, callback.id),
        headers=callback.headers and _renew(vault, callback.headers, callback.id),
    )


def reseal_endpoint(vault: Vault, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint's record likewise."""
    return replace(
        endpoint,
        url=_renew(vault, endpoint.url, endpoint.id),
        secret=_renew(vault, endpoint.secret, endpoint.id),
        previous_secret=endpoint.previous_secret and _renew(vault, endpoint.previous_secret, endpoint.id),
        headers=endpoint.headers and _renew(vault, endpoint.headers, endpoint.id),
    )


def _renew(vault: Vault, sealed: bytes, identifier: str) -> bytes:
    try:
        return vault.reseal(sealed, record=identifier)
    except VaultError:
        return sealed
