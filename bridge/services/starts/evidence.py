"""Look in a provider's lists for what an uncertain start began."""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.polling.list_pages import PAGE
from bridge.domain.starts.evidence import ListedObject, LookResult, Scene, covers, judge, may_be_confused
from bridge.domain.starts.records import Start, StartState
from bridge.providers.lists import Rows
from bridge.providers.start_evidence import StartEvidence, read_candidates
from bridge.services.context import Services
from bridge.services.starts.account_lists import AccountLists, NotReadNow
from bridge.store.records import Wanted
from bridge.store.tables.accounts import Account

MOST_OPEN = 2_000  # open starts that are compared with; with more nothing is certain


async def find_started(
    services: Services, place: str, start: Start, account: Account, evidence: StartEvidence
) -> LookResult:
    """Return what may be, and what must be, the job that a start began.

    It costs one to three requests of the account's budget. Raise NotReadNow.
    """
    listed = evidence.kind.list
    path = listed.name_for(start.persona) if listed else ""
    if not path:
        return LookResult("", ())
    lists = await AccountLists.open(services, account, evidence.kind)
    found, is_whole, ahead_ms = await _read_recent(lists, evidence, path, start.began_ms)
    late = start.state is StartState.ANSWERED
    scene = Scene(
        source=start.source if evidence.source_field else "",
        began_ms=start.began_ms + ahead_ms,
        until_ms=start.until_ms + ahead_ms,
        returned=await _list_known(services, place, start, evidence, [each.id for each in found]),
        before=None if start.baseline is None else frozenset(start.baseline),
        rivals=await _list_rivals(services, place, start),
        is_whole=is_whole,
    )
    seen = judge(found, scene)
    if seen.certain or len(seen.candidates) != 1 or scene.rivals or not is_whole:
        return seen
    automated = await _is_automated(lists, evidence, start.persona)
    # A start that was answered did begin something, so that only a source known to do so casts doubt on it.
    return judge(found, replace(scene, automated=False if late and automated is None else automated))


async def _read_recent(
    lists: AccountLists, evidence: StartEvidence, path: str, began_ms: int
) -> tuple[list[ListedObject], bool, int]:
    """Return listed objects, whether none of the time in question can be missing, and the provider's clock's lead."""
    page = await lists.read_jobs(evidence.kind, path)
    first, count = _read(evidence, page.rows), page.rows.count
    since_ms = began_ms + page.ahead_ms
    if covers(first, count=count, most=PAGE, began_ms=since_ms, last=False):
        return first, True, page.ahead_ms
    if count <= PAGE:
        return first, False, page.ahead_ms
    last = _read(evidence, (await lists.read_jobs(evidence.kind, path, offset=count - PAGE)).rows)
    whole = covers(last, count=count, most=PAGE, began_ms=since_ms, last=True)
    return [*first, *last], whole, page.ahead_ms


def _read(evidence: StartEvidence, rows: Rows) -> list[ListedObject]:
    return read_candidates(evidence, [row for _, row in rows.rows])


async def _list_known(
    services: Services, place: str, start: Start, evidence: StartEvidence, ids: Sequence[str]
) -> set[str]:
    """Return which jobs were begun by another start, or were watched before this one was sent."""
    by_key = {job_key(place[0], start.account, evidence.kind.name, each): each for each in ids}
    others = await services.store.starts.started_by(list(by_key))
    watched = (await services.store.load_many(Wanted(jobs=list(by_key)))).jobs
    known = {by_key[key] for key, other in others.items() if other != place}
    return known | {by_key[key] for key, job in watched.items() if job.record.born_ms < start.began_ms}


async def _list_rivals(services: Services, place: str, start: Start) -> list[str]:
    """Return the sources of other starts under way or uncertain that may have begun what is found."""
    others = await services.store.starts.load_open(place[0], count=MOST_OPEN)
    if len(others) == MOST_OPEN:
        return [""]
    return [
        other.source for there, other in others.items() if there != place and may_be_confused(start, other)
    ]


async def _is_automated(lists: AccountLists, evidence: StartEvidence, persona: str) -> bool | None:
    """Return whether something begins jobs of the persona without a call, None if that cannot be found out."""
    if evidence.automatic is None:
        return None
    try:
        page = await lists.read_others(evidence.automation_path.replace("{persona}", persona))
    except NotReadNow as wait:
        if wait.wait_ms:
            raise
        return None
    if page.rows.count > len(page.rows.rows):
        return None
    return any(evidence.automatic(row) for _, row in page.rows.rows)
