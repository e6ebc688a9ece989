"""The Zapier app, run by Zapier's own platform package as its servers run it, against a real bridge."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.docs.pages import ROOT
from tests.e2e.processes import API_KEY, Bridge, Process, Receiver, Simulator, until
from tests.nocode.toolbox import require_toolbox

HERE = Path(__file__).parent
TRIGGER, ACTION = "triggers.event.operation", "creates.wait_for_job.operation"


@dataclass(frozen=True)
class Zapier:
    """The app under Zapier's handler, logged in at a bridge."""

    url: str
    bridge_url: str

    async def __call__(
        self, method: str, *, command: str = "execute", callback_url: str = "", **bundle: Any
    ) -> dict[str, Any]:
        """Run a method with a bundle; `results` and `status`, or `error`."""
        login = {"base_url": self.bridge_url, "api_key": API_KEY}
        event = {
            "command": command,
            "method": method,
            "callback_url": callback_url,
            "bundle": {"authData": login, "inputData": {}, **bundle},
        }
        async with aiohttp.ClientSession() as http, http.post(self.url, json=event) as answer:
            return dict(await answer.json(content_type=None))


@pytest.fixture(scope="module")
def zapier(bridge: Bridge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zapier]:
    """The app of `deploy/zapier` as it stands."""
    toolbox = require_toolbox(listed_in=HERE)
    folder = tmp_path_factory.mktemp("zapier")
    shutil.copytree(ROOT / "deploy" / "zapier", folder / "app")
    shutil.copy(HERE / "serve_zapier.cjs", folder)
    (folder / "node_modules").symlink_to(toolbox.modules)
    process = Process(str(toolbox.node), "serve_zapier.cjs", cwd=folder)
    try:
        yield Zapier(process.wait_for(r"listening at (\S+)").group(1), bridge.url)
    finally:
        process.kill()


async def test_zapier_finds_nothing_wrong_with_the_app(zapier: Zapier) -> None:
    """`zapier validate` runs this command of the platform package and shows what it returns."""
    assert (await zapier("", command="validate"))["results"] == []


async def test_a_login_is_tested_and_named(zapier: Zapier) -> None:
    """The key's project is the connection's name; a wrong key is refused with the bridge's own words."""
    found = await zapier("authentication.test")
    assert found["results"]["project"]["name"] == "default"
    assert (await zapier("authentication.connectionLabel", inputData=found["results"]))[
        "results"
    ] == "default"
    refused = await zapier("authentication.test", authData={"base_url": "http://127.0.0.1:1", "api_key": "x"})
    assert "error" in refused


async def test_a_zap_is_switched_on_fires_and_is_switched_off(
    zapier: Zapier, bridge: Bridge, simulator: Simulator, receiver: Receiver
) -> None:
    """Subscribe, a real delivery, unsubscribe; afterwards nothing comes, and switched on again it does."""
    for turn in ("first", "again"):
        hook = f"{receiver.url}/hooks/standard/{turn}"
        made = await zapier(
            f"{TRIGGER}.performSubscribe", targetUrl=hook, inputData={"events": ["sync_job.completed"]}
        )
        assert "results" in made, made
        job = await simulator.make("sync_job", set={"status": "completed"})
        await bridge.register(job_id=job, callback_url="inbox:")
        (request,) = await receiver.wait(f"/hooks/standard/{turn}")
        fired = (await zapier(f"{TRIGGER}.perform", cleanedRequest=request.event))["results"]
        assert [(each["job_id"], each["type"]) for each in fired] == [(job, "sync_job.completed")]
        assert fired[0]["id"].startswith("evt_")
        gone = await zapier(f"{TRIGGER}.performUnsubscribe", targetUrl=hook, subscribeData=made["results"])
        assert gone["results"]["deleted"] is True
        status, _ = await bridge.call("GET", f"/v1/endpoints/{made['results']['id']}")
        assert status == 404


async def test_the_editor_finds_events_to_choose_and_samples_like_the_real_ones(zapier: Zapier) -> None:
    """The choice has every type; a sample is flat and has an id, as `perform`'s results do."""
    types = (await zapier("triggers.event_type.operation.perform"))["results"]
    assert {"id": "sync_job.failed"}.items() <= next(e for e in types if e["id"] == "sync_job.failed").items()
    for chosen in ([], ["reelbot_video.completed"]):
        (sample, *_) = (await zapier(f"{TRIGGER}.performList", inputData={"events": chosen}))["results"]
        assert sample["id"]
        assert sample["type"] == (chosen or ["generated_post.completed"])[0]
        assert not any(isinstance(each, dict | list) or each is None for each in sample.values())


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_zap_waits_for_a_job_and_resumes_with_its_result(
    zapier: Zapier, bridge: Bridge, simulator: Simulator, receiver: Receiver, status: str
) -> None:
    """The callback URL that Zapier made is called once, whatever the ending is."""
    path = f"/hooks/callback/{status}?signature=a%2Fb"
    job = await simulator.make("sync_job", set={"status": status})
    fields = {"kind": "sync_job", "id": job, "timeout_seconds": 600}
    waiting = await zapier(f"{ACTION}.perform", callback_url=receiver.url + path, inputData=fields)
    assert waiting["status"] == "CALLBACK", "the Zap pauses"
    assert waiting["results"]["job_id"] == job
    (request,) = await receiver.wait(path)
    resumed = await zapier(
        f"{ACTION}.performResume", outputData=waiting["results"], cleanedRequest=request.event
    )
    assert resumed["results"]["status"] == status
    assert resumed["results"]["callback_id"] == waiting["results"]["callback_id"]

    async def closed() -> bool:
        _, callback = await bridge.call("GET", f"/v1/callbacks/{waiting['results']['callback_id']}")
        return bool(callback["state"] == "ended")

    await until(closed)
    assert len(receiver.at(path)) == 1


async def test_two_steps_of_a_zap_wait_each_for_its_own_job(
    zapier: Zapier, simulator: Simulator, receiver: Receiver
) -> None:
    """Two jobs that end in the other order, and one job that both Zaps wait for: each callback URL is called once."""
    jobs = [await simulator.make("sync_job", set={"status": "running"}) for _ in range(2)]
    paths = {f"/hooks/callback/step/{number}": job for number, job in enumerate([*jobs, jobs[0]])}
    for path, job in paths.items():
        fields = {"kind": "sync_job", "id": job}
        waiting = await zapier(f"{ACTION}.perform", callback_url=receiver.url + path, inputData=fields)
        assert waiting["status"] == "CALLBACK"
    for job in reversed(jobs):
        await simulator.control("PATCH", f"/jobs/sync_job/{job}", {"status": "completed"})
        for path in (path for path, waits in paths.items() if waits == job):
            (request,) = await receiver.wait(path)
            assert request.event["job_id"] == job
    assert [len(receiver.at(path)) for path in paths] == [1, 1, 1]


async def test_what_the_bridge_refuses_stands_in_the_error(zapier: Zapier) -> None:
    """The bridge's message is all that a user sees in the editor."""
    fields = {"kind": "sync_job", "id": "x" * 5000}
    refused = await zapier(f"{ACTION}.perform", callback_url="https://hooks.zapier.com/x", inputData=fields)
    assert "VALIDATION_ERROR" in refused["error"]
