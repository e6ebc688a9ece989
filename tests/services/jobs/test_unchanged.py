"""An answer that repeats the last one is recognised, and skipping the state machine for it changes nothing."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from bridge.domain.jobs.intervals import interval_ms
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.poll_history import record_poll
from bridge.domain.jobs.transition import quiet_until_ms
from bridge.domain.observation import Observed
from bridge.services.context import kind_traits
from bridge.services.jobs.unchanged import UnchangedAnswers
from bridge.store.records import Loaded, pack
from tests.domain.jobs.test_transition_sequences import Lives
from tests.domain.jobs.watched_job import Candidate, item, post, simple


class EchoingWatch(Candidate):
    """Recognises repeated answers as a worker does, runs the state machine all the same, and compares."""

    def __init__(self, kind: str = "sync_job", *, scale: float = 1.0) -> None:
        super().__init__(kind, scale=scale)
        self.unchanged_answers = UnchangedAnswers()
        self.echoed = 0

    def read(self, answer: Any, **options: Any) -> list[str]:
        assert self.delay_ms is not None
        before, log, after_s = self.record, self.log, options.get("after_s")
        begun_ms = self.now_ms + (self.delay_ms if after_s is None else round(after_s * 1000))
        loaded = Loaded(before, pack(before))
        known = self.unchanged_answers.find(self.key, loaded, log, now_ms=begun_ms)
        notifications = super().read(answer, **options)
        assert self.last is not None
        unchanged = self.last.job == before and not self.last.new_events
        if isinstance(answer, dict) and options.get("lens") is None:
            digest = repr(answer).encode()
            if known and known.digest == digest:
                assert unchanged, "the echo hid some news"
                assert not notifications
                self._compare(known.result, log, took_ms=options.get("took_ms", 0), digest=digest)
            if unchanged and self.last.delay_ms is not None:
                self._keep(loaded, answer, digest)
        return notifications

    def _compare(self, unchanged: Observed, log: Any, *, took_ms: int, digest: bytes) -> None:
        """Compare the shortcut for a repeated answer with what the state machine decided."""
        assert self.last is not None
        at = PollContext(begun_ms=self.now_ms - took_ms, now_ms=self.now_ms, took_ms=took_ms, digest=digest)
        marked = record_poll(log, unchanged, at)
        delay_ms = interval_ms(marked, self.time_scale, fallback_s=unchanged.observation.timing.interval_s)
        assert self.last.delay_ms == delay_ms
        assert self.last.log == replace(marked, due_ms=self.now_ms + delay_ms)
        self.echoed += 1

    def _keep(self, loaded: Loaded[Any], answer: dict[str, Any], digest: bytes) -> None:
        seen = self.understand(answer, superseded=frozenset(self.record.superseded))
        assert isinstance(seen, Observed)
        until_ms = quiet_until_ms(self.record, self.log, traits=kind_traits(self.kind), scale=self.time_scale)
        if until_ms > self.now_ms:
            self.unchanged_answers.keep(self.key, loaded, seen, digest=digest, until_ms=until_ms)


class EchoingLives(Lives):
    """Random histories of jobs whose worker recognises repeated answers."""

    @property
    def watch(self) -> Candidate:
        return self._watch

    @watch.setter
    def watch(self, new_events: Candidate) -> None:
        self._watch = EchoingWatch(new_events.kind, scale=new_events.scale)


def test_an_echo_means_what_thinking_would_have_found() -> None:
    """Over random answers, registrations, cancellations and times: same job, log and next poll, and no event."""
    run_state_machine_as_test(
        EchoingLives,
        settings=settings(
            max_examples=120,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_what_is_said_again_is_an_echo() -> None:
    """A repeated answer is recognised by its bytes; another answer, or another record of the job, is not."""
    watch = EchoingWatch("generated_post")
    watch.register()
    running = post("generating", item("a", "completed"), item("b", "generating"))
    for _ in range(4):
        watch.read(running)
    assert watch.echoed == 2, "the first changed the job, the second showed that nothing follows"
    watch.read(post("generating", item("a", "completed"), item("b", "pending")))
    watch.register("https://example.com/b")
    watch.read(running)
    assert watch.echoed == 2
    assert watch.read(post("completed", item("a", "completed"), item("b", "completed")))


def test_an_answer_that_came_in_between_is_no_echo() -> None:
    """Another worker may have seen another object meanwhile, so the object must be written again."""
    watch = EchoingWatch()
    watch.register()
    for _ in range(2):
        watch.read(simple("running", note="a"))
    elsewhere = replace(watch.log, digest=b"another")
    loaded = Loaded(watch.record, pack(watch.record))
    assert watch.unchanged_answers.find(watch.key, loaded, watch.log, now_ms=watch.now_ms)
    assert watch.unchanged_answers.find(watch.key, loaded, elsewhere, now_ms=watch.now_ms) is None


def test_no_echo_outlasts_a_deadline() -> None:
    """A job that is seen running a hundred times still times out at its deadline."""
    watch = EchoingWatch()
    callback = watch.register(timeout_s=300.0)
    while not watch.heard(callback):
        watch.read(simple("running"))
    assert watch.heard(callback) == ["timed_out"]
    assert 300_000 <= watch.now_ms - watch.record.born_ms < 320_000
    assert watch.echoed > 10
