"""Plan the registration of several jobs under one callback: a watch on each, and the group that waits for them."""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.events.filters import NOTHING
from bridge.domain.ids import group_id
from bridge.domain.jobs.records import Member
from bridge.domain.jobs.watches import GROUP, member_url, name_group
from bridge.services.context import Services
from bridge.services.jobs.registration_case import RegisterCallback


def plan_group(services: Services, commands: Sequence[RegisterCallback]) -> list[RegisterCallback]:
    """Return the commands that watch each of some jobs of one kind, then that of their group, which has the callback."""
    first = commands[0]
    fingerprint = services.store.vault.fingerprint(first.url.text)
    identifier = group_id(first.kind, [each.job_id for each in commands], fingerprint)
    members = tuple(Member(kind=each.kind, id=each.job_id) for each in commands)
    whole = replace(
        first, kind=GROUP, job_id=identifier, members=members, expect="any", retried=(), persona="", media=""
    )
    return [*(_watch(each, name_group(GROUP, identifier)) for each in commands), whole]


def _watch(command: RegisterCallback, group: str) -> RegisterCallback:
    """Return the command that watches a member as its own registration would, without a URL."""
    return replace(
        command,
        url=member_url(group),
        events=NOTHING,
        metadata=None,
        headers=None,
        secret=None,
        payload="full",
        group=group,
    )
