"""Look at the object that an uncertain start is about, for what the start would have changed of it."""

from bridge.domain.jobs.baseline import shows_new_run, take_baseline
from bridge.domain.polling.list_pages import PAGE
from bridge.domain.starts.evidence import CHANGE_MS, LookResult, Scene, covers, judge
from bridge.domain.starts.records import Start
from bridge.providers.registry import KINDS, find_rule
from bridge.providers.spec import KindSpec
from bridge.providers.start_evidence import StartEvidence, read_candidates
from bridge.services.accounts.account_reads import AccountReads
from bridge.services.starts.charges import was_charged
from bridge.services.starts.rivals import has_rivals, list_known
from bridge.store.tables.accounts import Account


async def find_run(
    reads: AccountReads, place: str, start: Start, account: Account, kind: KindSpec
) -> LookResult:
    """Return the object that a start runs again, if it is another than before; raise NotReadNow.

    What changed much later may be somebody else's doing.
    """
    if not start.subject:
        return LookResult("", ())
    now_ms, before = reads.services.clock_ms(), start.baseline
    seen = take_baseline(await reads.read_job(kind, start.subject), kind.traits.result_fields)
    is_changed = before is not None and shows_new_run(before, seen)
    is_certain = is_changed and now_ms <= start.until_ms + CHANGE_MS
    if not is_certain:
        is_certain = await was_charged(reads, account, start)
    named = is_changed or is_certain or (before is None and not seen.ending)
    if is_certain and await has_rivals(reads.services, place, start, account):
        is_certain = False
    return LookResult(start.subject if is_certain else "", (start.subject,) if named else ())


async def find_linked(
    reads: AccountReads, place: str, start: Start, account: Account, evidence: StartEvidence
) -> LookResult:
    """Return the job that was made of the parts of what a start is about; raise NotReadNow.

    Where there is no list of such jobs, what a start is about is named if its review has changed.
    """
    before, listed = start.baseline, evidence.kind.list
    if before is None or not start.subject or listed is None:
        return LookResult("", ())
    page = await reads.read_optional(listed.path)
    if page is not None:
        rows = read_candidates(evidence, [row for _, row in page.rows.rows])
        parts = frozenset(part for part, _ in before.parts)
        made = [each for each in rows if not parts.isdisjoint(each.linked)]
        began_ms = start.began_ms + page.ahead_ms
        scene = Scene(
            source="",
            began_ms=began_ms,
            until_ms=start.until_ms + page.ahead_ms,
            returned=await list_known(reads.services, place, start, evidence, [each.id for each in made]),
            rivals=[""] if await has_rivals(reads.services, place, start, account) else [],
            automated=False,  # automation makes posts of its own
            is_whole=covers(rows, count=page.rows.count, most=PAGE, began_ms=began_ms, last=False),
        )
        seen = judge(made, scene)
        if seen.candidates:
            return seen
    about = KINDS[find_rule(account.provider, start.rule).about]
    review = (await reads.read_job(about, start.subject)).review or ""
    return LookResult("", (start.subject,) if review != before.review else ())
