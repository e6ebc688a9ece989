"""A delivery that is changed while an attempt of it is in flight: nothing is sent beside it, and it is on record."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.deliveries.records import DeliveryState
from tests.api.serving import Client, make_settings, serving
from tests.store.conftest import Server
from tests.workers.attempts import HeldReceiver, Worker, held_receiver, make_due


@pytest.fixture
async def api(server: Server) -> AsyncIterator[Client]:
    async with serving(make_settings(server.socket, retry_schedule="60,120,600")) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[HeldReceiver]:
    async with held_receiver() as running:
        yield running


class Flight:
    """One delivery with its first attempt in flight."""

    def __init__(self, api: Client, receiver: HeldReceiver) -> None:
        self.api = api
        self.receiver = receiver
        self.worker = Worker(api)

    async def begin(self, *, lease_ms: int = 0, **fields: Any) -> None:
        """Register, and begin the first attempt of its event."""
        self.callback = await self.api.register(job_id="a", callback_url=f"{self.receiver.url}/old", **fields)
        self.delivery = await make_due(self.api, self.callback)
        self.event = (await self.worker.read(self.delivery)).event
        await self.attempt(lease_ms=lease_ms)

    async def attempt(self, *, lease_ms: int = 0) -> None:
        """Begin the attempt that is due."""
        task = await self.worker.take(self.delivery, lease_ms=lease_ms)
        assert task is not None
        self.sending = asyncio.create_task(self.worker.finish(task))
        self.answer = await self.receiver.asked()

    async def end(self, status: int) -> None:
        """Let the attempt in flight be answered, and settle it."""
        self.answer.set_result(status)
        await self.sending

    async def change(self, what: str) -> None:
        """Make one of the changes that a person can make."""
        status, answer = await self.ask(what)
        assert status == 200, answer

    async def ask(self, what: str) -> tuple[int, Any]:
        """Call the API for one of these changes; some are refused in some states."""
        one, all_ = f"/v1/callbacks/{self.callback['id']}", "/v1/deliveries/recover"
        recover = {"since": "2020-01-01T00:00:00Z", "state": "cancelled"}
        method, path, body = {
            "move": ("PATCH", one, {"callback_url": f"{self.receiver.url}/new"}),
            "move back": ("PATCH", one, {"callback_url": f"{self.receiver.url}/old"}),
            "patch": ("PATCH", one, {"metadata": {"a": 1}}),
            "delete": ("DELETE", one, None),
            "recover": ("POST", all_, recover),
            "retry": ("POST", f"/v1/deliveries/{self.delivery}/retry", None),
            "resend": ("POST", f"/v1/events/{self.event}/resend", None),
        }[what]
        return await self.api.call(method, path, json=body)

    async def view(self) -> dict[str, Any]:
        """The delivery as a client sees it."""
        status, body = await self.api.call("GET", f"/v1/deliveries/{self.delivery}")
        assert status == 200
        return dict(body)

    async def texts(self) -> list[str]:
        """The sentences of the timeline about the delivery."""
        _, body = await self.api.call("GET", f"/v1/callbacks/{self.callback['id']}/timeline")
        return [each["text"] for each in body["entries"] + body["next"] if each.get("id") == self.delivery]


@pytest.fixture
def flight(api: Client, receiver: HeldReceiver) -> Flight:
    return Flight(api, receiver)


CHANGES = [("move",), ("patch",), ("delete",), ("delete", "recover"), ("retry",), ("move", "move", "retry")]


@pytest.mark.parametrize("changes", CHANGES, ids="+".join)
@pytest.mark.parametrize("status", [200, 500])
async def test_an_attempt_in_flight_ends_alone_and_stays_on_record(
    flight: Flight, changes: tuple[str, ...], status: int
) -> None:
    """No second one begins beside it; its answer is among the attempts; a 2xx is the last."""
    await flight.begin()
    for change in changes:
        await flight.change(change)
    waits = changes[-1] != "delete"
    assert (await flight.view())["state"] == ("in_flight" if waits else "cancelled")
    assert await flight.worker.take(flight.delivery) is None
    await flight.end(status)
    seen = await flight.view()
    assert [each["status"] for each in seen["attempts"]] == [status]
    assert seen["attempt_count"] == 1
    if status == 200:
        assert (seen["state"], await flight.worker.take(flight.delivery)) == ("succeeded", None)
    elif waits:
        await flight.attempt()
        assert flight.receiver.paths[1:] == ["/new" if "move" in changes else "/old"]
        await flight.end(200)
        assert [each["status"] for each in (await flight.view())["attempts"]] == [500, 200]
    else:
        assert (seen["state"], await flight.worker.take(flight.delivery)) == ("cancelled", None)


@pytest.mark.parametrize("change", ["move", "patch", "retry"])
async def test_a_worker_that_dies_after_a_change_costs_nothing(flight: Flight, change: str) -> None:
    """Its lease ends, and the delivery goes to where it goes by then."""
    await flight.begin(lease_ms=300)
    await flight.change(change)
    flight.sending.cancel()
    async with asyncio.timeout(10):
        while (task := await flight.worker.take(flight.delivery)) is None:
            pass
    flight.sending = asyncio.create_task(flight.worker.finish(task))
    flight.answer = await flight.receiver.asked()
    await flight.end(200)
    assert flight.receiver.paths == ["/old", "/new" if change == "move" else "/old"]
    assert (await flight.view())["state"] == "succeeded"


async def test_each_attempt_says_where_it_went(flight: Flight) -> None:
    """Also those before the last change of the URL."""
    await flight.begin()
    await flight.end(500)
    async with held_receiver() as elsewhere:
        flight.receiver.url, old = elsewhere.url, flight.receiver.url
        await flight.change("move")
        flight.receiver = elsewhere
        await flight.attempt()
        await flight.end(204)
        seen = await flight.view()
        assert [each["destination"] for each in seen["attempts"]] == [old, elsewhere.url]
        first, second = [text for text in await flight.texts() if text.startswith("Attempt")]
        assert first.startswith(f"Attempt 1 to {old} (the URL before a change): status 500")
        assert second.startswith(f"Attempt 2 to {elsewhere.url}: status 204")


async def test_the_timeline_tells_of_an_attempt_that_outlives_its_callback(flight: Flight) -> None:
    """Until it has ended: then it is among what happened."""
    await flight.begin()
    await flight.change("delete")
    said = "An attempt is in flight that began before it was cancelled; its answer will be on record, and nothing follows."
    assert said in await flight.texts()
    await flight.end(500)
    texts = await flight.texts()
    assert said not in texts
    assert any("status 500" in text for text in texts)


async def test_a_410_from_the_url_before_cancels_nothing(flight: Flight) -> None:
    """The callback goes elsewhere by then, where nobody said that it is gone."""
    await flight.begin()
    await flight.change("move")
    await flight.end(410)
    _, callback = await flight.api.call("GET", f"/v1/callbacks/{flight.callback['id']}")
    assert callback["state"] == "watching"
    await flight.attempt()
    await flight.end(200)
    assert [each["status"] for each in (await flight.view())["attempts"]] == [410, 200]


async def test_a_410_keeps_the_attempts_that_are_in_flight_beside_it(flight: Flight) -> None:
    """They belong to deliveries that it cancels; a 2xx among them has been received."""
    await flight.begin(once=False)
    await flight.end(200)  # a URL that has answered so gets several at a time
    other = await make_due(flight.api, flight.callback, "sync_job.running")
    task = await flight.worker.take(other)
    assert task is not None
    sending = asyncio.create_task(flight.worker.finish(task))
    late = await flight.receiver.asked()
    flight.delivery = await make_due(flight.api, flight.callback, "sync_job.failed")
    await flight.attempt()
    await flight.end(410)
    assert (await flight.view())["state"] == "cancelled"
    assert (await flight.worker.read(other)).state is DeliveryState.CANCELLED
    late.set_result(200)
    await sending
    ended = await flight.worker.read(other)
    assert (ended.state, [each.status for each in ended.attempts]) == (DeliveryState.SUCCEEDED, [200])


async def test_a_worker_that_stalls_beyond_its_lease_is_on_record_too(flight: Flight) -> None:
    """Its late 2xx ends the delivery; the attempt that was begun meanwhile is added when it ends."""
    await flight.begin(lease_ms=300)
    stalled, late = flight.sending, flight.answer
    async with asyncio.timeout(10):
        while (task := await flight.worker.take(flight.delivery)) is None:
            pass
    flight.sending = asyncio.create_task(flight.worker.finish(task))
    flight.answer = await flight.receiver.asked()
    late.set_result(202)
    await stalled
    seen = await flight.view()
    assert (seen["state"], [each["status"] for each in seen["attempts"]]) == ("succeeded", [202])
    await flight.end(500)
    seen = await flight.view()
    assert (seen["state"], [each["status"] for each in seen["attempts"]]) == ("succeeded", [202, 500])


async def test_a_resend_waits_for_the_attempt_that_a_change_left_behind(flight: Flight) -> None:
    """409, as while any other attempt is in flight."""
    await flight.begin()
    await flight.change("delete")
    event = (await flight.view())["event_id"]
    assert (await flight.api.call("POST", f"/v1/events/{event}/resend"))[0] == 409
    await flight.end(500)
    assert (await flight.api.call("POST", f"/v1/events/{event}/resend"))[0] == 200
    await flight.attempt()
    await flight.end(200)
    assert (await flight.view())["state"] == "succeeded"


async def test_what_was_never_begun_is_due_at_once(flight: Flight) -> None:
    """A worker that gives a claimed delivery back lets the change go on."""
    await flight.begin()
    await flight.end(500)
    await flight.change("retry")
    task = await flight.worker.take(flight.delivery)
    assert task is not None
    await flight.change("move")
    assert await flight.worker.take(flight.delivery) is None
    await flight.worker.settle(flight.worker.handler.give_back(task))
    await flight.attempt()
    assert flight.receiver.paths == ["/old", "/new"]
    await flight.end(200)


@pytest.mark.parametrize("change", ["move", "delete", "patch"])
async def test_an_attempt_that_waited_in_its_worker_is_not_begun_after_a_change(
    flight: Flight, change: str
) -> None:
    """All slots of the worker were taken meanwhile: nothing goes to the old URL any more, and the new one need not wait."""
    await flight.begin()
    await flight.end(500)
    await flight.change("retry")
    task = await flight.worker.take(flight.delivery)
    assert task is not None
    await flight.change(change)
    await flight.worker.finish(replace(task, taken_s=task.taken_s - 1))
    assert flight.receiver.paths == ["/old"]
    if change == "delete":
        assert await flight.worker.take(flight.delivery) is None
        return
    await flight.attempt()
    await flight.end(200)
    assert flight.receiver.paths[1:] == ["/new" if change == "move" else "/old"]


@pytest.mark.parametrize("in_flight", [False, True])
async def test_a_second_retry_keeps_the_schedule_that_waits(flight: Flight, *, in_flight: bool) -> None:
    """However often a person asks, the planned attempt comes when it would have come."""
    await flight.begin()
    await flight.end(500)
    planned = read_time(await flight.view())
    await flight.change("retry")
    if in_flight:
        await flight.attempt()
    await flight.change("retry")
    if in_flight:
        await flight.end(500)
    await flight.attempt()
    await flight.end(500)
    late_s = read_time(await flight.view()) - planned
    assert abs(late_s) < 1.0


async def test_an_extra_attempt_that_is_not_answered_in_time_is_not_repeated_soon(
    server: Server, receiver: HeldReceiver
) -> None:
    """The receiver took it whole and is at work: the schedule's quick entries are skipped, as after any other attempt."""
    settings = make_settings(server.socket, retry_schedule="60,120,600", attempt_timeout=1)
    async with serving(settings) as api:
        flight = Flight(api, receiver)
        await flight.begin()
        await flight.end(500)
        await flight.change("retry")
        await flight.attempt()
        await flight.sending
        seen = await flight.view()
        assert [each["failure"] for each in seen["attempts"]] == [None, "timeout"]
        assert read_time(seen) - api.services.clock_ms() / 1000 > 590


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_one_attempt_is_in_flight_and_each_is_on_record(
    flight: Flight, seed: int
) -> None:
    """Changes, answers and workers' visits in any order; at the end the receiver and the record agree."""
    dice = random.Random(seed)
    await flight.begin()
    answered: list[int] = []
    is_busy = True
    for _ in range(60):
        what = dice.choice(
            ["move", "move back", "patch", "retry", "delete", "recover", "resend", "end", "visit"]
        )
        if what == "visit":
            task = await flight.worker.take(flight.delivery)
            assert task is None or not is_busy, "a second attempt began"
            if task is not None:
                flight.sending = asyncio.create_task(flight.worker.finish(task))
                flight.answer, is_busy = await flight.receiver.asked(), True
        elif what == "end":
            if is_busy:
                answered.append(dice.choice([200, 404, 500]))
                await flight.end(answered[-1])
                is_busy = False
        else:
            await flight.ask(what)
    if is_busy:
        answered.append(500)
        await flight.end(500)
    seen = await flight.view()
    assert [each["status"] for each in seen["attempts"]] == answered[-20:]
    assert seen["attempt_count"] == len(answered) == len(flight.receiver.paths)


def read_time(delivery: dict[str, Any]) -> float:
    """The Unix seconds of its next attempt."""
    return datetime.fromisoformat(delivery["next_attempt_at"]).timestamp()
