"""Plan registrations of one callback for several jobs: a watch on each, and the group or chain that waits for them."""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.events.filters import NOTHING
from bridge.domain.groups.chain import CHAIN_LASTS_S
from bridge.domain.ids import chain_id, group_id
from bridge.domain.jobs.records import Job, Member
from bridge.domain.jobs.watches import CHAIN, GROUP, member_url, name_group
from bridge.providers.registry import CHILD_RULES
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


def plan_chain(services: Services, command: RegisterCallback) -> list[RegisterCallback]:
    """Return the command that watches a job, then that of the chain of all that comes of it, which has the callback."""
    fingerprint = services.store.vault.fingerprint(command.url.text)
    identifier = chain_id(command.kind, command.job_id, fingerprint)
    whole = replace(
        command,
        kind=CHAIN,
        job_id=identifier,
        members=(Member(kind=command.kind, id=command.job_id),),
        once=True,
        expect="any",
        retried=(),
        media="",
    )
    watch = _watch(command, name_group(CHAIN, identifier))
    return [_keep_for_review(replace(watch, timeout_s=None)), whole]


def watch_for_chain(chain: Job, member: Member) -> RegisterCallback:
    """Return the command that watches a job which came of another one in a chain."""
    name = name_group(chain.kind, chain.id)
    command = RegisterCallback(
        kind=member.kind, job_id=member.id, url=member_url(name), persona=chain.persona, account=chain.account
    )
    return _keep_for_review(_watch(command, name))


def _keep_for_review(watch: RegisterCallback) -> RegisterCallback:
    """Return a watch that goes on after the end of a job whose review decides what comes of it."""
    rule = CHILD_RULES.get(watch.kind)
    has_review = rule is not None and rule.has_review
    return replace(watch, once=not has_review, lasts_s=CHAIN_LASTS_S)


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
