"""At scale 1.0, in real time: polls fall on the documented intervals, never more often."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from tests.e2e.processes import Bridge, Simulator, running_bridge, running_simulator, until

pytestmark = pytest.mark.slow

POLLS = 5  # of each kind, the first at once
EARLY_S = 0.02  # two clocks' rounding
STOLEN_S = 2.0  # a shared machine stands still now and then: it may stretch one wait, not the median

# kind: (documented interval in seconds, the simulator's job that does not end, the field that names it)
INTERVALS: dict[str, tuple[float, dict[str, Any], str]] = {
    "sync_job": (15, {"kind": "sync_job", "set": {"status": "running"}}, "job_id"),
    "image post": (
        10,
        {
            "kind": "generated_post",
            "set": {"status": "generating"},
            "items": [{"id": "cadence-image", "media_type": "image", "status": "generating"}],
        },
        "generated_post_id",
    ),
    "video post": (
        15,
        {
            "kind": "generated_post",
            "set": {"status": "generating"},
            "items": [{"id": "cadence-video", "media_type": "video", "status": "generating"}],
        },
        "generated_post_id",
    ),
    "image item": (
        10,
        {"kind": "generated_media_item", "set": {"media_type": "image", "status": "generating"}},
        "generated_media_item_id",
    ),
    "outgoing_post": (
        10,
        {
            "kind": "outgoing_post",
            "set": {"status": "publishing"},
            "deliveries": [
                {"id": "cadence-delivery", "platform": "instagram", "username": "x", "status": "publishing"}
            ],
        },
        "outgoing_post_id",
    ),
    "voice_conversion": (
        10,
        {
            "kind": "generated_media_item",
            "set": {"media_type": "video", "status": "completed", "voice_conversion_status": "processing"},
        },
        "generated_media_item_id",
    ),
    "reelbot_video": (5, {"kind": "reelbot_video", "set": {"status": "processing"}}, "projectId"),
}


@pytest.fixture(scope="module")
def slow_simulator() -> Iterator[Simulator]:
    with running_simulator(speed=1) as running:
        yield running


@pytest.fixture(scope="module")
def slow_bridge(slow_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    folder = tmp_path_factory.mktemp("cadence")
    with running_bridge(slow_simulator, folder, REELBRIDGE_POLL_SCALE="1.0") as running:
        yield running


async def requests_of(simulator: Simulator, job_id: str, clock: str = "mono_ms") -> list[float]:
    """When the simulator was asked for a job, in seconds of one of its clocks."""
    seen = await simulator.control("GET", f"/requests?id={job_id}")
    return [float(each[clock]) / 1000 for each in seen["data"]]


@pytest.mark.timeout(150)
async def test_polls_fall_on_the_documented_intervals(slow_bridge: Bridge, slow_simulator: Simulator) -> None:
    """Each kind is read within 1 s of its registration, then on its documented interval (+10 %), never sooner."""
    jobs: dict[str, str] = {}
    waits: dict[str, float] = {}
    for name, (_, make, field) in INTERVALS.items():
        jobs[name] = await slow_simulator.make(**make)
        kind = {"kind": name} if name == "voice_conversion" else {}
        registered = await slow_bridge.register(**{field: jobs[name], "callback_url": "inbox:", **kind})
        created_s = datetime.fromisoformat(registered["created_at"]).timestamp()
        first = await until(lambda name=name: requests_of(slow_simulator, jobs[name], "wall_ms"))  # type: ignore[misc]  # bound now
        waits[name] = first[0] - created_s

    await until(lambda: all_polled(slow_simulator, list(jobs.values())), within_s=100, every_s=0.5)

    for name, (interval, _, _) in INTERVALS.items():
        gaps = [b - a for a, b in pairwise(await requests_of(slow_simulator, jobs[name]))]
        assert waits[name] < 1.0, name
        assert interval - EARLY_S <= min(gaps), (name, gaps)
        assert median(gaps) <= interval * 1.1, (name, gaps)
        assert max(gaps) <= interval * 1.1 + STOLEN_S, (name, gaps)


async def all_polled(simulator: Simulator, jobs: list[str]) -> bool:
    return min([len(await requests_of(simulator, each)) for each in jobs]) >= POLLS
