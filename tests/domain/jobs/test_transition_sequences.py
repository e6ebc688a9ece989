"""Whatever comes in whatever order: random lives of jobs, with the promises checked after every step."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.outcome import Notification, PollContext
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import has_ended
from bridge.domain.jobs.transition import replace_item
from bridge.domain.observation import JobNotFound, Observation, Observed, PollResult, Throttled
from tests.domain.jobs.watched_job import (
    BROKEN,
    DAY_MS,
    FORBIDDEN,
    MISSING,
    ODD,
    REFUSED,
    UNAVAILABLE,
    Candidate,
    item,
    outgoing,
    post,
    simple,
)

Answer = PollResult | dict[str, Any]
REAL = ("completed", "partial", "failed", "published", "skipped")
ITEMS = tuple("abcdef")
WORDS = st.sampled_from(["pending", "generating", "completed", "failed", "strange"])
REVIEWS = st.sampled_from(["pending_review", "approved", "published", "failed", None])

items = st.lists(
    st.builds(item, st.sampled_from(ITEMS), WORDS, st.sampled_from(["image", "video"])),
    max_size=4,
    unique_by=lambda each: each["id"],
)
posts = st.builds(
    lambda word, listed, review: post(word, *listed, review_status=review), WORDS, items, REVIEWS
)
simples = st.builds(simple, st.sampled_from(["pending", "running", "completed", "failed", "skipped", "odd"]))
conversions = st.builds(
    lambda word: simple("completed", voice_conversion_status=word),
    st.sampled_from([None, "processing", "completed", "failed", "warming up"]),
)
publications = st.builds(
    lambda word, sent, when: outgoing(word, *sent.items(), scheduled_for=when),
    st.sampled_from(["draft", "scheduled", "publishing", "published", "odd"]),
    st.dictionaries(
        st.sampled_from(["d1", "d2", "d3"]),
        st.sampled_from(["pending", "publishing", "published", "failed", "odd"]),
        max_size=3,
    ),
    st.sampled_from([None, "2027-01-15T08:05:00Z", "2999-01-01T00:00:00Z"]),
)
OBJECTS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "sync_job": simples,
    "generated_post": posts,
    "generated_media_item": simples,
    "voice_conversion": conversions,
    "outgoing_post": publications,
    "reelbot_video": st.builds(
        lambda word: {"status": word}, st.sampled_from(["queued", "processing", "completed", "failed"])
    ),
}
TROUBLES: st.SearchStrategy[PollResult] = st.sampled_from(
    [BROKEN, ODD, UNAVAILABLE, REFUSED, FORBIDDEN, MISSING]
)


def _word(notification: Notification) -> str:
    return notification.type.partition(".")[2]


class Lives(RuleBasedStateMachine):
    """One job with a few callbacks, its upstream saying anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Candidate()
        self.auth_refused = ""
        self.outages = 0
        self.awaited: dict[str, frozenset[str]] = {}  # callback -> items known when its retry was registered
        self.doubtful: set[str] = set()  # callbacks that expect a run of which nothing was seen yet

    @initialize(kind=st.sampled_from(sorted(OBJECTS)), scale=st.sampled_from([1.0, 0.02]))
    def begin(self, kind: str, scale: float) -> None:
        self.watch = Candidate(kind, scale=scale)
        self.watch.register("https://first.example/")

    @rule(
        url=st.sampled_from(["https://a.example/", "https://b.example/", "https://c.example/"]),
        once=st.booleans(),
        events=st.sampled_from([(), ("*",), ("generated_post.failed", "sync_job.failed")]),
        timeout_s=st.sampled_from([None, None, 1.0, 60.0, 5_000.0]),
        new_run=st.booleans(),
    )
    def register(
        self, *, url: str, once: bool, events: tuple[str, ...], timeout_s: float | None, new_run: bool
    ) -> None:
        kinds = ("generated_post", "generated_media_item")
        expect = "new_run" if new_run and self.watch.kind in kinds else "any"
        enrolled = self.watch.register_callback(
            url, once=once, events=events, timeout_s=timeout_s, expect=expect
        )
        if expect == "any":
            self.doubtful.discard(enrolled.callback.id)
        elif not enrolled.updated:
            self.doubtful.add(enrolled.callback.id)

    @precondition(lambda self: self.watch.kind == "generated_post")
    @rule(old=st.sampled_from(ITEMS), new=st.sampled_from([*ITEMS, "x", "y"]))
    def retry(self, old: str, new: str) -> None:
        known = {part for part, _ in self.watch.record.parts} | set(self.watch.record.superseded)
        known |= set(self.watch.record.awaited)
        callback = self.watch.register("https://retry.example/", retried={old: new})
        if old != new and new not in known:
            self.awaited[callback] = frozenset(known)

    @precondition(lambda self: any(is_live(each) for each in self.watch.record.callbacks))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        live = [each.id for each in self.watch.record.callbacks if is_live(each)]
        self.watch.cancel(data.draw(st.sampled_from(live)))

    @precondition(lambda self: self.watch.delay_ms is not None)
    @rule(data=st.data(), again=st.integers(0, 2), took_ms=st.sampled_from([0, 30, 9_000]))
    def apply_observed(self, data: st.DataObject, again: int, took_ms: int) -> None:
        answer = data.draw(OBJECTS[self.watch.kind])
        self.auth_refused = ""
        for _ in range(again + 1):
            self.read(answer, took_ms=took_ms)

    @precondition(lambda self: self.watch.delay_ms is not None)
    @rule(result=TROUBLES, again=st.integers(0, 4), vanishing=st.booleans())
    def suffer(self, *, result: PollResult, again: int, vanishing: bool) -> None:
        for place in range(again + 1):
            refused = result in (REFUSED, FORBIDDEN)
            if refused and place == 1 and not self.auth_refused:
                self.outages += 1
                self.auth_refused = f"outage-{self.outages}"
            self.read(
                result,
                auth_refused=self.auth_refused if refused else "",
                vanishing=vanishing and isinstance(result, JobNotFound),
            )

    @precondition(lambda self: self.watch.delay_ms is not None)
    @rule(wait_s=st.integers(0, 700))
    def limit(self, wait_s: int) -> None:
        before = self.watch.record
        self.read(Throttled(until_ms=self.watch.now_ms + wait_s * 1000))
        after = self.watch.record.callbacks
        assert all(new == old or not old.once for old, new in zip(before.callbacks, after, strict=True))

    @precondition(lambda self: self.watch.kind == "generated_media_item")
    @rule()
    def replace(self) -> None:
        watch = self.watch
        at = PollContext(begun_ms=watch.now_ms, now_ms=watch.now_ms)
        moved = replace_item(
            watch.record, watch.log, key=watch.key, at=at, related={}, scale=watch.time_scale
        )
        if moved is not None:
            watch._check(watch.record, moved)
            watch.job, watch.delay_ms = moved.job, moved.delay_ms
            watch.notifications += moved.notifications

    def read(self, answer: Answer, **how: Any) -> None:
        """Read once, and judge what was told against what was shown."""
        watch = self.watch
        if watch.delay_ms is None:
            return
        before, emitted = watch.record, len(watch.notifications)
        watch.read(answer, **how)
        result = watch.understand(answer, superseded=frozenset(before.superseded))
        notifications = watch.notifications[emitted:]
        words = {_word(each) for each in notifications if each.closes}
        if isinstance(result, Observed):
            seen = result.observation
            assert words <= {*REAL, "timed_out", "replaced"}
            if seen.ending is None:
                # What the read before has claimed already is an ending once it is said again.
                again = {seen.claimed.word} if seen.claimed and before.claimed else set()
                assert words <= {"timed_out", "replaced", *again}, "a job that has not ended is told to have"
            else:
                assert words <= {seen.ending.word, "timed_out", "replaced"}
            self._judge_runs(before, seen, notifications)
            delay_ms = watch.last.delay_ms if watch.last else None
            if delay_ms is not None and not seen.idle:
                assert delay_ms >= watch.time_scale.ms(seen.timing.interval_s), "more often than documented"
        elif isinstance(result, JobNotFound):
            assert words <= {"deleted", "not_found", "timed_out", "replaced"}
            assert not ("deleted" in words and not before.seen)
        else:
            assert words <= {"timed_out"}, "an error reading changed the job's own state"
            assert watch.record.state in (before.state, JobState.TAIL)

    def _judge_runs(self, before: Job, seen: Observation, notifications: Sequence[Notification]) -> None:
        """Who waits for another run hears no ending before something of it was seen."""
        listed = {part.id for part in seen.parts}
        known = {part for part, _ in before.parts}
        other_word = has_ended(before) and (seen.ending is None or seen.ending.word != before.ending)
        if seen.ending is None or other_word or (known and listed - known):
            self.doubtful.clear()
        if (known - listed) and listed - known - set(before.awaited):
            self.awaited.clear()  # quite others took the place of items
        self.awaited = {each: ids for each, ids in self.awaited.items() if listed <= ids}
        ended = {each.callback for each in notifications if each.closes and _word(each) in REAL}
        assert not ended & self.doubtful, "`expect: new_run` was told the ending seen first"
        assert not ended & set(self.awaited), "a stale ending was told before the retried items were seen"

    @invariant()
    def is_small(self) -> None:
        if self.watch.job is not None:
            assert len(self.watch.record.emitted) <= 40
            assert len(self.watch.record.superseded) <= len(ITEMS) + 2

    def teardown(self) -> None:
        """Every callback that takes one call gets it, in bounded time, when reads go on."""
        watch = self.watch
        if watch.job is None:
            return
        began_ms = watch.now_ms
        reads = 0
        while any(is_live(each) and each.once for each in watch.record.callbacks):
            assert watch.delay_ms is not None
            watch.read(BROKEN, after_s=max(watch.delay_ms / 1000, 3_600 if reads > 20 else 0))
            reads += 1
            assert watch.now_ms - began_ms <= 31 * DAY_MS, "silence"
        assert reads < 1_000


def test_any_life_keeps_every_promise() -> None:
    """Random registrations, answers and times; see `Watch` and `Lives` for what is checked."""
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
