"""What a registration does to a job's record: new, repeated, one too many."""

from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.jobs.callbacks import CALLBACK_BYTES_PER_JOB, CallbacksTooLarge, measure
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.records import JobState
from bridge.domain.jobs.registration import (
    CALLBACKS_PER_JOB,
    CLOSED_KEPT,
    TooManyCallbacks,
    find_repeated,
    read_retry,
)
from bridge.domain.subscriptions.callback import CallbackState
from tests.domain.jobs.watched_job import DAY_MS, START_MS, Candidate, item, post, simple

URL = "https://a.example/"


def test_a_new_job_is_watched_from_its_registration() -> None:
    """Run 1, its clock running, unless it starts with a first delivery."""
    watch, draft = Candidate(), Candidate("outgoing_post")
    watch.register()
    draft.register()
    assert (watch.record.state, watch.record.run, watch.record.clock_ms) == (JobState.WATCHING, 1, START_MS)
    assert draft.record.clock_ms == 0


def test_repeating_a_live_registration_updates_it() -> None:
    """Identity is kind, job and URL: id, age and what was told stay, everything else is the repetition's."""
    watch = Candidate()
    first = watch.register_callback(
        URL, metadata={"n": 1}, headers=b"h", timeout_s=9.0, expires_ms=START_MS + DAY_MS
    )
    watch.now_ms += 5_000
    again = watch.register_callback(
        URL, metadata={"n": 2}, once=False, events=("*",), expires_ms=START_MS + 9
    )
    assert (first.updated, again.updated, again.poll_now) == (False, True, False)
    assert again.callback.id == first.callback.id
    assert watch.record.callbacks == (again.callback,)
    assert (again.callback.created_ms, again.callback.url) == (START_MS, URL.encode())
    assert (again.callback.metadata, again.callback.headers) == ({"n": 2}, None)
    assert (again.callback.once, again.callback.events, again.callback.timeout_s) == (False, ("*",), None)
    assert again.callback.expires_ms == START_MS + DAY_MS, "a repetition never shortens a watch"


def test_other_urls_are_other_callbacks() -> None:
    """And each keeps what it has."""
    watch = Candidate()
    ids = {watch.register(f"https://{n}.example/") for n in range(5)}
    assert {each.id for each in watch.record.callbacks} == ids
    assert len(ids) == 5


def test_a_closed_callback_is_not_revived() -> None:
    """Registered again after its end, a URL gets a callback of its own, and the ending again."""
    watch = Candidate()
    first = watch.register(URL)
    watch.read(simple("completed"))
    second = watch.register_callback(URL)
    assert (second.updated, second.poll_now) == (False, True)
    assert second.callback.id != first
    watch.read(simple("completed"))
    assert watch.heard(second.callback.id) == ["completed"]


@pytest.mark.parametrize(
    ("url", "fields", "means_the_first"),
    [
        (URL, {}, True),
        (URL, {"once": False}, False),  # wants more than the ending that waits
        (URL, {"expect": "new_run"}, False),  # wants another ending
        (URL, {"events": ("sync_job.failed",)}, False),  # the ending may not have been for it
        ("https://b.example/", {}, False),
    ],
)
def test_a_registration_whose_answer_was_lost_is_repeated_after_its_end(
    url: str,
    fields: dict[str, Any],
    means_the_first: bool,  # noqa: FBT001  # a column of the table
) -> None:
    """Its one delivery still waits for the answer: the repetition gets that, and not a second one."""
    watch = Candidate()
    first = watch.register(URL, metadata={"n": 1})
    watch.read(simple("completed"))
    again = watch.register_callback(url, held={first}, metadata={"n": 2}, **fields)
    assert again.updated == means_the_first
    assert (again.callback.id == first) == means_the_first
    assert is_live(again.callback) != means_the_first
    assert again.callback.metadata == {"n": 2}
    assert watch.callback(again.callback.id) == again.callback
    assert watch.callback(first).state is CallbackState.ENDED
    assert watch.callback(first).closed_ms == watch.now_ms


def test_a_lost_answer_of_a_timed_out_watch_is_no_second_watch() -> None:
    """It was told that no end was seen in time; the job goes on being read slowly for that callback, as before."""
    watch = Candidate()
    first = watch.register(URL, timeout_s=1.0)
    watch.read(simple("running"), after_s=2.0)
    before = watch.record
    again = watch.register_callback(URL, held={first}, timeout_s=1.0)
    assert (again.updated, again.callback.state) == (True, CallbackState.TIMED_OUT)
    assert (watch.record.state, watch.record.tail_ms) == (JobState.TAIL, before.tail_ms)


@pytest.mark.parametrize(
    "retried", [{"b": "b2"}, {"b": "b"}, None], ids=["other items", "same items", "new run"]
)
def test_a_lost_answer_of_a_retry_is_no_second_callback(retried: dict[str, str] | None) -> None:
    """The run that a retry started has ended before its registration was answered: the repetition means that run."""
    watch = Candidate("generated_post")
    more = {} if retried else {"expect": "new_run"}
    done, new = item("a", "completed"), "b2" if retried == {"b": "b2"} else "b"
    watch.register("https://first.example/")
    watch.read(post("completed", done, item("b", "failed")))
    retry = watch.register(URL, retried=retried, **more)
    watch.read(post("generating", done, item(new, "generating")))
    watch.read(post("completed", done, item(new, "completed")))
    before = watch.record
    again = watch.register_callback(URL, retried=retried, held={retry}, **more)
    assert (again.updated, again.callback.id) == (True, retry)
    assert watch.record == replace(before, callbacks=watch.record.callbacks)
    other = watch.register_callback(URL, retried={"a": "a2"}, held={retry})
    assert (other.updated, watch.record.run) == (False, before.run + 1)


