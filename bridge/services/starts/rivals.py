"""Find other starts that may have done what one start seems to have done."""

from collections.abc import Sequence

from bridge.domain.ids import job_key
from bridge.domain.starts.evidence import BEFORE_MS, is_about_same, list_subjects, may_be_confused
from bridge.domain.starts.records import Start
from bridge.providers.registry import PROVIDERS
from bridge.providers.start_evidence import StartEvidence, Trace
from bridge.services.context import Services
from bridge.store.records import Wanted
from bridge.store.tables.accounts import Account

MOST_OPEN = 2_000  # open starts that are compared with; with more nothing is certain


async def list_rival_sources(
    services: Services, place: str, start: Start, account: Account, evidence: StartEvidence
) -> list[str]:
    """Return the sources of other starts under way or uncertain that may have begun what is found in a persona's list."""
    others = await services.store.starts.load_open(place[0], count=MOST_OPEN)
    if len(others) == MOST_OPEN:
        return [""]
    rules = PROVIDERS[account.provider].start_evidence
    same_list = {
        rule
        for rule, each in rules.items()
        if (each.kind.name, each.trace) == (evidence.kind.name, evidence.trace)
    }
    return [
        other.source
        for there, other in others.items()
        if there != place and other.rule in same_list and may_be_confused(start, other)
    ]


async def has_rivals(services: Services, place: str, start: Start, account: Account) -> bool:
    """Return whether another start changed what this one is about at about the same time, or may have done so."""
    others = await services.store.starts.load_open(place[0], count=MOST_OPEN)
    if len(others) == MOST_OPEN or any(
        there != place and is_about_same(start, other) for there, other in others.items()
    ):
        return True
    rules = PROVIDERS[account.provider].start_evidence.values()
    kinds = {each.kind.name for each in rules if each.trace is Trace.NEW_RUN}
    keys = [job_key(place[0], start.account, kind, each) for kind in kinds for each in list_subjects(start)]
    noted = await services.store.starts.started_by(keys)
    return any(other != place and at_ms >= start.began_ms - BEFORE_MS for other, at_ms in noted.values())


async def list_known(
    services: Services, place: str, start: Start, evidence: StartEvidence, ids: Sequence[str]
) -> set[str]:
    """Return which jobs were begun by another start, or were watched before this one was sent."""
    by_key = {job_key(place[0], start.account, evidence.kind.name, each): each for each in ids}
    noted = await services.store.starts.started_by(list(by_key))
    watched = (await services.store.load_many(Wanted(jobs=list(by_key)))).jobs
    known = {by_key[key] for key, (other, _) in noted.items() if other != place}
    return known | {by_key[key] for key, job in watched.items() if job.record.born_ms < start.began_ms}
