"""How long the dashboard's pages take in a full project: `python -m tests.bench.pages`.

100,000 watched jobs with an ended delivery each, of which 10,000 are parked and 10,000 went to an endpoint, all written as
records; then each page is asked for a number of times, one after another, and median and 95th percentile are printed, and
the processor time of this process, which has the client too and says more on a busy machine.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from bridge.dashboard.app import add_dashboard
from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Attempt, DeliveryState, new_delivery
from bridge.domain.events.records import EventRecord
from bridge.domain.events.samples import samples
from bridge.domain.ids import event_id, job_key
from bridge.domain.jobs.records import Job, JobState
from bridge.providers.registry import CATALOGUE
from bridge.services.context import Services
from bridge.store import endpoint_keys, feed_keys, keys
from bridge.store.records import pack
from bridge.store.trouble import trouble_keys
from tests.api.serving import KEY, make_settings, serving
from tests.api.store_server import running_store
from tests.dashboard.visitor import Visitor

JOBS = 100_000
PARKED_EVERY = 10
ROUNDS = 40
STEP = 2_000
KIND, TYPE = "sync_job", "sync_job.completed"
PATHS = (
    *("/", "/events", "/events?type=sync_job.failed", "/deliveries", "/deliveries?state=any"),
    *(
        "/deliveries?state=parked&answer=5xx",
        "/deliveries?state=parked&type=sync_job.failed",
        "/endpoints",
        "/accounts",
        "/try",
        "/settings",
        "/jobs/sync_job/500",
    ),
    *("/find?q=500", "/deliveries/recover?state=parked"),
)


async def fill(services: Services, project: str, account: str, endpoint: str) -> tuple[str, str]:
    """Write the records and their indexes; return the ids of the last event and delivery."""
    store, now_ms = services.store, services.clock_ms()
    shard = store.shard_of(account)
    body = samples(CATALOGUE, TYPE)[0]
    for start in range(0, JOBS, STEP):
        pipe = store.redis.pipeline(transaction=False)
        for number in range(start, min(start + STEP, JOBS)):
            at_ms = now_ms - (JOBS - number) * 100
            key = job_key(shard, account, KIND, str(number))
            job = Job(
                project=project,
                account=account,
                kind=KIND,
                id=str(number),
                born_ms=at_ms,
                state=JobState.WATCHING,
                run=1,
                run_ms=at_ms,
                clock_ms=at_ms,
                seen=True,
                status="running",
            )
            event = event_id(project=project, key=key, born_ms=at_ms, run=1, fact="completed")
            delivery = new_delivery(
                event=event,
                job=key,
                subscription=endpoint if number % PARKED_EVERY == 1 else f"cb_{key}aaaaaaaa",
                project=project,
                lane=f"{project} https://host{number % 50}.example.com:443 {number % 50:016x}",
                now_ms=at_ms,
            )
            is_parked = number % PARKED_EVERY == 0
            attempt = Attempt(
                at_ms=at_ms, status=404 if is_parked else 200, failure=None, reason="", duration_ms=20
            )
            state = DeliveryState.PARKED if is_parked else DeliveryState.SUCCEEDED
            delivery = replace(delivery, state=state, attempts=(attempt,), tries=1, done_ms=at_ms)
            record = EventRecord(
                id=event,
                type=TYPE,
                project=project,
                job=key,
                at_ms=at_ms,
                body=json.dumps({**body, "id": event, "job_id": str(number)}).encode(),
            )
            pipe.set(keys.job(key), pack(job))
            pipe.set(keys.event(event), pack(record))
            pipe.set(keys.delivery(delivery.id), pack(delivery))
            pipe.zadd(keys.lane(shard, "poll", account), {key: now_ms + number * 10})
            pipe.zadd(keys.deliveries(shard, project), {delivery.id: at_ms})
            pipe.zadd(keys.job_deliveries(key), {delivery.id: at_ms})
            pipe.zadd(keys.expected(shard, account), {key: at_ms + 300_000})
            if number % PARKED_EVERY == 1:
                pipe.zadd(endpoint_keys.deliveries(shard, endpoint), {delivery.id: at_ms})
            if is_parked:
                pipe.zadd(trouble_keys.parked(shard, project), {delivery.id: at_ms})
                pipe.zincrby(trouble_keys.receivers(shard, project), 1, read_origin(delivery.lane))
            pipe.zadd(feed_keys.feed(project), {event: number + 1})
        pipe.set(feed_keys.position(project), min(start + STEP, JOBS))
        await pipe.execute()
    return event, delivery.id


async def measure() -> None:
    """Print the 95th percentile of each page."""
    with tempfile.TemporaryDirectory() as folder, running_store(Path(folder)) as socket:
        async with serving(make_settings(socket), prepare=add_dashboard) as api:
            services = api.services
            project = (await services.store.projects.ensure_default()).id
            accounts = await services.store.accounts.list(project)
            account = next(each.id for each in accounts if each.provider == "reelmirror")
            began_s = time.perf_counter()
            made = await api.call("POST", "/v1/endpoints", json={"url": "inbox:"})
            endpoint = made[1]["id"]
            event, delivery = await fill(services, project, account, endpoint)
            sys.stdout.write(f"{JOBS:,} jobs written in {time.perf_counter() - began_s:.0f} s\n")
            visitor = Visitor(api)
            await visitor.sign_in(KEY)
            own = (f"/events/{event}", f"/deliveries/{delivery}", f"/endpoints/{endpoint}", "/settings/keys")
            for path in (*PATHS, *own):
                took, used_s = [], time.process_time()
                for _ in range(ROUNDS):
                    began_s = time.perf_counter()
                    shown = await visitor.get(path)
                    assert shown.status == 200, (path, shown.status)
                    took.append((time.perf_counter() - began_s) * 1000)
                took.sort()
                used_ms = (time.process_time() - used_s) * 1000 / ROUNDS
                middle, late = took[ROUNDS // 2], took[int(ROUNDS * 0.95)]
                sys.stdout.write(
                    f"{path:40} median {middle:7.1f} ms   p95 {late:7.1f} ms   processor {used_ms:7.1f} ms\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(measure())
