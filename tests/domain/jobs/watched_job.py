"""A watched job in a test: virtual time, answers as the upstream writes them, and the promises checked at each step."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from msgspec.structs import replace

from bridge.domain.ids import callback_id, job_key
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.intervals import TimeScale
from bridge.domain.jobs.next_poll import is_done
from bridge.domain.jobs.outcome import NewEvent, Notification, PollContext, Transition
from bridge.domain.jobs.records import Job, JobState, PollLog
from bridge.domain.jobs.registration import RegistrationResult, new_job, register_callback
from bridge.domain.jobs.transition import advance
from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Observed,
    PollResult,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.providers.read import read_answer
from bridge.providers.registry import CATALOGUE, KINDS

START_MS = 1_800_000_000_000
DAY_MS = 86_400_000
JOB_ID = "77c1a2b4-0000-4000-8000-000000000010"

BROKEN = UpstreamBroken(reason="HTTP 502")
ODD = UnexpectedAnswer(reason="HTTP 402: INSUFFICIENT_BALANCE")
UNAVAILABLE = UpstreamBusy(wait_s=60.0)
MISSING, REFUSED, FORBIDDEN = JobNotFound(), KeyRefused(), KindForbidden()


def item(name: str, status: str, media: str = "video", **more: Any) -> dict[str, Any]:
    """Write a media item."""
    return {"id": name, "status": status, "media_type": media, **more}


def post(status: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Write a generated post."""
    return {"data": {"id": JOB_ID, "status": status, "media_items": list(items), **more}}


def outgoing(status: str, *deliveries: tuple[str, str], **more: Any) -> dict[str, Any]:
    """Write an outgoing post with (id, status) of its deliveries."""
    listed = [{"id": name, "status": word, "platform": "instagram"} for name, word in deliveries]
    return {"post": {"id": JOB_ID, "status": status, "deliveries": listed, **more}}


def simple(status: str | None, **more: Any) -> dict[str, Any]:
    """Write a job that is its own status word."""
    return {"data": {"id": JOB_ID, "status": status, **more}}


