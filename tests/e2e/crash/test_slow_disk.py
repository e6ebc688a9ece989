"""What was acknowledged stays, however slow the disk is; and what was not is not doubled."""

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from bridge.store.commit import Change, Committer, Guard, Put
from tests.e2e.crash.checks import check_all_ended, wait_all_delivered
from tests.e2e.crash.job_plans import PlannedJob, plan_ended, plan_jobs
from tests.e2e.crash.killable_service import Service, Victim
from tests.e2e.crash.received_posts import Post, ReceivedPosts
from tests.e2e.crash.registrar import Registrar
from tests.e2e.crash.slow_disk import Disk
from tests.e2e.crash.soak_options import SEED
from tests.e2e.processes import Bridge, Simulator, free_port, reelbridge, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
LOG = logging.getLogger(__name__)


async def polls_until(simulator: Simulator, stop: asyncio.Event) -> list[float]:
    """Give when the simulator was asked for jobs, in seconds of one clock, until told to stop."""
    await simulator.control("DELETE", "/requests")
    await stop.wait()
    lines = (await simulator.control("GET", "/requests"))["data"]
    return sorted(line["mono_ms"] / 1000 for line in lines if line["method"] == "GET")


async def test_a_registration_waits_for_a_slow_disk_and_polling_does_not(
    service: Service, disk: Disk, received: ReceivedPosts
) -> None:
    """1.5 s an fsync: answers wait for it, reads go on, and no first POST comes before its registration's answer."""
    registrar = Registrar(service, received)
    background = plan_jobs(random.Random(SEED), "bg", 30, within_s=None)
    await registrar.register(background)
    with disk.slow():
        await asyncio.sleep(1.0)  # the fsync that runs is still a quick one
        registrar.took_s.clear()
        stop = asyncio.Event()
        watching = asyncio.create_task(polls_until(service.simulator, stop))
        await registrar.register(plan_ended("slow", 12), at_once=4)
        stop.set()
        polls = await watching
    # Valkey confirms at once what is with the system already; only while an fsync runs is a write kept back.
    assert sum(took > 1.0 for took in registrar.took_s) >= 4, registrar.took_s
    assert registrar.slowest_s < 8.0
    gaps = [after - before for before, after in itertools.pairwise(polls)]
    assert len(polls) > 20
    assert max(gaps) < 2.5, "polling stood still"
    await registrar.end(background)
    await wait_all_delivered(registrar, received)
    for hook, watched in registrar.watched.items():
        assert received.first_at[hook] >= watched.answered_at, "the POST came before the answer"
    await check_all_ended(service, registrar, received)


async def test_a_repeat_waits_for_the_disk_as_its_first_did(service: Service, disk: Disk) -> None:
    """A change that is in place already writes nothing: its repeat, over another connection, is no sooner durable."""
    url = service.store_environment()["REELBRIDGE_REDIS_URL"]
    async with Redis.from_url(url) as first, Redis.from_url(url) as second:
        with disk.slow():
            await asyncio.sleep(1.0)
            for number in itertools.count():  # some come while no fsync runs, or when one is nearly over
                assert number < 20, "the disk is not slow"
                key = f"{{a}}:repeated:{number}"
                change = Change("a", (Guard(key, None),), (Put(key, b"x", 60_000),))
                began = time.monotonic()
                writing = asyncio.create_task(commit(first, change))
                await until(lambda key=key: second.exists(key), every_s=0.001)  # type: ignore[misc]  # bound now
                repeated = await commit(second, change)
                written = await writing
                if written - began > 0.8:
                    break
        assert repeated > written - 0.5, "the repeat did not wait"


async def commit(redis: Redis, change: Change) -> float:
    """Make a change, and give when it was on disk, in seconds of one clock."""
    assert await Committer(redis, aof=True).commit(change, new_work=True, durable=True) == "done"
    return time.monotonic()


@contextlib.asynccontextmanager
async def second_api(service: Service) -> AsyncIterator[Bridge]:
    """Run another `reelbridge api` on the same store."""
    port = free_port()
    environment = {**service.store_environment(), "REELBRIDGE_PORT": str(port)}
    process = reelbridge("api", env=environment, cwd=service.folder)
    try:
        await asyncio.to_thread(process.wait_for, "api.ready")
        yield Bridge(url=f"http://127.0.0.1:{port}", process=process, data_dir=service.data_dir)
    finally:
        await asyncio.to_thread(process.stop)


async def lose_answer(service: Service, other: Bridge, disk: Disk, body: dict[str, Any]) -> bool:
    """Kill the API between the writing of a registration and its answer; False: the answer was quicker."""

    async def is_written() -> bool:
        _, found = await other.call("GET", f"/v1/callbacks?job_id={body['job_id']}")
        return bool(found["data"])

    with disk.slow():
        await asyncio.sleep(1.0)  # the fsync that runs is still a quick one
        asked = asyncio.create_task(service.bridge.call("POST", "/v1/callbacks", body))
        await until(is_written, every_s=0.01)
        service.kill("api")
        try:
            await asked
        except aiohttp.ClientError:
            return True
    await service.wait_ready()
    return False


