"""`reelbridge certify`: send a receiver what it may meet in its life, and say what it does not handle."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass

from bridge.cli.local.receiver import check_receiver, check_signing_secret, sending
from bridge.config.settings import Settings
from bridge.domain.certification.cases import plan_cases
from bridge.domain.certification.events import EventMaker, choose_kind
from bridge.domain.certification.steps import Case, build_headers
from bridge.domain.certification.verdicts import CaseResult, judge_case, skip_case
from bridge.domain.deliveries.signing import make_secret
from bridge.domain.printable import printable
from bridge.http.receivers import Sender
from bridge.providers.registry import CATALOGUE

MARKS = {"passed": "✔", "failed": "✘", "unknown": "?", "skipped": "-"}
HOW_TO_TELL = (
    'A status does not tell whether a receiver acted upon an event. One that answers {"handled": true} where it did, and'
    ' {"handled": false} where it left the event aside, is judged by that too.'
)


def run_certify(
    settings: Settings,
    *,
    url: str,
    secret: str,
    payload: str,
    as_json: bool,
    show: Callable[[str], None] = print,
) -> int:
    """Send every case and print the results; return 1 if the receiver fails one, else 0.

    If it does not accept the first, a plain signed event, the others are skipped: they would tell nothing.
    """
    policy, checked = check_receiver(settings, url, option="URL")
    check_signing_secret(secret)
    cases = plan_cases(
        EventMaker(
            catalogue=CATALOGUE,
            kind=choose_kind(CATALOGUE),
            mark=secrets.token_hex(8),
            payload=payload,
            at_ms=int(time.time() * 1000),
            base_url=settings.base_url,
        )
    )

    async def run() -> int:
        async with sending(policy) as sender:
            attempts = CaseSender(
                sender=sender, url=checked.text, secret=secret, timeout_s=settings.attempt_timeout
            )
            report = _show_json if as_json else _show_text
            return await report(checked.masked, _certify(cases, attempts), show)

    return asyncio.run(run())


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSender:
    """Makes the requests of cases to one receiver."""

    sender: Sender
    url: str
    secret: str
    timeout_s: float

    async def make(self, case: Case) -> CaseResult:
        """Send a case's requests one after another and return its result."""
        other = make_secret(secrets.token_bytes)
        answers = [
            await self.sender.post(
                self.url,
                headers=build_headers(step, secret=self.secret, other=other, now_s=int(time.time())),
                body=step.body,
                timeout_s=self.timeout_s,
            )
            for step in case.steps
        ]
        return judge_case(case, answers)


async def _certify(cases: Sequence[Case], attempts: CaseSender) -> AsyncIterator[CaseResult]:
    first, *others = cases
    begun = await attempts.make(first)
    yield begun
    for case in others:
        yield skip_case(case) if begun.result == "failed" else await attempts.make(case)


async def _show_text(url: str, results: AsyncIterator[CaseResult], show: Callable[[str], None]) -> int:
    show(f"certify {printable(url)}")
    counted: Counter[str] = Counter()
    async for each in results:
        counted[each.result] += 1
        show(f"{MARKS[each.result]} {each.name}: {each.asks}")
        for line in (each.reason, f"fix: {each.fix}" if each.fix else ""):
            if line:
                show(f"    {printable(line)}")
    if counted["unknown"]:
        show(HOW_TO_TELL)
    show(", ".join(f"{counted[result]} {result}" for result in MARKS if counted[result]))
    return 1 if counted["failed"] else 0


async def _show_json(url: str, results: AsyncIterator[CaseResult], show: Callable[[str], None]) -> int:
    cases = [asdict(each) async for each in results]
    passed = not any(each["result"] == "failed" for each in cases)
    show(json.dumps({"url": url, "passed": passed, "cases": cases}))
    return 0 if passed else 1
