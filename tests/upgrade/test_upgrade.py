"""From the version before: its data directory opens, and its worker works beside one of this version on one store."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import (
    Bridge,
    Receiver,
    Simulator,
    bridge_env,
    running_bridge,
    running_receiver,
    running_simulator,
    until,
)
from tests.upgrade.make_data_directory import fixed_receiver
from tests.upgrade.version_before import MASTER_KEYS, Entry, has_history, running_worker_before, unpack_data

pytestmark = pytest.mark.slow

ENDED: dict[str, dict[str, Any]] = {
    "sync_job": {"status": "completed"},
    "generated_post": {"status": "completed"},
    "generated_media_item": {"status": "completed", "url": "https://cdn.example/x.jpg"},
    "voice_conversion": {"voice_conversion_status": "completed"},
    "outgoing_post": {"status": "published"},
    "reelbot_video": {"status": "completed"},
}


@pytest.fixture(scope="module")
def own_simulator() -> Iterator[Simulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with fixed_receiver() as running:
        yield running


async def make_ended(simulator: Simulator, entry: Entry) -> None:
    """Let a job of the data directory have ended upstream meanwhile, under the id that it had."""
    kind = "generated_media_item" if entry.kind == "voice_conversion" else entry.kind
    parts: dict[str, Any] = {}
    if kind == "generated_post":
        parts = {"items": [{"status": "completed"}]}
    elif kind == "outgoing_post":
        parts = {"deliveries": [{"status": "published"}]}
    await simulator.make(kind, id=entry.job_id, set=ENDED[entry.kind], **parts)


async def test_a_data_directory_of_the_version_before_opens_and_every_callback_fires(
    own_simulator: Simulator, receiver: Receiver, tmp_path: Path
) -> None:
    """Watched jobs end, waiting deliveries go on, parked ones come back; every id is what it was."""
    entries = Entry.read_all()
    unpack_data(tmp_path)
    for entry in entries:
        await make_ended(own_simulator, entry)
    with running_bridge(own_simulator, tmp_path, REELBRIDGE_MASTER_KEYS=MASTER_KEYS) as bridge:
        status, answer = await bridge.call(
            "POST", "/v1/deliveries/recover", {"since": "2026-01-01T00:00:00Z", "state": "parked"}
        )
        assert (status, answer["count"]) == (200, 3)
        for entry in entries:
            received = (await receiver.wait(entry.path))[0]
            text = received.body.decode()  # each callback has asked for a style of its own
            assert f'"{entry.callback_id}"' in text
            assert f'"{entry.job_id}"' in text
            assert entry.event_id in ("", received.event_id)
        await check_options(bridge, receiver, entries)
        for entry in entries:
            await until(partial(has_ended, bridge, entry.callback_id))
    assert Counter(each.path for each in receiver.got) == Counter(each.path for each in entries)


async def check_options(bridge: Bridge, receiver: Receiver, entries: list[Entry]) -> None:
    """Check that what a registration had asked for came through: metadata, headers, style, ids in the lists."""
    by_kind = {each.kind: receiver.at(each.path)[0] for each in entries if each.state == "watched"}
    assert by_kind["sync_job"].event["metadata"] == {"order": "42"}
    assert by_kind["generated_media_item"].headers["x-own"] == "kept"
    assert "data" not in by_kind["generated_post"].event
    _, listed = await bridge.call("GET", "/v1/callbacks?limit=100")
    assert {each["id"] for each in listed["data"]} == {each.callback_id for each in entries}


async def has_ended(bridge: Bridge, callback: str) -> bool:
    """Return whether a callback's one delivery succeeded."""
    _, body = await bridge.call("GET", f"/v1/deliveries?callback_id={callback}")
    return [each["state"] for each in body["data"]] == ["succeeded"]


def find_socket(data_dir: Path) -> str:
    """Return where the embedded store of a running bridge listens."""
    (facts,) = data_dir.glob("store/*/server.json")
    return str(json.loads(facts.read_text())["socket"])


@pytest.mark.skipif(not has_history(), reason="the repository's history is not here: no code of 0.1.0")
async def test_workers_of_both_versions_share_one_store(own_simulator: Simulator, tmp_path: Path) -> None:
    """Both poll and deliver; each event comes once, and no id is made twice."""
    async with running_receiver() as receiver:
        with running_bridge(own_simulator, tmp_path, REELBRIDGE_MASTER_KEYS=MASTER_KEYS) as bridge:
            socket = find_socket(tmp_path / "data")
            env = bridge_env(own_simulator, tmp_path / "data", 0, REELBRIDGE_MASTER_KEYS=MASTER_KEYS)
            env |= {"REELBRIDGE_REDIS_URL": f"unix://{socket}", "REELBRIDGE_LOG_LEVEL": "debug"}
            with running_worker_before(tmp_path / "code", env) as before:
                jobs = [
                    await own_simulator.make(
                        "sync_job", script=[{"after_s": 60, "set": {"status": "completed"}}]
                    )
                    for _ in range(100)
                ]
                await asyncio.gather(
                    *(
                        bridge.register(job_id=job, callback_url=f"{receiver.url}/{number % 20}/{job}")
                        for number, job in enumerate(jobs)
                    )
                )
                for number, job in enumerate(jobs):
                    await receiver.wait(f"/{number % 20}/{job}")
                await until(lambda: all_succeeded(bridge, 100))
        assert len({each.event_id for each in receiver.got}) == len(receiver.got) == 100
        for process in (before, bridge.process):
            assert any("delivery.attempted" in line for line in process.lines), "it did none of the work"


async def all_succeeded(bridge: Bridge, count: int) -> bool:
    """Return whether so many deliveries have succeeded."""
    _, body = await bridge.call("GET", f"/v1/deliveries?state=succeeded&limit={count}")
    return len(body["data"]) == count
