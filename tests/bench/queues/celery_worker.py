"""A poll or a delivery as a task of Celery (https://docs.celeryq.dev), which enqueues the job's next poll itself.

The worker runs on threads, in one process. On one core a poll took 1,180 µs of processor time with 8 threads, 1,320 µs
with 20, 1,430 µs with 64, and 2,330 µs with 64 greenlets of gevent.
"""

import sys
from typing import Any

import celery
import urllib3

from tests.bench.queues.errand import DELAY_S, LOGIN, SEND, Errand, has_ended
from tests.bench.signing import sign_delivery

THREADS = 8
ERRAND = Errand.read()
HTTP = urllib3.PoolManager(num_pools=200, maxsize=THREADS, timeout=15, retries=False)
app: Any = celery.Celery("bench", broker=ERRAND.redis_url.replace("unix://", "redis+socket://"))
app.conf.update(
    task_ignore_result=True,
    task_serializer="json",
    worker_prefetch_multiplier=32,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_pool_limit=THREADS,
)


def poll(number: int) -> None:
    """Read a job, and enqueue its next poll."""
    answer = HTTP.request("GET", ERRAND.poll_url(number), headers=LOGIN)
    assert answer.status == 200
    if not has_ended(answer.data):
        TASKS["polls"].apply_async((number,), countdown=DELAY_S)


def deliver(number: int, body: str) -> None:
    """Sign and post."""
    sent = body.encode()
    headers = SEND | sign_delivery(number, sent)
    answer = HTTP.request("POST", ERRAND.hook(number), body=sent, headers=headers)
    assert answer.status == 200


TASKS: dict[str, Any] = {
    "polls": app.task(name="polls")(poll),
    "deliveries": app.task(name="deliveries")(deliver),
}


def seed() -> None:
    """Put all jobs into the queue."""
    more = () if ERRAND.what == "polls" else (ERRAND.body,)
    with app.producer_pool.acquire() as producer:
        for number in range(ERRAND.jobs):
            TASKS[ERRAND.what].apply_async((number, *more), producer=producer)


def work() -> None:
    """Run a worker until it is killed."""
    few = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", "--pool=threads", f"--concurrency={THREADS}", "--loglevel=WARNING", *few])


if __name__ == "__main__":
    {"seed": seed, "work": work}[sys.argv[1]]()
