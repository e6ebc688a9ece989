"""Look in a provider's lists for what an uncertain start began."""

from msgspec.structs import replace

from bridge.domain.polling.list_pages import PAGE
from bridge.domain.starts.evidence import ListedObject, LookResult, Scene, covers, judge
from bridge.domain.starts.records import Start, StartState
from bridge.providers.lists import Rows
from bridge.providers.start_evidence import StartEvidence, Trace, read_candidates
from bridge.services.accounts.account_reads import AccountReads, NotReadNow
from bridge.services.context import Services
from bridge.services.starts.charges import date_by_charges
from bridge.services.starts.rivals import list_known, list_rival_sources
from bridge.services.starts.run_evidence import find_linked, find_run
from bridge.store.tables.accounts import Account


async def find_started(
    services: Services, place: str, start: Start, account: Account, evidence: StartEvidence
) -> LookResult:
    """Return what may be, and what must be, the job that a start began.

    It costs one to three requests of the account's budget. Raise NotReadNow.
    """
    reads = await AccountReads.open(services, account, evidence.kind)
    match evidence.trace:
        case Trace.NEW_RUN:
            return await find_run(reads, place, start, account, evidence.kind)
        case Trace.LINK:
            return await find_linked(reads, place, start, account, evidence)
        case Trace.NEW_ROW:
            return await _find_row(reads, place, start, account, evidence)


async def _find_row(
    reads: AccountReads, place: str, start: Start, account: Account, evidence: StartEvidence
) -> LookResult:
    """Look for one more job in the list of the persona's jobs."""
    listed, services = evidence.kind.list, reads.services
    path = listed.name_for(start.persona) if listed else ""
    if not path:
        return LookResult("", ())
    found, is_whole, ahead_ms = await _read_recent(reads, evidence, path, start.began_ms)
    found = list(await date_by_charges(reads, account, found))
    late = start.state is StartState.ANSWERED
    scene = Scene(
        source=start.source if evidence.source_field else "",
        began_ms=start.began_ms + ahead_ms,
        until_ms=start.until_ms + ahead_ms,
        returned=await list_known(services, place, start, evidence, [each.id for each in found]),
        rivals=await list_rival_sources(services, place, start, account, evidence),
        is_whole=is_whole,
    )
    seen = judge(found, scene)
    if seen.certain or len(seen.candidates) != 1 or scene.rivals or not is_whole:
        return seen
    automated = await _is_automated(reads, evidence, start.persona)
    # A start that was answered did begin something, so that only a source known to do so casts doubt on it.
    return judge(found, replace(scene, automated=False if late and automated is None else automated))


async def _read_recent(
    lists: AccountReads, evidence: StartEvidence, path: str, began_ms: int
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


async def _is_automated(lists: AccountReads, evidence: StartEvidence, persona: str) -> bool | None:
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
