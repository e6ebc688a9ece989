"""Convert followed personas into the JSON of answers. No I/O."""

from collections.abc import Mapping, Sequence
from typing import cast

from bridge.api.responses.following_models import FollowedShape, FollowingShape, FollowStateName
from bridge.api.responses.views import iso_or_none
from bridge.domain.following.records import Followed, FollowState
from bridge.domain.subscriptions.endpoint import EVERY_PERSONA, Endpoint

_LEAST_FAR = (FollowState.UNAVAILABLE, FollowState.STARTING, FollowState.FOLLOWING)


def view_followed(personas: Mapping[str, Followed]) -> list[FollowedShape]:
    """Return an account's followed personas, by their ids."""
    return [
        {
            "persona": persona,
            "state": cast("FollowStateName", str(each.state)),
            "reason": each.reason or each.sources_reason or None,
            "interval_seconds": round(each.interval_s, 1) or None,
            "swept_at": iso_or_none(each.swept_ms),
            "following_since": iso_or_none(each.since_ms),
        }
        for persona, each in sorted(personas.items())
    ]


def view_following(endpoint: Endpoint, accounts: Sequence[Mapping[str, Followed]]) -> FollowingShape | None:
    """Return how far an endpoint's personas are, None for one that names none.

    `accounts` are the followed personas of the project's accounts; a persona counts as it is where it is followed.
    """
    if not endpoint.personas:
        return None
    wanted = set(endpoint.personas)
    found: dict[str, Followed] = {}
    for personas in accounts:
        if EVERY_PERSONA in wanted:
            wanted.update(personas)
        for name in wanted & personas.keys():
            if name not in found or found[name].state is FollowState.UNAVAILABLE:
                found[name] = personas[name]
    rows = {name: found.get(name, Followed()) for name in wanted}
    worst = min(rows.values(), key=lambda each: _LEAST_FAR.index(each.state))
    return {
        "state": cast("FollowStateName", str(worst.state)),
        "reason": worst.reason
        or next((each.sources_reason for each in rows.values() if each.sources_reason), None),
        "personas": view_followed(rows),
    }