def test_one_call_asked_for_after_the_end_was_heard_is_a_callback_of_its_own() -> None:
    """`once: false` heard `completed`; registered with `once` it would wait for ever for what it has had."""
    watch = Candidate()
    every = watch.register(URL, once=False)
    watch.read(simple("completed"))
    assert find_repeated(watch.record, URL.encode(), once=False) is not None
    assert find_repeated(watch.record, URL.encode(), once=True) is None
    once = watch.register(URL)
    assert once != every
    assert watch.callback(every).state is CallbackState.ENDED
    watch.read(simple("completed"))
    assert (watch.heard(once), watch.delay_ms) == (["completed"], None)


def test_what_is_told_before_a_repetition_is_not_told_again() -> None:
    """An update does not start the callback anew."""
    watch = Candidate()
    every = watch.register(URL, once=False, events=("*",))
    watch.read(simple("running"))
    watch.read(simple("completed"))
    assert watch.register(URL, once=False, events=("*",)) == every
    watch.read(simple("completed"))
    assert watch.heard(every) == ["running", "completed"]


def test_a_changed_mind_about_the_run() -> None:
    """`expect: new_run`, then any: the ending that stands counts again. And the other way round."""
    watch = Candidate("generated_media_item")
    watch.register(URL, expect="new_run")
    watch.read(simple("completed"))
    same = watch.register(URL)
    watch.read(simple("completed"))
    assert watch.heard(same) == ["completed"]
    other = watch.register("https://b.example/")
    assert watch.register("https://b.example/", expect="new_run") == other
    watch.read(simple("completed"))
    assert watch.heard(other) == []


def test_a_job_has_so_many_live_callbacks_and_no_more() -> None:
    """The next one is refused, and changes nothing; a repetition is no further one."""
    watch = Candidate()
    for n in range(CALLBACKS_PER_JOB):
        watch.register(f"https://{n}.example/")
    before = watch.record
    with pytest.raises(TooManyCallbacks):
        watch.register("https://one-more.example/")
    assert watch.record == before
    assert watch.register_callback("https://7.example/").updated


def test_callbacks_that_closed_at_once_are_kept_for_their_deliveries() -> None:
    """A receiver that is down for days needs its callback's URL; only long-closed ones give way."""
    watch = Candidate()
    ids = [watch.register(f"https://{n}.example/") for n in range(CALLBACKS_PER_JOB)]
    watch.read(simple("completed"))
    watch.register("https://later.example/")
    assert {each.id for each in watch.record.callbacks} > set(ids)
    for n in range(2 * CLOSED_KEPT):
        watch.read(simple("completed"))
        watch.register(f"https://again-{n}.example/")
    closed = [each for each in watch.record.callbacks if not is_live(each)]
    assert len(closed) == CLOSED_KEPT
    assert closed[-1].url == f"https://again-{2 * CLOSED_KEPT - 2}.example/".encode()


def test_the_bytes_of_a_jobs_callbacks_are_limited() -> None:
    """One that would exceed them is refused, and so is a larger repetition; a smaller one is taken."""
    watch = Candidate()
    large = {"note": "m" * 400_000}
    for n in range(5):
        watch.register(f"https://{n}.example/", metadata=large)
    before = watch.record
    with pytest.raises(CallbacksTooLarge):
        watch.register("https://one-more.example/", metadata=large)
    with pytest.raises(CallbacksTooLarge):
        watch.register("https://0.example/", metadata={"note": "m" * 600_000})
    assert watch.record == before
    assert watch.register_callback("https://0.example/", metadata={"note": "m"}).updated
    watch.register("https://one-more.example/", metadata=large)


def test_closed_callbacks_take_no_more_bytes_than_live_ones_may() -> None:
    """All that close at once are kept; of those that closed before only as many as fit."""
    watch = Candidate()
    large = {"note": "m" * 400_000}
    rounds = []
    for _ in range(3):
        rounds.append([watch.register(f"https://{n}.example/", metadata=large) for n in range(5)])
        watch.read(simple("completed"))
    kept = [each.id for each in watch.record.callbacks]
    assert kept[-5:] == rounds[-1]
    assert measure(watch.record.callbacks) <= 2 * CALLBACK_BYTES_PER_JOB


def test_callbacks_that_wait_for_a_late_ending_are_never_dropped() -> None:
    """More than may be kept is refused: each of them is still owed the real ending."""
    watch = Candidate()
    owed: list[str] = []
    for n in (0, 1):
        owed += [watch.register(f"https://{n}-{m}.example/", timeout_s=1.0) for m in range(CALLBACKS_PER_JOB)]
        watch.read(simple("running"), after_s=2)
    with pytest.raises(TooManyCallbacks):
        watch.register("https://more.example/")
    watch.read(simple("completed"))
    assert {tuple(watch.heard(each)) for each in owed} == {("timed_out", "completed")}


@pytest.mark.parametrize(
    ("retried", "superseded", "awaited"),
    [
        ({}, (), ()),
        ({"b": "b2"}, ("b",), ("b2",)),
        ({"b": "b"}, (), ()),  # its own successor: nothing is superseded
        ({"b": "b", "c": "c2"}, ("c",), ("c2",)),
        ({"b": "c", "c": "d"}, ("b", "c"), ("d",)),  # a chain: the middle one is superseded too
        ({"b": "c", "c": "b"}, (), ()),  # a circle says nothing
        ({"b": "x", "c": "x"}, ("b", "c"), ("x",)),
    ],
)
def test_retried_items_are_understood(
    retried: dict[str, str], superseded: tuple[str, ...], awaited: tuple[str, ...]
) -> None:
    """Which items count no more, and which must come; whatever a client writes."""
    retry = read_retry(retried)
    assert (retry.superseded, retry.awaited) == (superseded, awaited)