@dataclass
class Candidate:
    """One job, read whenever a test says so; every step proves what must always hold."""

    kind: str = "sync_job"
    scale: float = 1.0
    now_ms: int = START_MS
    job: Job | None = None
    log: PollLog = field(default_factory=PollLog)
    delay_ms: int | None = 0
    notifications: list[Notification] = field(default_factory=list)
    events: dict[str, NewEvent] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    states: set[tuple[JobState, JobState]] = field(default_factory=set)
    last: Transition | None = None
    _dice: count = field(default_factory=count)  # type: ignore[type-arg]  # count[int] is no class at run time
    _closed: Counter[str] = field(default_factory=Counter)

    @property
    def key(self) -> str:
        return job_key("a", "acc_1", self.kind, JOB_ID)

    @property
    def time_scale(self) -> TimeScale:
        return TimeScale(scale=self.scale)

    @property
    def record(self) -> Job:
        assert self.job is not None, "register first"
        return self.job

    def register(
        self, url: str = "https://example.com/a", *, retried: Mapping[str, str] | None = None, **fields: Any
    ) -> str:
        """Register a callback as the service does; gives its id."""
        return self.register_callback(url, retried=retried, **fields).callback.id

    def register_callback(
        self,
        url: str,
        *,
        retried: Mapping[str, str] | None = None,
        held: Collection[str] = (),
        **fields: Any,
    ) -> RegistrationResult:
        """Register a callback; gives all that `enrol` says."""
        clock = str(KINDS[self.kind].clock)
        if self.job is None:
            self.job = new_job(
                project="prj_1",
                account="acc_1",
                kind=self.kind,
                job_id=JOB_ID,
                now_ms=self.now_ms,
                clock=clock,
                persona="",
            )
        number = next(self._dice)
        callback = Callback(
            id=callback_id(self.key, lambda n: number.to_bytes(n, "big")),
            state=CallbackState.WATCHING,
            created_ms=self.now_ms,
            url=url.encode(),
            origin="https://example.com",
            masked="",
            fingerprint=url.encode(),
            **{"expires_ms": self.now_ms + 2 * DAY_MS, **fields},
        )
        before = self.job.state
        enrolled = register_callback(
            self.job, callback, now_ms=self.now_ms, clock=clock, retried=retried or {}, held=held
        )
        self.states.add((before, enrolled.job.state))
        self.job = enrolled.job
        if not is_live(enrolled.callback):  # it repeats one that is over
            return enrolled
        assert not is_done(self.job, now_ms=self.now_ms), "a job with a live callback is watched"
        if enrolled.poll_now or self.delay_ms is None:
            self.delay_ms = 0
        return enrolled

    def cancel(self, identifier: str) -> None:
        """Cancel a callback as the service does."""
        closed = replace(self.callback(identifier), state=CallbackState.CANCELLED, closed_ms=self.now_ms)
        callbacks = tuple(closed if each.id == identifier else each for each in self.record.callbacks)
        self.job = replace(self.record, callbacks=callbacks)

    def callback(self, identifier: str) -> Callback:
        return next(each for each in self.record.callbacks if each.id == identifier)

    def understand(self, answer: PollResult | dict[str, Any], *, superseded: frozenset[str]) -> PollResult:
        """Read an answer with the provider's own table."""
        if not isinstance(answer, dict):
            return answer
        result = read_answer(
            KINDS[self.kind],
            job_id=JOB_ID,
            http_status=200,
            headers={},
            body=json.dumps(answer).encode(),
            now_ms=self.now_ms,
            superseded=superseded,
        )
        assert isinstance(result, Observed), result
        return result

    def read(
        self,
        answer: PollResult | dict[str, Any],
        *,
        after_s: float | None = None,
        took_ms: int = 0,
        auth_refused: str = "",
        vanishing: bool = False,
        lens: frozenset[str] | None = None,
    ) -> list[str]:
        """Read the job when it is due (or after so many seconds); gives the types of the letters, in order.

        `lens` are the superseded items as known when the read began.
        """
        assert self.delay_ms is not None, "nobody reads a job that nobody waits for"
        self.now_ms += self.delay_ms if after_s is None else round(after_s * 1000)
        begun_ms = self.now_ms
        self.now_ms += took_ms
        known = frozenset(self.record.superseded) if lens is None else lens
        result = self.understand(answer, superseded=known)
        at = PollContext(
            begun_ms=begun_ms,
            now_ms=self.now_ms,
            took_ms=took_ms,
            digest=repr(answer).encode(),
            auth_refused=auth_refused,
            vanishing=vanishing,
        )
        spec = KINDS[self.kind]
        traits = spec.traits
        before = self.record
        moved = advance(before, self.log, result, key=self.key, at=at, traits=traits, scale=self.time_scale)
        self._check(before, moved)
        self.states.add((before.state, moved.job.state))
        self.job, self.log, self.delay_ms, self.last = moved.job, moved.log, moved.delay_ms, moved
        self.notifications += moved.notifications
        self.replaced += moved.replaced
        return [notification.type for notification in moved.notifications]

    def _has_timed_out(self, callback: str) -> bool:
        """Return whether a callback heard that the time was up; one whose filter leaves that out did not."""
        return any(
            each.callback == callback and each.type.endswith(".timed_out") for each in self.notifications
        )

    def _check(self, before: Job, moved: Transition) -> None:
        for new_events in moved.new_events:
            assert new_events.draft.type in CATALOGUE.types, (
                "no filter lets an unknown type through: none is made"
            )
            assert new_events.event not in self.events, f"{new_events.draft.name}: one fact, two events"
            self.events[new_events.event] = new_events
        assert [each.sequence for each in moved.new_events] == list(
            range(before.sequence + 1, moved.job.sequence + 1)
        )
        known = {(each.event, each.callback) for each in self.notifications}
        live = {each.id for each in before.callbacks if is_live(each)}
        owed = {each.id for each in before.callbacks if each.state is CallbackState.TIMED_OUT and each.late}
        after = {each.id: each for each in moved.job.callbacks}
        for notification in moved.notifications:
            assert (notification.event, notification.callback) not in known, (
                f"{notification.type} twice to one callback"
            )
            known.add((notification.event, notification.callback))
            assert notification.event in self.events, "a letter carries an event that is there"
            assert self.events[notification.event].draft.type == notification.type
            late = notification.callback in owed and notification.late
            assert notification.callback in live or late, "a closed callback hears nothing"
            if after[notification.callback].once:
                self._closed[notification.callback] += 1
                assert notification.closes, "a resume URL hears only its end"
                assert not is_live(after[notification.callback])
                assert self._closed[notification.callback] == (
                    2 if late and self._has_timed_out(notification.callback) else 1
                ), "one ending event"
        for each in moved.job.callbacks:
            if each.once and each.state in (CallbackState.ENDED, CallbackState.TIMED_OUT) and not each.events:
                assert self._closed[each.id] >= 1, "closed without a word"
        waited = any(is_live(each) for each in moved.job.callbacks)
        assert (moved.delay_ms is None) == is_done(moved.job, now_ms=self.now_ms)
        assert not (waited and moved.delay_ms is None), "whatever is alive is scheduled"
        assert moved.delay_ms is None or moved.delay_ms > 0
        assert moved.job.state is not JobState.ENDED or moved.job.ending_event in self.events
        assert moved.job.state is not JobState.TAIL or moved.job.tail_ms > 0
        assert len(moved.job.emitted) < 60, "old facts do not pile up"

    def heard(self, identifier: str) -> list[str]:
        """Give the last words of the events that a callback heard."""
        types = [each.type for each in self.notifications if each.callback == identifier]
        return [each.partition(".")[2] for each in types]

    def fact(self, identifier: str, place: int = -1) -> NewEvent:
        """Give an event that a callback heard."""
        mine = [each.event for each in self.notifications if each.callback == identifier]
        return self.events[mine[place]]
