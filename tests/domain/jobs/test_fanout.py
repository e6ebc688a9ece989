"""Who hears what: each fact once, whenever one came, and nothing that piles up."""

from bridge.domain.subscriptions.callback import CallbackState
from tests.domain.jobs.watched_job import (
    BROKEN,
    DAY_MS,
    ODD,
    REFUSED,
    START_MS,
    UNAVAILABLE,
    Candidate,
    item,
    outgoing,
    post,
    simple,
)

A, B = "aaaa", "bbbb"


def watch_post() -> Candidate:
    return Candidate("generated_post")


def test_reading_the_same_state_again_writes_nothing() -> None:
    """A poll that brings nothing new leaves the record as it is: it costs no commit."""
    watch = Candidate("generated_post")
    watch.register()
    watch.read(post("generating", item(A, "generating")))
    for result in (post("generating", item(A, "generating")), BROKEN, ODD, UNAVAILABLE):
        before = watch.record
        watch.read(result)
        assert watch.record == before


def test_an_ending_is_told_once_however_often_it_is_seen() -> None:
    """`once: false` goes on being read slowly after the end and hears it only once."""
    watch = Candidate()
    every = watch.register(once=False)
    watch.read(simple("completed"))
    for _ in range(5):
        before = watch.record
        assert watch.read(simple("completed")) == []
        assert watch.record == before
        assert watch.delay_ms == 600_000
    assert watch.heard(every) == ["completed"]


def test_a_callback_that_comes_after_the_ending_hears_the_same_event() -> None:
    """Registered late, with or without `once`: the event that is there, once, after a read that confirmed it."""
    watch = Candidate()
    first = watch.register("https://a.example/")
    watch.read(simple("completed"))
    later = watch.register("https://b.example/")
    every = watch.register("https://c.example/", once=False)
    watch.read(BROKEN)
    assert watch.heard(later) == []
    assert watch.delay_ms == 5_000, "it is not left to the slow tail"
    watch.read(simple("completed"))
    watch.read(simple("completed"))
    ids = {each.event for each in watch.notifications}
    assert (watch.heard(first), watch.heard(later), watch.heard(every)) == (["completed"],) * 3
    assert len(ids) == len(watch.events) == 1


def test_a_late_callback_is_not_silenced_by_an_upstream_that_stays_broken() -> None:
    """The old ending cannot be confirmed: the newcomer hears `.timed_out` in its time."""
    watch = Candidate()
    watch.register("https://a.example/")
    watch.read(simple("completed"))
    later = watch.register("https://b.example/")
    began_ms = watch.now_ms
    while not watch.heard(later):
        watch.read(BROKEN)
    assert watch.heard(later) == ["timed_out"]
    assert watch.now_ms - began_ms >= 600_000


def test_a_filter_keeps_the_letter_not_the_callback() -> None:
    """A callback that asked only for `failed` closes in silence when its job completes."""
    watch = Candidate()
    picky = watch.register(events=("sync_job.failed",))
    assert watch.read(simple("completed")) == []
    assert watch.callback(picky).state is CallbackState.ENDED
    assert watch.delay_ms is None


def test_each_delivery_is_told_once_over_all_runs() -> None:
    """A retried delivery starts run 2 of its post; the one that had been published is not told again."""
    watch = Candidate("outgoing_post")
    every = watch.register(once=False, events=("publishing_delivery.*", "outgoing_post.*"))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "pending")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "failed")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "pending")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "failed")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "publishing")))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "published")))
    emitted = [
        (watch.events[each.event].draft.fact.job_id, each.type)
        for each in watch.notifications
        if each.type.startswith("publishing_delivery.")
    ]
    assert emitted == [
        ("d1", "publishing_delivery.published"),
        ("d2", "publishing_delivery.failed"),
        ("d2", "publishing_delivery.failed"),  # failed again after another try: another fact
        ("d2", "publishing_delivery.published"),
    ]
    endings = [word for word in watch.heard(every) if word in ("partial", "published")]
    assert endings[-1] == "published"
    assert watch.record.run == 3


def test_without_a_filter_the_ends_of_deliveries_are_heard_by_who_takes_more_than_one_call() -> None:
    """`once: false`: how each delivery ended, then the post; one call is for the post alone, filters choose."""
    watch = Candidate("outgoing_post")
    every = watch.register("https://a.example/", once=False)
    once = watch.register("https://b.example/")
    posts = watch.register("https://c.example/", once=False, events=("outgoing_post.*",))
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "pending")))
    watch.read(outgoing("published", ("d1", "published"), ("d2", "failed")))
    types = {
        name: [e.type for e in watch.notifications if e.callback == name] for name in (every, once, posts)
    }
    delivered = ["publishing_delivery.published", "publishing_delivery.failed"]
    assert types[every] == [*delivered, "outgoing_post.partial"]
    assert types[once] == ["outgoing_post.partial"]
    assert types[posts] == ["outgoing_post.publishing", "outgoing_post.partial"]


