"""What an object's own word says of its end while its parts are open: believed once it stays."""

from typing import Any

import pytest

from bridge.domain.jobs.records import JobState
from tests.domain.jobs.watched_job import START_MS, Candidate, item, outgoing, post

A, B = "aaaa", "bbbb"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (
            "generated_post",
            post("failed", item(A, "pending"), item(B, "pending"), error_message="no balance"),
        ),
        ("outgoing_post", outgoing("failed", error_message="no balance")),
        ("outgoing_post", outgoing("failed", ("d1", "pending"), error_message="no balance")),
    ],
    ids=["items wait", "no deliveries", "deliveries wait"],
)
def test_what_says_failed_and_stays_so_has_failed(kind: str, answer: dict[str, Any]) -> None:
    """Two reads at the documented interval, one ending, and no new run for as long as it stays so."""
    watch = Candidate(kind)
    once = watch.register("https://a.example/")
    every = watch.register("https://b.example/", once=False)
    watch.read(answer)
    assert (watch.heard(once), watch.record.state) == ([], JobState.WATCHING)
    watch.read(answer)
    assert watch.now_ms - START_MS <= 15_000
    assert watch.heard(once) == watch.heard(every) == ["failed"]
    error = watch.fact(once).draft.fact.error or {}
    assert (error["code"], error["message"], error["retryable"]) == ("upstream_failed", "no balance", True)
    for _ in range(3):
        watch.read(answer)
        assert watch.delay_ms == 600_000
    assert (watch.heard(every), watch.record.run) == (["failed"], 1)


def test_a_claim_that_does_not_stay_ends_nothing() -> None:
    """The word was a former run's, or the items began: the next read tells."""
    watch = Candidate("generated_post")
    once = watch.register()
    watch.read(post("failed", item(A, "pending")))
    watch.read(post("generating", item(A, "pending")))
    watch.read(post("failed", item(A, "pending")))
    watch.read(post("failed", item(A, "generating")))
    watch.read(post("completed", item(A, "completed")))
    assert watch.heard(once) == ["completed"]


@pytest.mark.parametrize(
    "items",
    [
        (
            item(A, "failed"),
            item(B, "generating"),
        ),  # the word follows the first failure, the rest is being made
        (
            item(A, "failed"),
            item(B, "pending"),
        ),  # a retry of the failed item, whose post still carries its old word
        (item(A, "warming up"),),
    ],
)
def test_a_claim_against_a_part_that_moves_waits_until_its_time_is_over(
    items: tuple[dict[str, Any], ...],
) -> None:
    """Not sooner than `.timed_out` would be due, and then the post's own word is the better answer."""
    watch = Candidate("generated_post")
    once = watch.register()
    while not watch.heard(once):
        watch.read(post("failed", *items))
    assert watch.heard(once) == ["failed"]
    assert 600_000 <= watch.now_ms - START_MS < 630_000


def test_a_part_that_ends_meanwhile_decides() -> None:
    """A post says failed as soon as one item has; the other is completed in time, and nothing of it is lost."""
    watch = Candidate("generated_post")
    once = watch.register()
    for _ in range(5):
        watch.read(post("failed", item(A, "failed"), item(B, "generating")))
    watch.read(post("failed", item(A, "failed"), item(B, "completed")))
    assert watch.heard(once) == ["partial"]


def test_a_failure_that_was_claimed_may_be_retried() -> None:
    """Open parts that were not open when it ended are another run, whose old word is not taken at once."""
    watch = Candidate("generated_post")
    every = watch.register(once=False)
    for _ in range(2):
        watch.read(post("failed", item(A, "pending")))
    for _ in range(3):
        watch.read(post("failed", item(B, "pending")), after_s=15)
    assert (watch.heard(every), watch.record.run) == (["failed"], 2)
    watch.read(post("completed", item(B, "completed")))
    assert watch.heard(every) == ["failed", "completed"]


@pytest.mark.parametrize("word", ["published", "partial", "completed"])
def test_a_post_that_cannot_move_is_read_at_a_drafts_pace(word: str) -> None:
    """It says how it ended and shows no delivery: once a minute, and no clock runs; a delivery brings it to life."""
    watch = Candidate("outgoing_post")
    once = watch.register()
    watch.read(outgoing(word))
    assert (watch.delay_ms, watch.record.clock_ms) == (60_000, 0)
    watch.read(outgoing(word, ("d1", "published")))
    assert watch.heard(once) == ["published"]
