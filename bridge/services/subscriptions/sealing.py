"""Seal and open what a subscription keeps secret: its URL, its own signing secret and its extra headers.

Each value is sealed under the subscription's id and opens under no other. Opening raises `VaultError`.
"""

import json
from collections.abc import Mapping

from msgspec.structs import replace

from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.subscriptions.callback import Callback
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


def open_secret(vault: Vault, subscription: Subscription) -> str | None:
    """Return the subscription's own signing secret, None when the project's secret signs."""
    sealed = subscription.secret
    return None if sealed is None else vault.open(sealed, record=subscription.id).decode()


def open_headers(vault: Vault, subscription: Subscription) -> dict[str, str]:
    """Return the extra headers in clear."""
    sealed = subscription.headers
    return {} if sealed is None else json.loads(vault.open(sealed, record=subscription.id))


def reseal(vault: Vault, callback: Callback) -> Callback:
    """Return the record with everything sealed under the newest master key; the same record when it was so already.

    What does not open stays as it is.
    """

    def renew(sealed: bytes) -> bytes:
        try:
            return vault.reseal(sealed, record=callback.id)
        except VaultError:
            return sealed

    return replace(
        callback,
        url=renew(callback.url),
        secret=callback.secret and renew(callback.secret),
        headers=callback.headers and renew(callback.headers),
    )
