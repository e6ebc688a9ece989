"""Watch what comes of followed posts once a review has passed them, as far as its id can be known."""

from collections.abc import Iterator
from typing import Final

import structlog

from bridge.domain.following.marks import review_of
from bridge.domain.groups.child_rule import ChildRule
from bridge.domain.ids import job_key
from bridge.errors import BridgeError
from bridge.providers.registry import CHILD_RULES
from bridge.services.context import Services
from bridge.services.following.followed_kinds import mark_words
from bridge.services.following.news import FollowedPersona, SweptPage
from bridge.services.groups.children import find_children
from bridge.services.jobs.watching import ensure_watched, is_heard_of
from bridge.services.queries import load_jobs

MOST: Final = 20  # posts of one page; a review of more at once is no news that somebody waits for
log = structlog.get_logger()


async def watch_children(services: Services, of: FollowedPersona, page: SweptPage) -> None:
    """Watch the jobs that came of posts which this page shows as passed for the first time, if an endpoint hears of such jobs."""
    rule = CHILD_RULES.get(of.kind.name)
    posts = [] if rule is None else list(_list_passed(of, page, rule))[:MOST]
    if rule is None or not posts or not await is_heard_of(services, of.project, rule.kind):
        return
    shard = services.store.shard_of(of.account)
    keys = [job_key(shard, of.account, of.kind.name, each) for each in posts]
    for loaded in (await load_jobs(services.store, keys)).values():
        for child in await find_children(services, loaded.record, rule, looks=True):
            try:
                await ensure_watched(services, of.project, rule.kind, child, account=of.account)
            except BridgeError as refused:  # the project has as many jobs as it may have
                log.warning("following.not_watched", job=child, error=refused.code)


def _list_passed(of: FollowedPersona, page: SweptPage, rule: ChildRule) -> Iterator[str]:
    """Yield the posts whose review a page shows as passed, and did not before."""
    words = mark_words(of.kind.name)
    for post in (*page.reading.new, *page.reading.changed):
        before, mark = page.reading.changed.get(post), page.marks.get(post)
        review = review_of(mark, words) if mark else ""
        if review not in ("", rule.refused_by) and (before is None or review_of(before, words) != review):
            yield post
