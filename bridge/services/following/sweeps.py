"""Sweep followed personas: each sweep reads one page of a persona's posts and tells what is new."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from msgspec.structs import replace

from bridge.domain.following.intervals import ACTIVE_S, plan_intervals
from bridge.domain.following.marks import is_running
from bridge.domain.following.pages import KnownPosts, PageReading, read_posts
from bridge.domain.following.records import Followed, FollowState
from bridge.domain.jobs.intervals import OUTAGE_RETRY_S
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    PollResult,
    Throttled,
    UnexpectedAnswer,
)
from bridge.domain.subscriptions.endpoint import EVERY_PERSONA
from bridge.http.upstream import ListAnswer
from bridge.providers.lists import Rows
from bridge.providers.spec import JOB_ID
from bridge.services.accounts.account_health import AccountHealthRecorder
from bridge.services.accounts.credentials import Credentials
from bridge.services.accounts.health_cache import HealthCache
from bridge.services.accounts.rate_budget import RateBudget
from bridge.services.context import Services
from bridge.services.duration_estimates import DurationEstimates
from bridge.services.following.followed_kinds import persona_list
from bridge.services.following.news import FollowedPersona, SweptPage, apply_page, mark_rows, patience_for
from bridge.services.following.passed_posts import watch_children
from bridge.services.following.sweep_plan import SweepTask
from bridge.services.following.synced_sources import is_asked_for, list_for, tell_synced
from bridge.services.polling.leases import RenewalTimer, RenewedLeases
from bridge.services.polling.piggyback import Piggyback
from bridge.store.queue.lanes import Settled

PERSONAS_S: Final = 300.0  # between two reads of the list of personas
RETRY_S: Final = 30.0  # after an answer that says nothing
DAILY_MS: Final = 86_400_000
RENEW_EVERY_S: Final = 2.0
SOURCES_UNAVAILABLE: Final = (
    "the provider does not list this persona's sources ({said}); tried again once a day"
)
UNAVAILABLE: Final = "the provider does not give this list ({said}); tried again once a day"


class Sweeper:
    """Makes the sweeps of one worker."""

    def __init__(
        self,
        services: Services,
        *,
        rate_budget: RateBudget,
        health_cache: HealthCache,
        credentials: Credentials,
        durations: DurationEstimates,
        lease_ms: int,
    ) -> None:
        """Take what the worker's polls use too, and the duration of a lease."""
        self._services = services
        self._rate_budget = rate_budget
        self._health = AccountHealthRecorder(services, health_cache)
        self._credentials = credentials
        self._lease_ms = lease_ms
        self._renewals = RenewalTimer(every_s=RENEW_EVERY_S)
        self._piggyback = Piggyback(services, durations, lease_ms=lease_ms, patience=patience_for)

    async def sweep(self, task: SweepTask) -> Sequence[Settled]:
        """Read a page and tell what is new; return when the persona's next turn is."""
        leases = RenewedLeases(
            self._services.store.poll,
            task.shard,
            task.account,
            [(task.member, task.token)],
            lease_ms=self._lease_ms,
            timer=self._renewals,
        )
        async with leases as kept:
            delay_ms = await (await self._choose(task))(task)
        return (Settled(task.account, task.member, kept.tokens[0], delay_ms),)

    async def _choose(self, task: SweepTask) -> Callable[[SweepTask], Coroutine[Any, Any, int]]:
        """Return what a persona's turn is for: its posts, or now and then its sources, if an endpoint asks for these."""
        if task.persona == EVERY_PERSONA:
            return self._read_personas
        followed, now_ms = task.followed, self._services.clock_ms()
        if followed.state is not FollowState.FOLLOWING or now_ms < followed.sources_ms:
            return self._read_posts
        spec, account = list_for(task.kind.provider), await self._services.store.accounts.get(task.account)
        if spec is None or account is None or not spec.path_for(task.persona):
            return self._read_posts
        table = await self._services.store.endpoints.table(account.project)
        return self._read_sources if is_asked_for(table, task.persona) else self._read_posts

    async def _read_sources(self, task: SweepTask) -> int:
        services, spec = self._services, list_for(task.kind.provider)
        account = await services.store.accounts.get(task.account)
        if spec is None or account is None:
            return DAILY_MS
        begun_ms = services.clock_ms()
        login = await self._credentials.get(task.account, task.health.version)
        answer = await services.upstream.read_rows(login, spec.path_for(task.persona), now_ms=begun_ms)
        await self._record(task, answer)
        at = PollContext(begun_ms=begun_ms, now_ms=services.clock_ms(), took_ms=answer.took_ms)
        if isinstance(answer.result, Rows):
            await self._health.note_ok(task.account, task.health, task.kind.name)
            followed = await tell_synced(
                services, account, task.persona, task.followed, page=answer.result, at=at
            )
        elif said := _say_absence(answer.result):
            reason = SOURCES_UNAVAILABLE.format(said=said)
            followed = replace(task.followed, sources_ms=at.now_ms + DAILY_MS, sources_reason=reason)
        else:
            return await self._note_failure(task, answer.result, at)
        await services.store.following.save(task.account, task.persona, followed, None)
        return 0  # its posts come at once

    async def _read_posts(self, task: SweepTask) -> int:
        services = self._services
        begun_ms = services.clock_ms()
        known = await services.store.following.load_posts(task.account, task.persona)
        path = persona_list(task.kind).name_for(task.persona)
        login = await self._credentials.get(task.account, task.health.version)
        answer = await services.upstream.read_list(
            login, task.kind, path, offset=known.offset, now_ms=services.clock_ms()
        )
        await self._record(task, answer)
        at = PollContext(begun_ms=begun_ms, now_ms=services.clock_ms(), took_ms=answer.took_ms)
        if not isinstance(answer.result, Rows):
            return await self._note_failure(task, answer.result, at)
        await self._health.note_ok(task.account, task.health, task.kind.name)
        account = await services.store.accounts.get(task.account)
        if account is None:
            return DAILY_MS
        page = answer.result
        marks = mark_rows(services, task.kind, page, now_ms=at.now_ms)
        reading = read_posts(known, marks, count=page.count, rows=len(page.rows))
        of = FollowedPersona(
            project=account.project, account=account.id, persona=task.persona, kind=task.kind
        )
        # Before the baseline is whole, and where the walk is, a post may have begun at any time.
        shows_news = known.has_baseline and not known.is_walking
        waiting = await services.store.chains.waiting(account.id, now_ms=at.now_ms) if shows_news else {}
        chains = waiting.get(task.persona, ())
        swept = SweptPage(rows=page, reading=reading, marks=marks, chains=chains)
        await apply_page(services, of, swept, at, piggyback=self._piggyback)
        await watch_children(services, of, swept)
        is_busy = bool(reading.new or reading.changed or reading.missing) or any(
            map(is_running, marks.values())
        )
        return await self._save(task, known, reading, at, is_busy=is_busy)

    async def _save(
        self, task: SweepTask, known: KnownPosts, reading: PageReading, at: PollContext, *, is_busy: bool
    ) -> int:
        """Write what was found, and return the delay to the next sweep."""
        followed = replace(
            task.followed,
            state=FollowState.FOLLOWING if reading.known.has_baseline else FollowState.STARTING,
            reason="",
            swept_ms=at.now_ms,
            news_ms=at.now_ms if is_busy else task.followed.news_ms,
        )
        interval_s = self._choose_interval_s(task, followed, now_ms=at.now_ms)
        followed = replace(followed, interval_s=interval_s)
        changed = reading.known if reading.known != known else None
        await self._services.store.following.save(task.account, task.persona, followed, changed)
        return 0 if reading.more else self._services.time_scale.ms(interval_s)

    def _choose_interval_s(self, task: SweepTask, followed: Followed, *, now_ms: int) -> float:
        since_ms = now_ms - self._services.time_scale.ms(ACTIVE_S)
        others = [each for name, each in task.personas.items() if name not in (task.persona, EVERY_PERSONA)]
        swept = [each for each in (*others, followed) if each.state is not FollowState.UNAVAILABLE]
        active = sum(each.news_ms >= since_ms for each in swept)
        chosen = plan_intervals(active=active, quiet=len(swept) - active, per_minute=task.per_minute)
        return chosen.active_s if followed.news_ms >= since_ms else chosen.quiet_s

    async def _read_personas(self, task: SweepTask) -> int:
        """Read which personas there are, and begin to follow those that are new."""
        services, store = self._services, self._services.store
        begun_ms = services.clock_ms()
        login = await self._credentials.get(task.account, task.health.version)
        path = persona_list(task.kind).personas
        answer = await services.upstream.read_rows(login, path, now_ms=begun_ms)
        await self._record(task, answer)
        at = PollContext(begun_ms=begun_ms, now_ms=services.clock_ms(), took_ms=answer.took_ms)
        if not isinstance(answer.result, Rows):
            return await self._note_failure(task, answer.result, at)
        await self._health.note_ok(task.account, task.health, task.kind.name)
        found = tuple(each for each, _ in answer.result.rows if JOB_ID.fullmatch(each))
        followed = replace(
            task.followed,
            state=FollowState.FOLLOWING,
            reason="",
            swept_ms=at.now_ms,
            interval_s=PERSONAS_S,
            found=found,
        )
        await store.following.save(task.account, EVERY_PERSONA, followed, None)
        fresh = {each: Followed(since_ms=at.now_ms) for each in found if each not in task.personas}
        await store.following.begin(task.account, fresh)
        return services.time_scale.ms(PERSONAS_S)

    async def _record(self, task: SweepTask, answer: ListAnswer) -> None:
        await self._rate_budget.record_response(
            task.bucket, task.request, answer.rate, answer.result, took_ms=answer.took_ms
        )

    async def _note_failure(self, task: SweepTask, result: PollResult, at: PollContext) -> int:
        """Write why a list could not be read, if it is not to be had at all; return the delay to the next try."""
        scale = self._services.time_scale
        if isinstance(result, KeyRefused):
            await self._health.note(task.account, task.health, task.kind.name, result, at)
            return scale.ms(OUTAGE_RETRY_S)
        if isinstance(result, Throttled):
            return max(result.until_ms - at.now_ms, 1000)
        said = _say_absence(result)
        if not said:
            return scale.ms(RETRY_S)
        followed = replace(
            task.followed,
            state=FollowState.UNAVAILABLE,
            reason=UNAVAILABLE.format(said=said),
            swept_ms=at.now_ms,
            interval_s=DAILY_MS / 1000,
        )
        await self._services.store.following.save(task.account, task.persona, followed, None)
        return DAILY_MS


def _say_absence(result: PollResult) -> str:
    """Return in a few words why a list is not to be had, empty for a failure that may pass."""
    match result:
        case JobNotFound():
            return "404: no such persona, or no such list"
        case KindForbidden():
            return "403: the key lacks the scope"
        case UnexpectedAnswer(reason=reason) if "405" in reason:
            return "405: no such list"
    return ""
