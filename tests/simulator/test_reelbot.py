"""ReelBot's three calls."""

import pytest

from tests.simulator.simulator_client import Sim

VIDEO = {"videoType": "cinematic", "topic": "cats", "brollKeys": ["a.mp4"]}


async def _start(sim: Sim, **fields: object) -> str:
    got = await sim.bot("POST", "/generate", VIDEO | fields, expect=200)
    assert got.json["success"] is True
    return str(got.json["projectId"])


async def test_a_render_from_start_to_link(sim: Sim) -> None:
    """Queued at most 30 s, processing 1 to 5 min, then a link; the status body is flat and has no id."""
    project = await _start(sim)
    queued = (await sim.bot("GET", f"/status/{project}", expect=200)).json
    assert set(queued) == {"status", "message", "createdAt"}
    early = await sim.bot("GET", f"/download/{project}", expect=400)
    assert early.json["code"] == "VIDEO_NOT_READY"
    sim.advance(30)
    processing = (await sim.bot("GET", f"/status/{project}")).json
    assert set(processing) == {"status", "message", "createdAt", "updatedAt"}
    sim.advance(300)
    done = (await sim.bot("GET", f"/status/{project}")).json
    assert (queued["status"], processing["status"], done["status"]) == ("queued", "processing", "completed")
    assert set(done) == {"status", "message", "createdAt", "updatedAt", "outputKey"}
    links = [(await sim.bot("GET", f"/download/{project}", expect=200)).json for _ in range(2)]
    assert links[0]["downloadUrl"] != links[1]["downloadUrl"]


async def test_a_failed_render_says_why(sim: Sim) -> None:
    """`error` appears, and `outputKey` does not."""
    project = await _start(sim, topic="please fail")
    sim.advance(330)
    failed = (await sim.bot("GET", f"/status/{project}")).json
    assert failed["status"] == "failed"
    assert failed["error"]
    assert "outputKey" not in failed


@pytest.mark.parametrize(("project", "status"), [("demo1", "completed"), ("demofail", "failed")])
async def test_demo_projects_take_eight_seconds(sim: Sim, project: str, status: str) -> None:
    """A demo project begins at the first read."""
    assert (await sim.bot("GET", f"/status/{project}")).json["status"] == "queued"
    sim.advance(8)
    assert (await sim.bot("GET", f"/status/{project}")).json["status"] == status


async def test_a_missing_output_is_a_404_of_its_own(sim: Sim) -> None:
    """A completed project without its file gives OUTPUT_NOT_FOUND."""
    project = await sim.job("reelbot_video", set={"status": "completed"})
    got = await sim.bot("GET", f"/download/{project}", expect=404)
    assert got.json["code"] == "OUTPUT_NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("/status/abcdefghijkl", "rb_live_1111222233334444", 404, "NOT_FOUND"),
        ("/status/NOT.AN.ID", "rb_live_1111222233334444", 400, "INVALID_PROJECT_ID"),
        ("/status/abcdefghijkl", "", 401, "UNAUTHORIZED"),
        ("/status/abcdefghijkl", "rm_11112222333344445555", 401, "UNAUTHORIZED"),
        ("/nothing", "rb_live_1111222233334444", 404, "NOT_FOUND"),
    ],
)
async def test_errors_have_reelbots_shape(sim: Sim, path: str, key: str, status: int, code: str) -> None:
    """`success` is false, with a message and a code."""
    got = await sim.bot("GET", path, key=key, expect=status)
    assert got.json["success"] is False
    assert got.json["message"]
    assert got.json["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        {"topic": "t", "brollKeys": ["k"]},  # no videoType
        VIDEO | {"topic": "x" * 501},
        VIDEO | {"brollKeys": []},
        VIDEO | {"brollKeys": ["k"] * 21},
        VIDEO | {"videoType": "narrated", "voiceId": "v"},  # no script
        VIDEO | {"videoType": "narrated", "script": "s"},  # no voice
    ],
)
async def test_parameters_are_checked(sim: Sim, body: object) -> None:
    """The documented rules of "Generate Video"."""
    got = await sim.bot("POST", "/generate", body, expect=400)
    assert got.json["code"] == "VALIDATION_ERROR"


async def test_a_body_that_is_no_json(sim: Sim) -> None:
    """A body that is not JSON has a code of its own, INVALID_JSON."""
    headers = {"X-API-Key": "rb_live_1111222233334444"}
    async with sim.client.post("/reelbot/api/v1/video/generate", data=b"{", headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == "INVALID_JSON"