def test_who_comes_late_hears_how_deliveries_ended_before() -> None:
    """With `once: false`: the same events as those who were there, each once, then what follows."""
    watch = Candidate("outgoing_post")
    first = watch.register("https://a.example/", once=False)
    begun = outgoing("publishing", ("d1", "published"), ("d2", "pending"))
    watch.read(begun)
    watch.read(outgoing("publishing", ("d1", "published"), ("d2", "failed")))
    watch.read(begun)
    second = watch.register("https://b.example/", once=False)
    once = watch.register("https://c.example/")
    posts = watch.register("https://d.example/", once=False, events=("outgoing_post.*",))
    watch.read(begun)
    before = watch.record
    watch.read(begun)
    assert watch.record == before
    ended = outgoing("published", ("d1", "published"), ("d2", "published"))
    watch.read(ended)
    third = watch.register("https://e.example/", once=False)
    watch.read(ended)
    watch.read(ended)
    heard = {
        name: [(e.type.partition(".")[2], e.event) for e in watch.notifications if e.callback == name]
        for name in (first, second, once, posts, third)
    }
    assert [word for word, _ in heard[first]] == ["published", "failed", "partial", "published", "published"]
    d1, _, _, d2, end = heard[first]
    assert heard[second] == [d1, d2, end]
    assert heard[third] == [d1, d2, end]
    assert heard[once] == heard[posts] == [end]


def test_reviews_are_told_once_and_words_of_endings_are_no_reviews() -> None:
    """`review_status: failed` is not `generated_post.failed`; `approved` outlives a new run untold."""
    watch = Candidate("generated_post")
    every = watch.register(once=False, events=("*",))
    watch.read(post("completed", item(A, "completed"), review_status="failed"))
    watch.read(post("completed", item(A, "completed"), review_status="approved"))
    watch.read(post("generating", item(B, "generating"), review_status="approved"))
    watch.read(post("completed", item(B, "completed"), review_status="approved"))
    assert watch.heard(every) == ["completed", "approved", "generating", "completed"]
    watch.read(post("completed", item(B, "completed"), review_status="pending_review"))
    assert watch.read(post("completed", item(B, "completed"), review_status="approved")) == [
        "generated_post.approved"
    ]


def test_what_expires_is_closed() -> None:
    """`once: false` ends at `expires_at`, and the job with it."""
    watch = Candidate()
    every = watch.register(once=False, expires_ms=START_MS + DAY_MS)
    watch.read(simple("completed"))
    while watch.delay_ms is not None:
        watch.read(simple("completed"))
    assert watch.callback(every).state is CallbackState.ENDED
    assert DAY_MS <= watch.now_ms - START_MS <= DAY_MS + 600_000


def test_a_refused_key_is_told_once_an_outage_and_callback() -> None:
    """`.unauthorized` after the confirming read, once; a callback that comes later hears the same event."""
    watch = Candidate()
    every = watch.register("https://a.example/", once=False, events=("*",))
    once = watch.register("https://b.example/", events=("*",))
    assert watch.read(REFUSED) == []
    assert watch.delay_ms == 2_000
    assert watch.read(REFUSED, auth_refused="o1") == ["sync_job.unauthorized"]
    assert watch.delay_ms == 60_000
    assert watch.read(REFUSED, auth_refused="o1") == []
    newcomer = watch.register("https://c.example/", once=False, events=("*",))
    watch.read(REFUSED, auth_refused="o1")
    assert watch.heard(newcomer) == ["unauthorized"]
    assert len(watch.events) == 1
    watch.read(simple("running"))
    watch.read(REFUSED)
    watch.read(REFUSED, auth_refused="o2")
    assert watch.heard(every) == ["unauthorized", "running", "unauthorized"]
    assert watch.heard(once) == []


def test_old_facts_do_not_pile_up() -> None:
    """A post regenerated again and again keeps a record of one run's size."""
    watch = watch_post()
    every = watch.register(once=False, events=("*",))
    for run in range(1, 60):
        watch.read(post("generating", item(f"item-{run}", "generating"), review_status="approved"))
        watch.read(post("completed", item(f"item-{run}", "completed"), review_status="pending_review"))
        watch.read(post("completed", item(f"item-{run}", "completed"), review_status="approved"))
    assert watch.record.run == 59
    assert len(watch.record.emitted) <= 4
    assert watch.heard(every).count("completed") == 59


def test_deliveries_told_do_not_pile_up() -> None:
    """A post that shows ever other deliveries cannot make its record grow for ever."""
    watch = Candidate("outgoing_post")
    watch.register(once=False)
    for n in range(30):
        watch.read(outgoing("published", (f"d{n}", "published")))
    assert len(watch.record.emitted) <= 31