async def test_a_lost_answer_doubles_nothing(service: Service, disk: Disk, received: ReceivedPosts) -> None:
    """The API dies between writing a registration and answering; its job ends; the repeat means the same callback."""
    async with second_api(service) as other:
        for plan in plan_ended("lost", 5):
            await service.simulator.control("POST", "/jobs", plan.body)
            body = {**plan.fields, "callback_url": received.url(0, plan.id)}
            if await lose_answer(service, other, disk, body):
                break
        else:
            pytest.fail("the disk is not slow")
        path = f"/v1/callbacks?job_id={plan.id}"

        async def is_over() -> bool:
            _, found = await other.call("GET", path)
            return [each["state"] for each in found["data"]] == ["ended"]

        await until(is_over)
        assert plan.id not in received.first_at, "delivered before any answer"
        status, again = await other.call("POST", "/v1/callbacks", body)
        assert (status, again["updated"], again["state"]) == (200, True, "ended")
        answered_at = time.time()

        async def is_delivered() -> bool:
            return plan.id in received.first_at

        await until(is_delivered)
        assert received.first_at[plan.id] - answered_at < 5.0
        await asyncio.sleep(2.0)  # longer than a first delivery waits for its answer
        assert len(received.by_hook()[plan.id]) == 1
        assert len((await other.call("GET", path))[1]["data"]) == 1


async def is_syncing(redis: Redis) -> bool:
    """Whether a slow fsync runs, so that the store keeps in memory what is written now."""
    await redis.set("{a}:slow", "x", px=60_000)
    await asyncio.sleep(0.05)  # a quick one is over by then
    return bool((await redis.info("persistence"))["aof_pending_bio_fsync"])


async def lose_registration(
    service: Service,
    disk: Disk,
    body: dict[str, Any],
    posts_of: Callable[[str], list[Post]],
    victims: Sequence[Victim],
) -> bool:
    """Kill some processes at the end of a job that was registered a moment ago; False: all of it was on disk."""
    path = f"/v1/callbacks?job_id={body['job_id']}"

    async def is_over() -> bool:
        _, found = await service.bridge.call("GET", path)
        return [each["state"] for each in found["data"]] == ["ended"]

    async def has_heard() -> bool:
        return bool(posts_of(body["job_id"]))

    async with Redis.from_url(service.store_environment()["REELBRIDGE_REDIS_URL"]) as redis:
        with disk.slow():
            await until(lambda: is_syncing(redis), every_s=0.05)
            asked = asyncio.create_task(service.bridge.call("POST", "/v1/callbacks", body))
            await until(is_over, every_s=0.01)
            with contextlib.suppress(AssertionError):
                await until(has_heard, within_s=0.4, every_s=0.01)
            for victim in victims:
                service.kill(victim)
    if "all" in victims:
        service.launch()
    await service.wait_ready()
    try:
        await asked
    except aiohttp.ClientError:
        _, found = await service.bridge.call("GET", path)
        return not found["data"]
    return False


@contextlib.asynccontextmanager
async def hearing_endpoint(
    service: Service, received: ReceivedPosts, name: str
) -> AsyncIterator[Callable[[str], list[Post]]]:
    """Make an endpoint for a while; give what returns the POSTs that it got of a job."""
    status, endpoint = await service.bridge.call("POST", "/v1/endpoints", {"url": received.url(0, name)})
    assert status == 201, endpoint
    try:
        yield lambda job: [post for post in received.posts if (post.hook, post.job) == (name, job)]
    finally:
        await service.bridge.call("DELETE", f"/v1/endpoints/{endpoint['id']}")


@pytest.mark.parametrize("victims", [("all",), ("api", "store")])
async def test_an_endpoint_hears_once_of_a_job_whose_registration_was_lost(
    service: Service, disk: Disk, received: ReceivedPosts, victims: Sequence[Victim]
) -> None:
    """Processes die before a registration is on disk, when the job has ended; the repeat is a new job to the bridge.

    The worker may live on, with the first delivery in its hands.
    """
    async with hearing_endpoint(service, received, "endpoint") as posts_of:
        for plan in plan_ended("-".join(("gone", *victims)), 8):
            await service.simulator.control("POST", "/jobs", plan.body)
            body = {**plan.fields, "callback_url": received.url(1, plan.id)}
            if await lose_registration(service, disk, body, posts_of, victims):
                break
        else:
            pytest.fail("the disk is not slow")
        status, again = await service.bridge.call("POST", "/v1/callbacks", body)
        assert (status, "updated" in again) == (201, False), again

        async def is_delivered() -> bool:
            return plan.id in received.first_at and bool(posts_of(plan.id))

        await until(is_delivered)
        assert len({post.event for post in posts_of(plan.id)}) == 1, posts_of(plan.id)


async def test_an_endpoint_hears_of_new_jobs_on_a_slow_disk(
    service: Service, disk: Disk, received: ReceivedPosts
) -> None:
    """1.5 s an fsync: some seconds after the registration, and not only when it is told regardless."""

    async def register(plan: PlannedJob) -> float:
        await service.simulator.control("POST", "/jobs", plan.body)
        body = {**plan.fields, "callback_url": received.url(1, plan.id)}
        status, made = await service.bridge.call("POST", "/v1/callbacks", body)
        assert status == 201, made
        return time.time()

    plans = plan_ended("slow-endpoint", 8)
    async with hearing_endpoint(service, received, "slow-endpoint") as posts_of:
        with disk.slow():
            await asyncio.sleep(1.0)  # the fsync that runs is still a quick one
            answered_at = await asyncio.gather(*map(register, plans))

            async def are_heard() -> bool:
                return all(posts_of(plan.id) for plan in plans)

            await until(are_heard, within_s=12.0)
        took_s = [
            min(post.arrived_at for post in posts_of(plan.id)) - at
            for plan, at in zip(plans, answered_at, strict=True)
        ]
        LOG.info("an endpoint heard %s s after the answers", [round(each, 1) for each in took_s])
        assert max(took_s) < 10.0, took_s
