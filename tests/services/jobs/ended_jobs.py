"""Jobs that have ended, with any number of events and deliveries, written as a worker would."""

import json
from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.deliveries.records import Attempt, Delivery, DeliveryState, new_delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.ids import event_id, read_callback_job
from bridge.domain.jobs.records import JobState
from bridge.domain.subscriptions.callback import CallbackState
from bridge.services.context import Services

PAST_MS = 1_000
BODY = {"type": "sync_job.completed", "data": {"text": "as large as most events are " * 40}}


async def end_job(
    services: Services,
    callback: str,
    *,
    events: int = 1,
    deliveries: int = 1,
    states: Sequence[DeliveryState] = (DeliveryState.SUCCEEDED,),
) -> str:
    """End a job, whose retention has ended too, with deliveries of its events; return its key.

    The states are given to the deliveries in turn.
    """
    key = read_callback_job(callback)
    assert key is not None
    loaded = await services.store.load_job(key)
    assert loaded is not None
    job = loaded.record
    closed = tuple(replace(each, state=CallbackState.ENDED, notified_run=1) for each in job.callbacks)
    unit = services.unit_of_work(key[0])
    unit.put_job(key, replace(job, state=JobState.ENDED, ending="completed", callbacks=closed), loaded)
    unit.retire(key, job)
    ids = [
        event_id(project=job.project, key=key, born_ms=job.born_ms, run=n, fact="f") for n in range(events)
    ]
    for event in ids:
        body = json.dumps({"id": event, **BODY}).encode()
        unit.put_event(
            EventRecord(
                id=event, type="sync_job.completed", project=job.project, job=key, at_ms=PAST_MS, body=body
            )
        )
    made = [_delivery(key, job.project, ids[n % events], n) for n in range(deliveries)]
    for each in made:
        unit.add_delivery(each, 0)
    assert await services.store.committer.commit(unit.change()) == "done"
    await services.store.feed.publish(job.project, ids)
    for start in range(0, len(made), 500):
        await _settle(services, key, made[start : start + 500], states)
    await services.store.redis.zadd(f"{{{key[0]}}}:ended", {key: PAST_MS})
    return key


def _delivery(key: str, project: str, event: str, number: int) -> Delivery:
    return new_delivery(
        event=event,
        job=key,
        subscription=f"cb_{key}{number:08}",
        project=project,
        lane=f"{project} https://hooks.example.test/{number % 50}",
        now_ms=PAST_MS + number,
    )


async def _settle(
    services: Services, key: str, made: Sequence[Delivery], states: Sequence[DeliveryState]
) -> None:
    """Write how deliveries ended; pending ones stay in their lanes."""
    now_ms = services.clock_ms()
    attempt = Attempt(at_ms=now_ms, status=200, failure=None, reason="", duration_ms=3, excerpt="ok")
    unit = services.unit_of_work(key[0])
    for number, each in enumerate(made):
        state = states[number % len(states)]
        loaded = await services.store.load_delivery(each.id)
        assert loaded is not None
        if state is not DeliveryState.PENDING:
            unit.put_delivery(
                replace(each, state=state, attempts=(attempt,), tries=1, done_ms=PAST_MS), loaded
            )
            unit.drop_attempt(each)
    assert await services.store.committer.commit(unit.change()) == "done"
