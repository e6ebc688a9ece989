"""What becomes of lost calls that run something again, or make a new object of one: told by what has changed of that."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.domain.ids import job_key
from bridge.domain.jobs.baseline import Baseline
from bridge.domain.jobs.records import JobState
from bridge.domain.starts.records import StartedJob, StartState
from bridge.services.starts import guard
from bridge.services.starts.before import add_baseline
from bridge.services.starts.guard import Intent, Ticket, begin, plan_ticket
from bridge.services.starts.sealing import StartAnswer, open_answer
from tests.services.polling.upstreams import POSTS
from tests.services.starts.conftest import Desk, let_a_worker_look, read_start

ITEMS = "/v1/generated-media-items/"
OUTGOING = "/v1/publishing/posts"
CHARGES = "/v1/billing/transactions"
POST = "p1"


def item(identifier: str, status: str = "completed", **fields: Any) -> dict[str, Any]:
    url = f"https://cdn.example/{identifier}?signed=1" if status == "completed" else None
    return {"id": identifier, "status": status, "media_type": "video", "url": url, **fields}


def post(*items: dict[str, Any], status: str = "completed", review: str = "pending_review") -> dict[str, Any]:
    return {"id": POST, "status": status, "review_status": review, "media_items": list(items)}


def show(desk: Desk, path: str, value: dict[str, Any]) -> None:
    desk.upstream.answers.pop(path, None)
    desk.upstream.lay(path, {"data": value})


def show_list(desk: Desk, path: str, *rows: dict[str, Any]) -> None:
    desk.upstream.answers.pop(path, None)
    desk.upstream.lay(path, {"data": list(rows), "count": len(rows)})


def moment(desk: Desk) -> str:
    return datetime.fromtimestamp(desk.services.clock_ms() / 1000, UTC).isoformat()


async def lose(desk: Desk, rule: str, subject: str, key: str = "order-1") -> Ticket:
    """Begin a start with what is seen before it, and lose its answer."""
    intent: Intent = desk.intent(key, rule=rule, subject=subject)
    ticket = plan_ticket(desk.services, intent)
    begun = await begin(desk.services, await add_baseline(desk.services, intent, ticket), ticket)
    assert isinstance(begun, Ticket)
    await guard.doubt(desk.services, begun)
    return begun


OLD, NEW = item("i1"), item("i2", "generating")
BEFORE = {
    "regenerate_post": (POSTS + POST, post(OLD), POST),
    "media_item": (ITEMS + "i1", OLD, "i1"),
    "voice_convert": (ITEMS + "i1", OLD | {"voice_conversion_status": "completed"}, "i1"),
}


@pytest.mark.parametrize(
    ("rule", "after"),
    [
        ("regenerate_post", post(NEW, status="generating")),
        # ended already, with other items
        ("regenerate_post", post(item("i2"))),
        # of the failed ones only: some stay
        ("regenerate_post", post(OLD, NEW, status="generating")),
        ("media_item", item("i1", "generating")),
        # ended already, with another file
        ("media_item", OLD | {"url": "https://cdn.example/other?signed=2"}),
        ("voice_convert", OLD | {"voice_conversion_status": "processing"}),
    ],
)
async def test_what_runs_again_was_begun(desk: Desk, rule: str, after: dict[str, Any]) -> None:
    """Its callback waits for the new run, and a repetition learns that the call was done."""
    path, before, subject = BEFORE[rule]
    show(desk, path, before)
    ticket = await lose(desk, rule, subject)
    show(desk, path, after)
    await let_a_worker_look(desk)
    start = await read_start(desk, ticket)
    assert (start.state, [job.id for job in start.jobs]) == (StartState.REBUILT, [subject])
    assert (start.answer, len(start.registered)) == (None, 1)


@pytest.mark.parametrize("rule", BEFORE)
async def test_what_is_as_it_was_stays_in_doubt(desk: Desk, rule: str) -> None:
    """Signed links differ from read to read, and what changes after a minute may be another's doing: it is only named."""
    path, before, subject = BEFORE[rule]
    show(desk, path, before)
    ticket = await lose(desk, rule, subject)
    again = before | ({"url": "https://cdn.example/i1?signed=2"} if "url" in before else {})
    show(desk, path, again)
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is StartState.DOUBT
    show(desk, path, before | {"status": "generating", "voice_conversion_status": "processing"})
    await let_a_worker_look(desk, after_s=90)
    start = await read_start(desk, ticket)
    assert (start.state, start.found) == (StartState.DOUBT, (subject,))


@pytest.mark.parametrize("other", ["open", "answered", "unguarded"])
async def test_two_calls_about_one_post_are_not_told_apart(desk: Desk, other: str) -> None:
    """Either may have begun the run."""
    show(desk, POSTS + POST, post(OLD))
    ticket = await lose(desk, "regenerate_post", POST)
    match other:
        case "open":
            await lose(desk, "regenerate_post", POST, "order-2")
        case "answered":
            intent = desk.intent(None, rule="media_item", subject="i1", url=None)
            begun = await desk.begin(intent)
            assert isinstance(begun, Ticket)
            answer = StartAnswer(202, (), b"{}")
            await guard.finish(desk.services, begun, answer, [StartedJob("generated_media_item", "i1")])
        case _:
            await guard.note_started(desk.services, desk.account, [StartedJob("generated_post", POST)])
    show(desk, POSTS + POST, post(NEW, status="generating"))
    await let_a_worker_look(desk)
    start = await read_start(desk, ticket)
    assert (start.state, start.found) == (StartState.DOUBT, (POST,))


