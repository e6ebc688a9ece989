"""Read the sources of followed personas, for endpoints that ask for it, and tell of syncs that no known job did."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from bridge.domain.events.event import Fact
from bridge.domain.events.filters import matches
from bridge.domain.following.records import Followed
from bridge.domain.following.sources import read_sources
from bridge.domain.ids import job_key
from bridge.domain.jobs.fanout import fan_out
from bridge.domain.jobs.outcome import EventDraft, PollContext, Transition
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.subscriptions.endpoint import EVERY_PERSONA
from bridge.domain.subscriptions.endpoint_table import EndpointTable
from bridge.providers.lists import Rows
from bridge.providers.registry import PROVIDERS
from bridge.providers.start_evidence import SOURCE, SYNCED, SourceList
from bridge.providers.timestamps import read_moment_ms
from bridge.services.context import Services
from bridge.services.jobs.endpoint_fanout import choose_table
from bridge.services.jobs.known_children import SYNC_WINDOW_S
from bridge.services.jobs.new_events import write_advance
from bridge.services.jobs.observe import finish
from bridge.services.queries import NO_LOG
from bridge.store.tables.accounts import Account
from bridge.store.unit_of_work import UnitOfWork, retrying

EVERY_S: Final = SYNC_WINDOW_S  # between two reads of a persona's sources
SELDOM: Final = 10  # sweeps of a persona's posts for each read of its sources
FROM_PROVIDER: Final = "list"


def list_for(provider: str) -> SourceList | None:
    """Return a provider's list of sources, None where it has none."""
    return PROVIDERS[provider].sources


def is_asked_for(table: EndpointTable, persona: str) -> bool:
    """Return whether an endpoint that follows a persona asks for the syncs of its sources."""
    return any(
        each.events
        and not {persona, EVERY_PERSONA}.isdisjoint(each.personas)
        and matches(each.events, SYNCED, ending=False)
        for each in table.by_id.values()
    )


async def tell_synced(
    services: Services, account: Account, persona: str, followed: Followed, *, page: Rows, at: PollContext
) -> Followed:
    """Tell of each source that was synced by no known job; return what is known of the persona then."""
    spec = list_for(account.provider)
    assert spec is not None, "a list that was read exists"
    rows = dict(page.rows)
    shown = {each: str(row.get(spec.synced_field) or "") for each, row in rows.items()}
    moments = {each: read_moment_ms(text) for each, text in shown.items()}
    window_ms = services.time_scale.ms(EVERY_S)
    reading = read_sources(
        followed.sources if followed.sources_ms else None,
        shown,
        moments=moments,
        settled_ms=at.now_ms - window_ms,
    )
    for source in reading.moved:
        moment_ms = moments[source] or at.now_ms
        if not await services.store.following.was_synced(account.id, persona, moment_ms, window_ms=window_ms):
            await _tell(
                services, account, persona, rows[source], synced=shown[source], at=at, since_ms=moment_ms
            )
    wait_ms = services.time_scale.ms(max(EVERY_S, SELDOM * followed.interval_s))
    return replace(followed, sources=reading.known, sources_ms=at.now_ms + wait_ms, sources_reason="")


async def _tell(
    services: Services,
    account: Account,
    persona: str,
    row: Mapping[str, Any],
    *,
    synced: str,
    at: PollContext,
    since_ms: int,
) -> None:
    """Write the event that a source was synced, once for each time."""
    key = job_key(services.store.shard_of(account.id), account.id, SOURCE, str(row["id"]))
    draft = _draft(list_for(account.provider), persona, row, synced)
    at = replace(at, source=FROM_PROVIDER, lag_max_ms=max(0, at.now_ms - since_ms))
    again = False

    async def stage() -> tuple[UnitOfWork | None, tuple[Transition, list[str]] | None]:
        nonlocal again
        loaded = await services.store.load_job(key)
        source = loaded.record if loaded else _begin(account, persona, str(row["id"]), now_ms=at.now_ms)
        fanout = fan_out(source, key, (draft,), now_ms=at.now_ms)
        if not fanout.new_events:
            return None, None
        moved = Transition(
            job=fanout.job,
            log=NO_LOG,
            new_events=fanout.new_events,
            notifications=(),
            delay_ms=None,
            data=row,
        )
        table = await choose_table(services, account.project, key[0], again=again)
        again = True
        unit = services.unit_of_work(key[0])
        write_advance(services, unit, key, loaded, moved=moved, at=at, table=table)
        unit.retire(key, moved.job)
        unit.require_endpoints(account.project, table)
        return unit, (moved, unit.events)

    if (saved := await retrying(services.store.committer, stage)) is not None:
        await finish(services, key, *saved, at)


def _begin(account: Account, persona: str, source: str, *, now_ms: int) -> Job:
    """Return the record under which a source's events are kept; it is never polled."""
    return Job(
        project=account.project,
        account=account.id,
        kind=SOURCE,
        id=source,
        born_ms=now_ms,
        state=JobState.ENDED,
        run=1,
        run_ms=now_ms,
        clock_ms=0,
        persona=persona,
        seen=True,
    )


def _draft(spec: SourceList | None, persona: str, row: Mapping[str, Any], synced: str) -> EventDraft:
    fact = Fact(
        word="synced",
        kind=SOURCE,
        job_id=str(row["id"]),
        status=str(row.get("status") or ""),
        outcome=None,
        error=None,
        summary=None,
        related={spec.persona_field: persona} if spec else {},
        data=row,
        run=1,
        late=False,
    )
    return EventDraft(name=f"synced:{synced}", type=SYNCED, fact=fact)
