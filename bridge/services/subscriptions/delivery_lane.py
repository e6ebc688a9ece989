"""The lane in which a subscription's deliveries wait; `domain/deliveries/lanes.py` says how lanes are named."""

from bridge.domain.deliveries.lanes import INBOX, name_lane
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.domain.subscriptions.subscription import Subscription
from bridge.services.subscriptions.sealing import open_url
from bridge.store.vault import Vault, VaultError


def lane_of(vault: Vault, project: str, subscription: Subscription) -> str:
    """Return the lane of a subscription's deliveries: its URL without the query, in its project.

    Where the URL does not open the lane is one of its own: nothing can be sent, and each attempt says so.
    """
    if isinstance(subscription, Endpoint):
        return subscription.lane
    if subscription.origin == INBOX:
        url = INBOX
    else:
        try:
            url = open_url(vault, subscription)
        except VaultError:
            url = subscription.id
    return lane_of_url(vault, project, subscription.origin, url)


def lane_of_url(vault: Vault, project: str, origin: str, url: str) -> str:
    """Return the lane of a URL with this origin, in its project."""
    return name_lane(project, origin, url, fingerprint=vault.fingerprint)