async def test_a_charge_of_that_moment_tells_what_the_object_does_not(desk: Desk) -> None:
    """A run that is not shown yet has been paid for."""
    show(desk, ITEMS + "i1", OLD)
    ticket = await lose(desk, "media_item", "i1")
    debit = {"id": "t1", "amount_cents": -10, "created_at": moment(desk), "generated_media_item_id": "i1"}
    show_list(desk, CHARGES, debit | {"id": "t0", "created_at": "2020-01-01T00:00:00Z"}, debit)
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).state is StartState.REBUILT


async def test_charges_that_may_not_be_read_are_asked_for_once(desk: Desk) -> None:
    """The key lacks the scope, and that is remembered."""
    show(desk, ITEMS + "i1", OLD)
    desk.upstream.lay(CHARGES, {"error": {"code": "FORBIDDEN", "message": "scope"}}, status=403)
    await lose(desk, "media_item", "i1")
    for after_s in (3, 10, 30):
        await let_a_worker_look(desk, after_s=after_s)
    assert desk.upstream.asked.count(ITEMS + "i1") == 4
    assert desk.upstream.asked.count(CHARGES) == 1


@pytest.mark.parametrize("rule", ["approve", "send_to_compose"])
async def test_the_outgoing_post_of_a_posts_items_is_found_where_they_are_listed(
    desk: Desk, rule: str
) -> None:
    """The documented answer names it."""
    show(desk, POSTS + POST, post(OLD))
    ticket = await lose(desk, rule, POST)
    made = {"status": "draft", "deliveries": [], "created_at": moment(desk)}
    rows = [made | {"id": f"o{n}", "items": [{"generated_media_item_id": f"i{n}"}]} for n in (1, 2)]
    show_list(desk, OUTGOING, *rows)
    await let_a_worker_look(desk)
    start = await read_start(desk, ticket)
    assert (start.state, [job.id for job in start.jobs]) == (StartState.REBUILT, ["o1"])
    assert start.answer is not None
    assert (
        b'"outgoing_post_id": "o1"' in open_answer(desk.services.store.vault, ticket.place, start.answer).body
    )


async def test_without_a_list_the_moved_review_is_named(desk: Desk) -> None:
    """The outgoing post's id is not to be had then."""
    show(desk, POSTS + POST, post(OLD))
    ticket = await lose(desk, "approve", POST)
    await let_a_worker_look(desk)
    assert (await read_start(desk, ticket)).found == ()
    show(desk, POSTS + POST, post(OLD, review="approved"))
    await let_a_worker_look(desk, after_s=10)
    start = await read_start(desk, ticket)
    assert (start.state, start.found) == (StartState.DOUBT, (POST,))


async def test_the_state_before_is_read_once_and_not_at_all_for_a_repetition(desk: Desk) -> None:
    """It costs one request of the budget."""
    show(desk, POSTS + POST, post(OLD))
    ticket = await lose(desk, "regenerate_post", POST)
    baseline = (await read_start(desk, ticket)).baseline
    assert isinstance(baseline, Baseline)
    assert (baseline.ending, baseline.parts) == ("completed", (("i1", "completed"),))
    asked = list(desk.upstream.asked)
    intent = desk.intent("order-1", rule="regenerate_post", subject=POST)
    assert (await add_baseline(desk.services, intent, plan_ticket(desk.services, intent))).baseline is None
    assert desk.upstream.asked == asked == [POSTS + POST]


async def test_the_read_before_a_call_counts_as_a_poll_of_what_is_watched(desk: Desk) -> None:
    """Its ending, which the call is about to overwrite, is told to those who wait for it; the call waits for the next run."""
    show(desk, POSTS + POST, post(OLD))
    earlier = await desk.begin(desk.intent(None, url="https://hooks.example.com/first"))
    assert isinstance(earlier, Ticket)
    answer, again = StartAnswer(202, (), b"{}"), StartedJob("generated_post", POST, expect="new_run")
    await guard.finish(desk.services, earlier, answer, [StartedJob("generated_post", POST)])
    intent = desk.intent("order-1", rule="regenerate_post", subject=POST)
    ticket = plan_ticket(desk.services, intent)
    await begin(desk.services, await add_baseline(desk.services, intent, ticket), ticket)
    finished = await guard.finish(desk.services, ticket, answer, [again])
    key = job_key(ticket.place[0], desk.account.id, "generated_post", POST)
    loaded = await desk.services.store.load_job(key)
    assert loaded is not None
    job = loaded.record
    assert (job.state, job.run, job.ending) == (JobState.ENDED, 1, "completed")
    assert [(each.id in finished.registered, each.notified_run, each.from_run) for each in job.callbacks] == [
        (False, 1, 0),
        (True, 0, 2),
    ]
