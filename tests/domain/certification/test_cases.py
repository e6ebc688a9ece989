"""What `certify` sends: the published library judges each request as the plan says a good receiver does."""

import json
import time
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.domain.certification.cases import plan_cases
from bridge.domain.certification.events import EventMaker, choose_kind
from bridge.domain.certification.steps import Case, CaseRequest, build_headers
from bridge.domain.events.event import DATA_BYTES
from bridge.domain.events.payloads import PAYLOADS
from bridge.providers.registry import CATALOGUE

SECRET = "whsec_" + "dGhpcyBpcyBhIHNlY3JldCBvZiAzMiBieXRlcyEhISE="
OTHER = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5LTIgYnl0ZXM="


def plan(payload: str = "full", mark: str = "0123456789abcdef") -> dict[str, Case]:
    """The cases by name."""
    maker = EventMaker(
        catalogue=CATALOGUE,
        kind=choose_kind(CATALOGUE),
        mark=mark,
        payload=payload,
        at_ms=1_795_000_000_000,
        base_url="https://bridge.example.test",
    )
    return {each.name: each for each in plan_cases(maker)}


def read(step: CaseRequest) -> dict[str, Any]:
    return dict(json.loads(step.body))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_published_library_accepts_what_is_to_be_accepted_and_nothing_else(payload: str) -> None:
    """In every form of the body, at the moment at which it is sent."""
    for case in plan(payload).values():
        for step in case.steps:
            headers = build_headers(step, secret=SECRET, other=OTHER, now_s=int(time.time()))
            try:
                Webhook(SECRET).verify(step.body, headers)
                accepted = True
            except WebhookVerificationError:
                accepted = False
            assert accepted is step.accepted, case.name


def test_no_two_events_share_an_id_but_the_two_of_the_duplicate() -> None:
    """A receiver that drops repeats must not drop anything else; another certification has other ids."""
    cases = plan()
    ids = [step.event_id for case in cases.values() for step in case.steps]
    assert len(ids) - len(set(ids)) == 1
    assert len({step.event_id for step in cases["duplicate"].steps}) == 1
    other = {step.event_id for case in plan(mark="another").values() for step in case.steps}
    assert not other & set(ids)


def test_every_event_says_that_it_is_a_test() -> None:
    """So that a receiver in use can tell them from real ones."""
    for case in plan().values():
        for step in case.steps:
            assert read(step)["test"] is True
            assert read(step)["id"] == step.event_id
            assert step.event_id.startswith("evt_test_")


def test_each_case_sends_what_its_name_says() -> None:
    """Order, run, lateness, outcome, size."""
    cases = plan()
    newer, older = (read(step) for step in cases["out_of_order"].steps)
    assert newer["job_id"] == older["job_id"]
    assert (newer["sequence"], older["sequence"]) == (2, 1)
    assert newer["timestamp"] > older["timestamp"]
    timed_out, late = (read(step) for step in cases["late"].steps)
    assert (timed_out["outcome"], timed_out["bridge"]["late"]) == ("unknown", False)
    assert (late["outcome"], late["bridge"]["late"]) == ("succeeded", True)
    assert [read(step)["run"] for step in cases["run_2"].steps] == [1, 2]
    assert [read(step)["outcome"] for step in cases["partial"].steps] == ["partial"]
    endings = {read(step)["type"].partition(".")[2] for step in cases["endings"].steps}
    assert {"failed", "deleted", "not_found", "timed_out"} < endings


def test_the_largest_event_is_the_largest_that_is_sent_whole() -> None:
    """A byte more and `data` would be cut, as that of the truncated one is."""
    cases = plan()
    (huge,) = cases["huge"].steps
    (truncated,) = cases["truncated"].steps
    data = huge.body.partition(b',"data":')[2].rpartition(b',"bridge":')[0]
    assert len(data) == DATA_BYTES
    assert "truncated" not in read(huge)["bridge"]
    assert read(truncated)["bridge"]["truncated"] is True
    assert "text" not in read(truncated)["data"]
