"""Event filters of a callback."""

import pytest

from bridge.domain.events.filters import MOST_PATTERNS, check_patterns, matches
from bridge.providers.registry import CATALOGUE

KINDS = sorted({each.kind for each in CATALOGUE.types.values() if not each.service})


@pytest.mark.parametrize(
    ("patterns", "kind", "checked"),
    [
        ([], "sync_job", ()),
        (["sync_job.completed"], "sync_job", ("sync_job.completed",)),
        (["completed"], "sync_job", ("sync_job.completed",)),  # a bare state means the job's own
        ([" Completed "], "generated_post", ("generated_post.completed",)),  # typed by hand
        (["completed", "sync_job.completed"], "sync_job", ("sync_job.completed",)),  # twice the same
        (["*"], "reelbot_video", ("*",)),
        (["sync_job.*"], "sync_job", ("sync_job.*",)),
        (["*.failed"], "outgoing_post", ("*.failed",)),
        (["*completed"], "sync_job", ("*completed",)),
        (["fail*"], "sync_job", ("sync_job.fail*",)),
        # one list for all registrations: what fits another kind does no harm
        (["sync_job.failed", "generated_post.*"], "sync_job", ("sync_job.failed", "generated_post.*")),
    ],
)
def test_a_filter_is_spelt_out(patterns: list[str], kind: str, checked: tuple[str, ...]) -> None:
    """Bare states, globs and types are all understood."""
    assert check_patterns(CATALOGUE, patterns, kind=kind, once=True) == checked


@pytest.mark.parametrize(
    "pattern",
    [
        "done",
        "sync_job.done",
        "sync_job",
        "",
        ".",
        "sync_job.",
        "post.*",
        "[a-z]*",
        "?",
        "sync_job.completed.x",
        "a\nb",
        "x" * 10_000,
    ],
)
def test_an_unknown_pattern_is_refused_with_what_is_valid(pattern: str) -> None:
    """The message alone tells the fix, in one short line."""
    with pytest.raises(ValueError, match=r"valid are sync_job\.completed, .*bare states") as refused:
        check_patterns(CATALOGUE, [pattern], kind="sync_job", once=False)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_filter_for_other_kinds_only_is_refused() -> None:
    """A list that could never match would be silence for ever."""
    with pytest.raises(ValueError, match="nothing in events can happen to a sync_job"):
        check_patterns(CATALOGUE, ["generated_post.completed"], kind="sync_job", once=False)


@pytest.mark.parametrize(
    ("patterns", "kind"),
    [
        (["running"], "sync_job"),
        (["unauthorized"], "reelbot_video"),
        (["generating", "approved"], "generated_post"),
        (["publishing_delivery.*"], "outgoing_post"),
    ],
)
def test_a_filter_without_endings_needs_once_false(patterns: list[str], kind: str) -> None:
    """A callback for one ending event must be able to hear one."""
    with pytest.raises(ValueError, match=r"no ending event.*once to false"):
        check_patterns(CATALOGUE, patterns, kind=kind, once=True)
    assert check_patterns(CATALOGUE, patterns, kind=kind, once=False)


def test_a_filter_has_a_length() -> None:
    """Nobody registers thousands of patterns."""
    with pytest.raises(ValueError, match="at most"):
        check_patterns(CATALOGUE, ["*"] * (MOST_PATTERNS + 1), kind="sync_job", once=True)


def test_many_stars_cost_nothing() -> None:
    """A pattern that is slow for a backtracking matcher is answered at once."""
    with pytest.raises(ValueError, match="names no event"):
        check_patterns(CATALOGUE, ["*a" * 45 + "*z"], kind="sync_job", once=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_may_be_asked_for(kind: str) -> None:
    """Each exact type of a kind is a filter that lets just that type through."""
    for known in CATALOGUE.types.values():
        if known.kind == kind:
            checked = check_patterns(CATALOGUE, [known.type], kind=kind, once=known.ending)
            assert [each for each in CATALOGUE.types if matches(checked, each, ending=False)] == [known.type]


def test_no_filter_means_the_end_of_the_job_itself() -> None:
    """The ends of an outgoing post's deliveries, as its progress, are not what its callback was registered for."""
    for each in CATALOGUE.types:
        assert matches((), each, ending=True)
        assert not matches((), each, ending=False)


@pytest.mark.parametrize(
    ("patterns", "event_type", "through"),
    [
        (("*",), "publishing_delivery.published", True),
        (("sync_job.*",), "sync_job.running", True),
        (("sync_job.*",), "outgoing_post.failed", False),
        (("*.failed",), "outgoing_post.failed", True),
        (("sync_job.failed", "sync_job.skipped"), "sync_job.skipped", True),
        (("sync_job.failed",), "sync_job.completed", False),
    ],
)
def test_a_filter_lets_through_what_it_names(
    patterns: tuple[str, ...], event_type: str, *, through: bool
) -> None:
    """Globs cross kinds, exact types do not; nothing else about an event matters to a filter."""
    assert matches(patterns, event_type, ending=True) is through
    assert matches(patterns, event_type, ending=False) is through
