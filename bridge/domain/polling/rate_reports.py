"""Gather what answers say of a limit until it is reported: answers of one window become one report."""

from collections.abc import Sequence

from msgspec import Struct

from bridge.domain.observation import RateHeaders
from bridge.domain.polling.rate_limit import RateReport


class _Window(Struct, kw_only=True, gc=False):
    """Answers that name the same limit and the same end of its window, of which the one with the least left counts."""

    requests: list[str]
    limit: int | None
    remaining: int | None
    reset_ms: int | None
    shared: int
    batched: int

    def add(self, request: str, remaining: int | None, shared: int, batched: int) -> None:
        self.requests.append(request)
        if self.remaining is None or (remaining is not None and remaining < self.remaining):
            self.remaining = remaining
        self.shared += shared
        self.batched += batched

    def report(self) -> RateReport:
        return RateReport(
            request=self.requests[0],
            others=self.requests[1:],
            limit=self.limit,
            remaining=self.remaining,
            reset_ms=self.reset_ms,
            shared=self.shared,
            batched=self.batched,
        )


class GatheredReports:
    """The reports of one limit, in the order of their answers. A busy account has dozens of answers a report."""

    def __init__(self) -> None:
        self._reports: list[RateReport] = []
        self._window: _Window | None = None  # of the last answers

    def note(self, request: str, rate: RateHeaders, *, shared: int = 0, batched: int = 0) -> None:
        """Add an answer that was not a 429; `shared` and `batched` are those of `RateReport`."""
        window = self._window
        if window is not None and window.reset_ms == rate.reset_ms and window.limit == rate.limit:
            window.add(request, rate.remaining, shared, batched)
            return
        self._close()
        self._window = _Window(
            requests=[request],
            limit=rate.limit,
            remaining=rate.remaining,
            reset_ms=rate.reset_ms,
            shared=shared,
            batched=batched,
        )

    def add(self, report: RateReport) -> None:
        """Add a report that stands by itself, such as that of a 429."""
        self._close()
        self._reports.append(report)

    def put_back(self, reports: Sequence[RateReport]) -> None:
        """Add reports that were taken and could not be sent, before those that have come since."""
        self._reports[:0] = reports

    def take(self) -> list[RateReport]:
        """Return the reports, and forget them."""
        self._close()
        reports, self._reports = self._reports, []
        return reports

    def _close(self) -> None:
        if self._window is not None:
            self._reports.append(self._window.report())
            self._window = None
