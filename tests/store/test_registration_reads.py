"""Registrations of the same moment share a round trip, and nothing else."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge.store import keys
from bridge.store.records import UnreadableRecord
from bridge.store.registration_reads import RegistrationPage, RegistrationReads

JOB = "a1"


@pytest.mark.parametrize("damaged", ["size", "answer", "type"])
async def test_what_cannot_be_read_of_one_project_fails_that_project_alone(
    redis: Redis, damaged: str
) -> None:
    """A damaged counter is no reason to refuse what others register at the same moment."""
    await redis.set(keys.job(JOB), b"record")
    await redis.set(keys.job_bytes("a", "prj_well"), 7)
    match damaged:
        case "size":
            await redis.set(keys.job_bytes("a", "prj_broken"), "many")
        case "answer":
            await redis.hset(keys.answers("prj_broken"), "1", "many")  # type: ignore[misc]  # redis-py types both clients at once
        case _:
            await redis.set(keys.answers("prj_broken"), "many")
    reads = RegistrationReads(redis, "a")
    projects = ("prj_well", "prj_broken", "prj_other")
    asked = (reads.load(project, [JOB], accounts=(), now_ms=0) for project in projects)
    well, broken, other = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(well, RegistrationPage)
    assert (well.values[keys.job(JOB)], well.held_bytes) == (b"record", 7)
    assert isinstance(other, RegistrationPage)
    assert other.held_bytes == 0
    assert isinstance(broken, ResponseError if damaged == "type" else UnreadableRecord)
