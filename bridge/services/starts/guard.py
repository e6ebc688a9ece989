"""Guard calls that start work: written to disk before they are sent, kept with their answer, and never sent twice.

The caller of `begin` that gets a `Ticket` sends the request once, and then calls `finish`, `release` or `doubt`. If it does
not, because its process ended, the sweep finds out what became of the request (`recovery`). Whoever gets a `Known`
sends nothing: a token compare on the record is enough, since only the maker of an intent ever sends.
"""

from collections.abc import Sequence
from typing import TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.jobs.baseline import Baseline
from bridge.domain.jobs.watches import is_watch
from bridge.domain.starts.looks import LONGEST_CALL_MS, OWNER_SILENT_MS, next_doubt_look_ms
from bridge.domain.starts.records import TRANSITIONS, Fingerprint, Start, StartedJob, StartState
from bridge.domain.starts.repeats import Repeat, judge_repeat
from bridge.errors import RateLimited, Unavailable
from bridge.services.context import Services
from bridge.services.jobs.known_children import list_started_children
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.services.quota import check_bytes, held_bytes
from bridge.services.starts.conclude import Finished, conclude
from bridge.services.starts.sealing import StartAnswer, seal_answer, seal_webhook
from bridge.store.errors import StoreFull, StoreNotDurable
from bridge.store.records import Loaded
from bridge.store.tables.accounts import Account
from bridge.store.tables.starts import keyed_place, random_place
from bridge.store.unit_of_work import UnitOfWork, retrying

STARTS_PER_PROJECT = 10_000
QUOTA_WAIT_S = 60.0
START_BYTES = 4 * 1024  # what a start and its answer take as a rule; what they took is counted afterwards
TOKEN_BYTES = 16
ANSWER_BYTES = 256 * 1024  # of a body; a larger one is not kept
STORE_RETRY_S = 1.0
DROPPED_FIELDS = frozenset({b"set-cookie"})
UNDECIDED = frozenset(state for state in StartState if TRANSITIONS[state])


class Intent(Struct, frozen=True, kw_only=True):
    """A start that is about to be sent; see `Start` for most fields.

    `key` is its Idempotency-Key, `webhook` what is to be registered for each of its jobs: `kind` and `job_id` in it do
    not count.
    """

    account: Account
    rule: str
    fingerprint: Fingerprint
    key: str | None = None
    persona: str = ""
    source: str = ""
    subject: str = ""
    baseline: Baseline | None = None
    webhook: RegisterCallback | None = None


class Ticket(Struct, frozen=True):
    """The right to send a start once, from the moment at which `begin` returns it."""

    place: str
    token: bytes


class Known(Struct, frozen=True):
    """A start under a key that was used before: nothing is to be sent."""

    place: str
    start: Start
    repeat: Repeat


def plan_ticket(services: Services, intent: Intent) -> Ticket:
    """Return the ticket for a start, with which `begin` is called; nothing is written yet."""
    account, store = intent.account, services.store
    shard = store.shard_of(account.id)
    place = (
        random_place(shard, services.dice)
        if intent.key is None
        else keyed_place(
            store.vault, shard, project=account.project, provider=account.provider, key=intent.key
        )
    )
    return Ticket(place, services.dice(TOKEN_BYTES))


async def begin(services: Services, intent: Intent, ticket: Ticket) -> Ticket | Known:
    """Write down that a start is about to be sent, and return once that is on disk; or return the start with its key.

    Raise RateLimited when the project has too many starts, Unavailable when the store is full or its disk does not confirm
    in time; the errors of a store that cannot be reached pass through. Nothing may be sent then, and as the intent may
    have been written, the ticket must be released.
    """
    place, account = ticket.place, intent.account
    webhook = None if intent.webhook is None else seal_webhook(services.store.vault, place, intent.webhook)

    async def stage() -> tuple[UnitOfWork | None, Ticket | Known]:
        unit = services.unit_of_work(place[0])
        loaded, count = await services.store.starts.load_and_count(place, account.project, now_ms=unit.now_ms)
        if loaded is not None:
            if loaded.record.token == ticket.token:  # written in an earlier try whose answer was lost
                return None, ticket
            return None, Known(place, loaded.record, judge_repeat(loaded.record, intent.fingerprint))
        if count >= STARTS_PER_PROJECT:
            raise RateLimited(
                QUOTA_WAIT_S,
                f"this project has {count:,} calls with an Idempotency-Key of the last 24 hours: nothing was sent",
            )
        check_bytes(services, await held_bytes(services, account.project), START_BYTES)
        start = _new_start(
            intent, owner=services.process, token=ticket.token, webhook=webhook, now_ms=unit.now_ms
        )
        unit.put_start(place, start, None)
        unit.look_at(place, unit.now_ms + OWNER_SILENT_MS)
        return unit, ticket

    try:
        return await retrying(services.store.committer, stage, new_work=True, durable=True)
    except StoreFull:
        raise Unavailable("the store is full: nothing was sent", retry_after_s=STORE_RETRY_S) from None
    except StoreNotDurable:
        raise Unavailable(
            "the disk is too slow to confirm the call: nothing was sent", retry_after_s=STORE_RETRY_S
        ) from None


