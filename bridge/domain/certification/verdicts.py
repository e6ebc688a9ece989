"""Judge what a receiver answered to the cases of `reelbridge certify`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.domain.certification.steps import Case, CaseRequest
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, judge

SLOW_MS = 10_000  # a third of the time that an attempt has by default
Result = Literal["passed", "failed", "unknown", "skipped"]
_NOT_THERE = "check that the receiver runs, and the URL: scheme, host, port and path"
_UNREACHED = ("dns", "connect", "refused_address", "refused_url")
_ACCEPTED = (Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """The result of one case; unless it passed, `reason` says what was seen and `fix` what to do.

    `unknown`: the answers are right, but only the receiver could tell whether it acted upon the event. `skipped`: nothing
    was sent. `statuses` has the HTTP status of each answer, None where none came.
    """

    name: str
    asks: str
    result: Result
    reason: str = ""
    fix: str = ""
    statuses: tuple[int | None, ...] = ()
    slowest_ms: int = 0


def judge_case(case: Case, answers: Sequence[ReceiverAnswer]) -> CaseResult:
    """Return the result of a case from the answers to all of its requests, in their order."""
    pairs = list(zip(case.steps, answers, strict=True))
    slowest = max(answer.duration_ms for answer in answers)

    def conclude(result: Result, reason: str = "", fix: str = "") -> CaseResult:
        return CaseResult(
            name=case.name,
            asks=case.asks,
            result=result,
            reason=reason,
            fix=fix,
            statuses=tuple(answer.status for answer in answers),
            slowest_ms=slowest,
        )

    for step, answer in pairs:
        if reason := _find_wrong_status(step, answer):
            return conclude("failed", reason, _NOT_THERE if _is_elsewhere(answer) else case.fix)
    for step, answer in pairs:
        if reason := _find_wrong_handling(step, answer):
            return conclude("failed", reason, case.hint or case.fix)
    if slowest > SLOW_MS:
        return conclude(
            "failed",
            f"an answer took {slowest / 1000:.0f} s",
            "answer at once and work afterwards: an attempt that takes too long is made again",
        )
    if any(step.handled is False and read_handled(answer.excerpt) is None for step, answer in pairs):
        return conclude(
            "unknown", "answered with 2xx, which does not tell whether it was left aside", case.hint
        )
    return conclude("passed")


def skip_case(case: Case) -> CaseResult:
    """Return the result of a case that was not sent."""
    return CaseResult(name=case.name, asks=case.asks, result="skipped")


def read_handled(excerpt: str) -> bool | None:
    """Return what a receiver says in a JSON answer `{"handled": true}` or `false`, None if it says nothing."""
    try:
        told = json.loads(excerpt)
    except ValueError:
        return None
    handled = told.get("handled") if isinstance(told, dict) else None
    return handled if isinstance(handled, bool) else None


def _is_elsewhere(answer: ReceiverAnswer) -> bool:
    """Say whether no receiver took the request, so that nothing in its code is to be mended."""
    if answer.status is None:
        return answer.failure in _UNREACHED
    return 300 <= answer.status < 400 or answer.status in (404, 405)


def _find_wrong_status(step: CaseRequest, answer: ReceiverAnswer) -> str:
    """Return what is wrong with an answer's status, empty if nothing is."""
    good = judge(answer) in _ACCEPTED
    if step.accepted:
        return "" if good else answer.reason
    if good:
        return f"answered {answer.status} to what it should refuse"
    if answer.status is not None and 400 <= answer.status < 500:
        return ""
    said = f"answered {answer.status}" if answer.status is not None else answer.reason.rstrip(".")
    return f"{said} instead of a refusal such as 401"


def _find_wrong_handling(step: CaseRequest, answer: ReceiverAnswer) -> str:
    """Return what is wrong with what a receiver says that it did, empty if nothing is or it says nothing."""
    told = read_handled(answer.excerpt)
    if step.handled is None or told is None or told is step.handled:
        return ""
    return "it says that it acted upon it" if told else "it says that it did not act upon it"
