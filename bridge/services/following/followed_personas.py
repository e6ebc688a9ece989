"""Read how far the bridge is with the personas that endpoints follow."""

from collections.abc import Mapping, Sequence

from bridge.domain.following.records import Followed
from bridge.domain.subscriptions.endpoint import Endpoint
from bridge.services.context import Services
from bridge.services.following.followed_kinds import followed_kind


async def load_followed(
    services: Services, project: str, endpoints: Sequence[Endpoint]
) -> list[Mapping[str, Followed]]:
    """Return the followed personas of each of a project's accounts; none where the endpoints follow nothing."""
    if not any(each.personas for each in endpoints):
        return []
    accounts = await services.store.accounts.list(project)
    return [await services.store.following.load(each.id) for each in accounts if followed_kind(each.provider)]