def _new_start(intent: Intent, *, owner: str, token: bytes, webhook: bytes | None, now_ms: int) -> Start:
    return Start(
        state=StartState.INTENT,
        token=token,
        owner=owner,
        project=intent.account.project,
        account=intent.account.id,
        rule=intent.rule,
        began_ms=now_ms,
        fingerprint=intent.fingerprint,
        keyed=intent.key is not None,
        persona=intent.persona,
        source=intent.source,
        subject=intent.subject,
        baseline=intent.baseline,
        webhook=webhook,
        until_ms=now_ms,
        watched=intent.webhook is not None and is_watch(intent.webhook.url.origin),
    )


async def look_up(services: Services, place: str, fingerprint: Fingerprint) -> Known | None:
    """Return the start at a place as a repetition sees it, None when there is none any more.

    One whose process is gone is turned into a doubt first.
    """
    loaded = await services.store.starts.load(place)
    if loaded is None:
        return None
    if loaded.record.state is StartState.INTENT and not await is_owned(services, loaded.record):
        await write_doubt(services, place, loaded.record.token)
        loaded = await services.store.starts.load(place) or loaded
    return Known(place, loaded.record, judge_repeat(loaded.record, fingerprint))


async def is_owned(services: Services, start: Start) -> bool:
    """Whether an intent's call can still be under way in the process that made it, which has sent a heartbeat lately."""
    now_ms = services.clock_ms()
    age_ms = now_ms - start.began_ms
    if age_ms < OWNER_SILENT_MS or age_ms > LONGEST_CALL_MS:
        return age_ms < OWNER_SILENT_MS  # it wrote the intent itself just now
    return now_ms - await services.store.api_heartbeats.last_ms(start.owner) <= OWNER_SILENT_MS


async def release(services: Services, ticket: Ticket) -> bool:
    """Forget a start that was not sent, or that the provider refused; return whether it was still there.

    A refusal that comes after the start fell into doubt ends the doubt.
    """

    async def stage() -> tuple[UnitOfWork | None, bool]:
        loaded = await services.store.starts.load(ticket.place)
        if not _is_undecided(loaded, ticket.token):
            return None, False
        unit = services.unit_of_work(ticket.place[0])
        unit.drop_start(ticket.place, loaded)
        return unit, True

    return await retrying(services.store.committer, stage)


async def doubt(services: Services, ticket: Ticket) -> bool:
    """Note that a start was sent and that what became of it is not known; return whether it was still undecided."""
    return await write_doubt(services, ticket.place, ticket.token)


async def write_doubt(services: Services, place: str, token: bytes) -> bool:
    """Turn an intent with this token into a doubt; return whether the start is one now."""

    async def stage() -> tuple[UnitOfWork | None, bool]:
        loaded = await services.store.starts.load(place)
        if not _is_undecided(loaded, token):
            return None, False
        if loaded.record.state is StartState.DOUBT:
            return None, True
        unit = services.unit_of_work(place[0])
        now_ms = unit.now_ms
        start = replace(loaded.record, state=StartState.DOUBT, ended_ms=now_ms, until_ms=now_ms)
        unit.put_start(place, start, loaded)
        unit.look_at(place, next_doubt_look_ms(start, scale=services.time_scale, now_ms=now_ms))
        return unit, True

    return await retrying(services.store.committer, stage, durable=True)


async def finish(
    services: Services, ticket: Ticket, answer: StartAnswer, jobs: Sequence[StartedJob], *, late: bool = False
) -> Finished:
    """Keep a provider's answer and register its jobs, in one step, and return once that is on disk.

    `late`: the answer names no job yet, and one is to be looked for. A doubt ends here too. Where the start was rebuilt
    meanwhile, or is gone, nothing is written.
    """
    vault, place = services.store.vault, ticket.place
    kept = None
    if len(answer.body) <= ANSWER_BYTES:
        fields = tuple(each for each in answer.fields if each[0].lower() not in DROPPED_FIELDS)
        kept = seal_answer(vault, place, StartAnswer(answer.status, fields, answer.body))
    now_ms = services.clock_ms()

    def decide(start: Start) -> Start | None:
        if start.token != ticket.token or StartState.ANSWERED not in TRANSITIONS[start.state]:
            return None
        return replace(
            start,
            state=StartState.ANSWERED,
            answer=kept if start.keyed else None,
            jobs=tuple(jobs),
            pending=start.webhook is not None and late,
            ended_ms=now_ms,
            until_ms=now_ms,
            looks=0,
            found=(),
        )

    return await conclude(services, place, decide)


def _is_undecided(loaded: Loaded[Start] | None, token: bytes) -> TypeGuard[Loaded[Start]]:
    return loaded is not None and loaded.record.token == token and loaded.record.state in UNDECIDED


async def note_started(services: Services, account: Account, jobs: Sequence[StartedJob]) -> None:
    """Note what a call began that was not written down, so that it is not taken for what an uncertain one began."""
    unit = services.unit_of_work(services.store.shard_of(account.id))
    for job in jobs:
        unit.mark_started(job_key(unit.shard, account.id, job.kind, job.id), "", alone=False)
    unit.add(list_started_children(unit.shard, account.id, jobs))
    await services.store.committer.commit(unit.change())
