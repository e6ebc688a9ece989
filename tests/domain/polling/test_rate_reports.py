"""Answers of one window are one report; what stands by itself keeps its place among them."""

from bridge.domain.observation import RateHeaders
from bridge.domain.polling.rate_limit import RateReport
from bridge.domain.polling.rate_reports import GatheredReports

RESET_MS = 1_795_000_060_000


def rate(remaining: int | None, *, limit: int = 60, reset_ms: int = RESET_MS) -> RateHeaders:
    return RateHeaders(limit=limit, remaining=remaining, reset_ms=reset_ms)


def test_answers_of_one_window_are_one_report_of_the_least_that_was_left() -> None:
    """Answers may arrive in another order than they were given in, and some may not say what is left."""
    gathered = GatheredReports()
    gathered.note("1", rate(None))
    gathered.note("2", rate(41), shared=2)
    gathered.note("3", rate(43), batched=5)
    gathered.note("4", rate(42), shared=1, batched=1)
    assert gathered.take() == [
        RateReport(
            request="1",
            others=["2", "3", "4"],
            limit=60,
            remaining=41,
            reset_ms=RESET_MS,
            shared=3,
            batched=6,
        )
    ]
    assert gathered.take() == []


def test_another_window_or_limit_is_another_report() -> None:
    """The script learns from the difference."""
    gathered = GatheredReports()
    gathered.note("1", rate(1))
    gathered.note("2", rate(59, reset_ms=RESET_MS + 60_000))
    gathered.note("3", rate(99, limit=100, reset_ms=RESET_MS + 60_000))
    assert [(each.request, each.limit, each.remaining) for each in gathered.take()] == [
        ("1", 60, 1),
        ("2", 60, 59),
        ("3", 100, 99),
    ]


def test_a_report_by_itself_is_neither_joined_nor_moved() -> None:
    """A 429 keeps its place, and so do reports that could not be sent."""
    gathered = GatheredReports()
    gathered.note("1", rate(2))
    gathered.add(RateReport(request="2", limit=60, remaining=2, reset_ms=RESET_MS, quiet_ms=RESET_MS))
    gathered.note("3", rate(2))
    taken = gathered.take()
    assert [each.request for each in taken] == ["1", "2", "3"]
    gathered.note("4", rate(2))
    gathered.put_back(taken)
    assert [each.request for each in gathered.take()] == ["1", "2", "3", "4"]
