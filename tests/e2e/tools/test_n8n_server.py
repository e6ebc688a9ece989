"""The workflows and the community node in a real n8n, against a real bridge: imported as they stand and run."""

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.e2e.processes import API_KEY, Bridge, Simulator, running_bridge, until
from tests.e2e.tools.n8n_server import N8n, running_n8n
from tests.e2e.tools.n8n_workflows import SLOW, WORKFLOWS, add, connect, find, load, make_node_workflow

PROGRAM = os.environ.get("REELBRIDGE_N8N_BIN", "")
pytestmark = [
    pytest.mark.skipif(
        not PROGRAM, reason="REELBRIDGE_N8N_BIN names no n8n: docs/nocode/n8n.md says how to install one"
    ),
    pytest.mark.timeout(300),
]
RUNNING, COMPLETED = {"status": "running"}, {"status": "completed"}
# n8n is slow on a loaded machine, and starts anew in the midst of a test: attempts go on for minutes.
PATIENT = {
    "REELBRIDGE_ATTEMPT_TIMEOUT": "30",
    "REELBRIDGE_RETRY_SCHEDULE": ",".join(["0.3", "0.5", "1", "2", *["4"] * 50]),
}


@pytest.fixture(scope="module")
def own(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge whose retries outlast a restart of n8n."""
    with running_bridge(simulator, tmp_path_factory.mktemp("patient"), **PATIENT) as running:
        yield running


@pytest.fixture(scope="module")
def n8n(tmp_path_factory: pytest.TempPathFactory) -> Iterator[N8n]:
    """An n8n as a user has it who has followed docs/nocode/n8n.md."""
    with running_n8n(PROGRAM, tmp_path_factory.mktemp("n8n")) as running:
        yield running


async def end(simulator: Simulator, job: str, status: str = "completed") -> None:
    """Let a job that runs come to its end."""
    await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": status})


async def list_statuses(bridge: Bridge, owner: str) -> tuple[str, list[int | None]]:
    """State and attempts' statuses of the only delivery to a callback or an endpoint."""
    field = "endpoint_id" if owner.startswith("ep_") else "callback_id"
    _, listed = await bridge.call("GET", f"/v1/deliveries?{field}={owner}")
    if not listed["data"]:
        return "", []
    (delivery,) = listed["data"]
    _, shown = await bridge.call("GET", f"/v1/deliveries/{delivery['id']}")
    return shown["state"], [each["status"] for each in shown["attempts"]]


async def wait_for_delivery(bridge: Bridge, owner: str, state: str) -> list[int | None]:
    """Wait until the only delivery to a callback or an endpoint is in a state; its attempts' statuses."""

    async def reached() -> list[int | None]:
        found, statuses = await list_statuses(bridge, owner)
        return statuses if found == state else []

    return list(await until(reached, within_s=90))


async def wait_for_refusal(bridge: Bridge, owner: str, status: int) -> None:
    """Wait until an attempt to a callback or an endpoint was answered so."""

    async def refused() -> bool:
        return status in (await list_statuses(bridge, owner))[1]

    await until(refused)


def test_every_ready_workflow_is_run_here() -> None:
    """A new file needs a test of its own."""
    assert {each.stem for each in WORKFLOWS.glob("*.json")} == {
        "verified-trigger",
        "wait-for-job",
        "wait-for-two-jobs",
    }


async def test_an_execution_waits_for_its_job_and_goes_on_with_the_event(
    n8n: N8n, own: Bridge, simulator: Simulator
) -> None:
    """wait-for-job: the key goes in a header, the Wait node rests while the job runs, and gives the event."""
    job = await simulator.make("sync_job", set=RUNNING)
    saved = await n8n.save(await load(n8n, own, "wait-for-job", **{"put the id here": job}))
    execution = await n8n.execute(saved)
    registered = (await n8n.wait_for_status(execution, "waiting"))["Register"]
    assert (registered["job_id"], registered["state"]) == (job, "watching")
    await end(simulator, job, "failed")
    event = (await n8n.wait_for_status(execution, "success"))["Wait"]["body"]
    assert (event["type"], event["job_id"]) == ("sync_job.failed", job)
    assert event["bridge"]["callback_id"] == registered["id"]
    assert await wait_for_delivery(own, registered["id"], "succeeded") == [200]


async def test_a_call_before_the_wait_node_rests_is_repeated(
    n8n: N8n, own: Bridge, simulator: Simulator
) -> None:
    """A job that has ended already, and a node of the user's own that takes four seconds before the Wait node."""
    job = await simulator.make("sync_job", set=COMPLETED)
    workflow = await load(n8n, own, "wait-for-job", **{"put the id here": job})
    add(workflow, "n8n-nodes-base.wait", SLOW, version=1.1)
    connect(workflow, "Start", "Jobs", "Register", "wait", "Wait")
    execution = await n8n.execute(await n8n.save(workflow))
    given = await n8n.wait_for_status(execution, "success")
    assert given["Wait"]["body"]["job_id"] == job
    *early, last = await wait_for_delivery(own, given["Register"]["id"], "succeeded")
    assert early
    assert set(early) <= {409, 500}, "n8n 2.8 answers 500 where an execution has saved nothing yet"
    assert last == 200


@pytest.mark.parametrize("ending", ["success", "error", "canceled"])
async def test_an_execution_that_is_over_is_called_once(
    n8n: N8n, own: Bridge, simulator: Simulator, ending: str
) -> None:
    """It ended, failed, or was stopped while it waited: n8n answers 409, and nobody will ever take the event."""
    job = await simulator.make("sync_job", set=RUNNING)
    workflow = await load(n8n, own, "wait-for-job", **{"put the id here": job})
    if ending == "error":
        add(workflow, "n8n-nodes-base.stopAndError", {"errorMessage": "as it may be"})
        connect(workflow, "Start", "Jobs", "Register", "stopAndError")
    elif ending == "success":
        connect(workflow, "Start", "Jobs", "Register")
    execution = await n8n.execute(await n8n.save(workflow))
    if ending == "canceled":
        await n8n.wait_for_status(execution, "waiting")
        await n8n.call("POST", f"/executions/{execution}/stop", {})
    registered = (await n8n.wait_for_status(execution, ending))["Register"]
    await end(simulator, job)
    assert await wait_for_delivery(own, registered["id"], "cancelled") == [409]


@pytest.mark.parametrize("order", ["as it stands", "both registered first"])
async def test_two_waits_of_one_execution_share_one_url(
    n8n: N8n, own: Bridge, simulator: Simulator, order: str
) -> None:
    """wait-for-two-jobs: each job is told once, to one of the waits, whichever of them rests."""
    jobs = [await simulator.make("sync_job", set={"status": each}) for each in ("completed", "failed")]
    workflow = await load(n8n, own, "wait-for-two-jobs")
    names = dict(zip(("first", "second"), jobs, strict=True))
    find(workflow, "Jobs")["parameters"]["jsonOutput"] = json.dumps(names)
    if order != "as it stands":
        connect(workflow, "Start", "Jobs", "Register first", "Register second", "Wait first", "Wait second")
    given = await n8n.wait_for_status(await n8n.execute(await n8n.save(workflow)), "success")
    told = [given[name]["body"]["job_id"] for name in ("Wait first", "Wait second")]
    assert sorted(told) == sorted(jobs)
    if order == "as it stands":
        assert told == jobs
    registered = [given[name] for name in ("Register first", "Register second")]
    assert len({each["callback_url"] for each in registered}) == 1
    for each in registered:
        assert (await wait_for_delivery(own, each["id"], "succeeded")).count(200) == 1


async def test_a_late_ending_of_the_first_job_is_not_taken_for_the_second(
    n8n: N8n, own: Bridge, simulator: Simulator
) -> None:
    """wait-for-two-jobs: the first job times out and ends while the second wait rests at the same URL."""
    jobs = [await simulator.make("sync_job", set=RUNNING) for _ in range(2)]
    workflow = await load(n8n, own, "wait-for-two-jobs")
    names = dict(zip(("first", "second"), jobs, strict=True))
    find(workflow, "Jobs")["parameters"]["jsonOutput"] = json.dumps(names)
    body = find(workflow, "Register first")["parameters"]
    body["jsonBody"] = body["jsonBody"].replace("job_id:", "timeout_seconds: 2, job_id:")
    heard = await own.register(job_id=jobs[0], callback_url="inbox:", timeout_seconds=2)
    execution = await n8n.execute(await n8n.save(workflow))

    async def second_waits() -> bool:
        return "Register second" in await n8n.wait_for_status(execution, "waiting")

    await until(second_waits)
    await end(simulator, jobs[0])

    async def told_late() -> bool:
        _, listed = await own.call("GET", f"/v1/deliveries?callback_id={heard['id']}")
        return len([each for each in listed["data"] if each["state"] == "succeeded"]) == 2

    await until(told_late, within_s=60)
    await end(simulator, jobs[1])
    given = await n8n.wait_for_status(execution, "success")
    told = [given[name]["body"] for name in ("Wait first", "Wait second")]
    assert [(each["type"], each["job_id"]) for each in told] == [
        ("sync_job.timed_out", jobs[0]),
        ("sync_job.completed", jobs[1]),
    ]


async def test_a_signed_event_passes_and_a_forged_one_does_not(
    n8n: N8n, own: Bridge, simulator: Simulator
) -> None:
    """verified-trigger: inactive n8n answers 404; activated, the schedule delivers what was kept, and it is verified."""
    hook = f"{n8n.url}/webhook/reelbridge"
    _, made = await own.call("POST", "/v1/endpoints", {"url": hook})
    key = base64.b64decode(made["secret"].removeprefix("whsec_")).decode("ascii")
    workflow = await load(n8n, own, "verified-trigger", **{"put here what whsec_… decodes to": key})
    saved = await n8n.save(workflow)
    job = await simulator.make("sync_job", set=COMPLETED)
    await own.register(job_id=job, callback_url="inbox:", metadata={"order": "größer € 🎬", "10": 1, "2": 2})
    await wait_for_refusal(own, made["id"], 404)
    await n8n.activate(saved)
    *early, last = await wait_for_delivery(own, made["id"], "succeeded")
    assert (set(early), last) == ({404}, 200)
    (execution,) = await n8n.list_executions(saved)
    given = await n8n.wait_for_status(execution["id"], "success")
    event = given["Webhook"]["body"]
    assert event["job_id"] == job
    assert event["bridge"]["callbacks"][0]["metadata"]["order"] == "größer € 🎬"
    assert "Accept" in given

    signed = {name: value for name, value in given["Webhook"]["headers"].items() if name[:8] == "webhook-"}
    assert await post(hook, event, signed) == 200
    for forged, headers in (
        ({**event, "job_id": "forged"}, signed),
        (event, {**signed, "webhook-id": "evt_other"}),
        (event, {**signed, "webhook-timestamp": "1700000000"}),
        (event, {**signed, "webhook-signature": "v1,AAAA"}),
    ):
        assert await post(hook, forged, headers) == 401
    (newest, *_) = await n8n.list_executions(saved)
    given = await n8n.wait_for_status(newest["id"], "success")
    assert "Refuse" in given
    assert "Accept" not in given
    await n8n.deactivate(saved)
    await own.call("DELETE", f"/v1/endpoints/{made['id']}")


async def post(url: str, event: dict[str, Any], headers: dict[str, str]) -> int:
    """Post an event in the bytes that the bridge signs; the status."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {**headers, "content-type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_n8n_s_header_auth_lets_in_who_sends_the_header(
    n8n: N8n, own: Bridge, simulator: Simulator
) -> None:
    """A Wait node with Header Auth answers 403; with the callback's `headers` it resumes."""
    job = await simulator.make("sync_job", set=COMPLETED)
    workflow = await load(n8n, own, "wait-for-job", **{"put the id here": job})
    wait = find(workflow, "Wait")
    wait["parameters"]["incomingAuthentication"] = "headerAuth"
    wait["credentials"] = await n8n.make_credential("httpHeaderAuth", name="X-Hook-Key", value="let-me-in")
    execution = await n8n.execute(await n8n.save(workflow))
    registered = (await n8n.wait_for_status(execution, "waiting"))["Register"]
    await wait_for_refusal(own, registered["id"], 403)
    change = {"headers": {"X-Hook-Key": "let-me-in"}}
    assert (await own.call("PATCH", f"/v1/callbacks/{registered['id']}", change))[0] == 200
    given = await n8n.wait_for_status(execution, "success")
    assert given["Wait"]["body"]["job_id"] == job
    assert given["Wait"]["headers"]["x-hook-key"] == "let-me-in"


async def test_the_node_s_credential_is_tested(n8n: N8n, own: Bridge) -> None:
    """What the editor shows below a saved credential: the key is good, or it is not."""
    for key, wanted in ((API_KEY, "OK"), ("brk_wrong", "Error")):
        data = {"url": own.url, "apiKey": key}
        saved = (await n8n.make_credential("reelbridgeApi", **data))["reelbridgeApi"]
        login = {**saved, "type": "reelbridgeApi", "data": data}
        assert (await n8n.call("POST", "/credentials/test", {"credentials": login}))["status"] == wanted


async def list_endpoints(bridge: Bridge) -> list[dict[str, Any]]:
    """The endpoints that trigger nodes have made."""
    _, listed = await bridge.call("GET", "/v1/endpoints")
    return [each for each in listed["data"] if each["description"] == "n8n"]


async def list_fired(n8n: N8n, saved: dict[str, Any], count: int) -> list[str]:
    """Wait until a trigger has fired so often; the jobs, the newest first."""

    async def enough() -> list[dict[str, Any]]:
        found = await n8n.list_executions(saved)
        return found if len(found) >= count else []

    found = await until(enough, within_s=90)
    given = [await n8n.wait_for_status(each["id"], "success") for each in found]
    return [each["reelbridgeTrigger"]["job_id"] for each in given]


async def test_the_nodes_subscribe_wait_survive_a_restart_and_unsubscribe(
    n8n: N8n, own: Bridge, simulator: Simulator
) -> None:
    """Active after a restart, the trigger has the same endpoint; what ended while n8n was down comes to both nodes."""
    trigger = await n8n.save(
        await make_node_workflow(n8n, own, "reelbridgeTrigger", events="sync_job.completed, sync_job.failed")
    )
    await n8n.activate(trigger)
    (endpoint,) = await list_endpoints(own)
    assert endpoint["url"].startswith(f"{n8n.url}/webhook/")
    assert endpoint["events"] == ["sync_job.completed", "sync_job.failed"]
    first, second = [await simulator.make("sync_job", set=RUNNING) for _ in range(2)]
    await own.register(job_id=first, callback_url="inbox:")
    await end(simulator, first)
    assert await list_fired(n8n, trigger, 1) == [first]

    waiter = await n8n.save(await make_node_workflow(n8n, own, "reelbridge", kind="sync_job", jobId=second))
    execution = await n8n.execute(waiter, start="manualTrigger")
    await n8n.wait_for_status(execution, "waiting")
    n8n.stop()
    await end(simulator, second, "failed")
    n8n.start()
    assert [each["id"] for each in await list_endpoints(own)] == [endpoint["id"]]
    event = (await n8n.wait_for_status(execution, "success"))["reelbridge"]
    assert (event["type"], event["job_id"]) == ("sync_job.failed", second)
    assert await list_fired(n8n, trigger, 2) == [second, first]

    await n8n.deactivate(trigger)
    assert await list_endpoints(own) == []
    await n8n.activate(trigger)
    (again,) = await list_endpoints(own)
    assert again["id"] != endpoint["id"]
    await n8n.deactivate(trigger)
