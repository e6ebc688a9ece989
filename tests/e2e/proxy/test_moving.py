"""The loops that people have, run through the proxy with another base URL; beside each the same job by callback."""

import pytest

from tests.docs.pages import read, table_rows
from tests.e2e.processes import Bridge, Receiver, Simulator
from tests.e2e.proxy.moved_jobs import AUTOMATION, JOBS, SCRIPTS, Moved, count_lines, prepare, review, run


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=[each.loop for each in JOBS])
async def test_a_loop_runs_as_it_is_and_a_callback_does_the_same(
    bridge: Bridge, simulator: Simulator, receiver: Receiver, job: Moved
) -> None:
    """The loop needs another base URL and key, nothing else; the callback costs the client one request."""
    loop = await run(bridge, SCRIPTS / "loops" / job.loop, await prepare(bridge, simulator, job))
    assert loop.printed.split()[-1] == job.ends.partition(".")[2]
    env = await prepare(bridge, simulator, job) | {"HOOK": f"{receiver.url}/hook"}
    called = await run(bridge, SCRIPTS / "callbacks" / job.callback, env, lambda: receiver.wait("/hook"))
    assert {each.event["type"] for each in receiver.at("/hook")} == {job.ends}
    assert called.requests == 1 < loop.requests


@pytest.mark.slow
async def test_the_whole_automation_runs_and_so_does_its_callback_form(
    bridge: Bridge, simulator: Simulator
) -> None:
    """Sync, generate, approve, publish: by callback four calls, and no reads of a status."""
    loop = await run(bridge, SCRIPTS / "loops/automation.sh", await prepare(bridge, simulator, AUTOMATION))
    called = await run(
        bridge, SCRIPTS / "callbacks/automation.py", await prepare(bridge, simulator, AUTOMATION)
    )
    assert (loop.printed.split()[-1], called.printed.split()[-1]) == ("published", "published")
    assert called.requests == 4 < loop.requests


@pytest.mark.slow
async def test_posts_are_reviewed_in_a_loop_and_by_callback(bridge: Bridge, simulator: Simulator) -> None:
    """Each post is approved once it is completed; by callback the list is never read."""
    loop, called = [await review(bridge, simulator, kind) for kind in ("loops", "callbacks")]
    assert [each.printed.count("approved") for each in (loop, called)] == [3, 3]
    assert called.requests == 3 + 3 < loop.requests


def test_the_page_counts_the_lines_that_the_scripts_have() -> None:
    """Its table names each loop with what stands in its place."""
    shown = {row[0].strip("`"): row[1] for row in table_rows(read("docs/moving.md")) if "→" in row[1]}
    there = {}
    for path in sorted((SCRIPTS / "loops").iterdir()):
        (beside,) = (SCRIPTS / "callbacks").glob(f"{path.stem}.*")
        there[path.name] = f"{count_lines(path)} → {count_lines(beside)}"
    assert shown == there
