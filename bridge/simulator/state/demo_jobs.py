"""Jobs whose ids start with `demo`: they begin at the first read and end 8 simulated seconds later."""

from typing import Any

from bridge.simulator.behaviour.durations import DEMO_S
from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.jobs import scripts
from bridge.simulator.jobs.job_store import SimulatedJob
from bridge.simulator.jobs.objects import (
    new_delivery,
    new_item,
    new_outgoing,
    new_post,
    new_sync_job,
    new_video,
)
from bridge.simulator.jobs.scripts import PlannedPart, ScriptOutcome
from bridge.simulator.jobs.timeline import TimelineStep
from bridge.simulator.state.personas import CONNECTED_ACCOUNTS
from bridge.simulator.state.simulator_state import SimulatorState

_BEGINS_S = 1.0
_PERSONA = "demo-persona"


def find_or_start_demo(state: SimulatorState, kind: str, job_id: str) -> SimulatedJob | None:
    """Return a job, started now if it does not exist and its id starts with `demo`; else None."""
    job = state.jobs.find(kind, job_id)
    if job is None and job_id.startswith("demo") and kind in _SCRIPTS:
        initial, steps = _SCRIPTS[kind](job_id, state.switches)
        persona = _PERSONA if kind == "generated_post" else None
        job = state.start_job(kind, job_id, initial, steps, persona_id=persona, first_read=True)
    return job


Script = tuple[dict[str, Any], tuple[TimelineStep, ...]]


def _outcome(job_id: str) -> ScriptOutcome:
    return scripts.outcome_of(job_id, default="completed")


def _sync(job_id: str, switches: Switches) -> Script:
    initial = new_sync_job(job_id, persona_id=_PERSONA, switches=switches)
    return initial, scripts.sync_steps(DEMO_S, _outcome(job_id), switches)


def _post(job_id: str, switches: Switches) -> Script:
    fails = scripts.fails_by_position(_outcome(job_id), 3)
    media = ("image", "video", "image")
    parts = [
        PlannedPart(fields=new_item(f"{job_id}-item-{n}", media[n - 1]), seconds=4.0 + n, fails=fails[n - 1])
        for n in (1, 2, 3)  # the last ends at DEMO_S
    ]
    initial = new_post(job_id, persona_id=_PERSONA, source_post_id="demo-source-post", switches=switches)
    return initial, scripts.post_steps(parts, begins_s=_BEGINS_S, switches=switches)


def _item(job_id: str, switches: Switches) -> Script:
    if "voice" in job_id:
        done = new_item(job_id, "video") | {
            "status": "completed",
            "url": f"https://cdn.reelmirror.example/{job_id}.mp4",
        }
        fails = _outcome(job_id) == "failed"
        steps = scripts.voice_steps(job_id, seconds=DEMO_S, fails=fails, switches=switches, alone=True)
        return done, steps
    item = new_item(job_id, "image")
    part = PlannedPart(fields=item, seconds=DEMO_S - _BEGINS_S, fails=_outcome(job_id) == "failed")
    return item, scripts.item_steps(part, begins_s=_BEGINS_S, switches=switches, alone=True)


def _outgoing(job_id: str, switches: Switches) -> Script:
    fails = scripts.fails_by_position(_outcome(job_id), 2)
    parts = [
        PlannedPart(
            fields=new_delivery(f"{job_id}-delivery-{n}", account), seconds=DEMO_S - 2 + n, fails=fails[n - 1]
        )
        for n, account in enumerate(CONNECTED_ACCOUNTS, start=1)
    ]
    items = [
        {
            "id": f"{job_id}-piece-1",
            "generated_media_item_id": "demo-item",
            "position": 0,
            "use_voice_converted": False,
        }
    ]
    initial = new_outgoing(job_id, persona_id=_PERSONA, caption="hello", items=items)
    return initial, scripts.publish_steps(parts, at_s=0.0, switches=switches)


def _video(job_id: str, switches: Switches) -> Script:
    steps = scripts.video_steps(
        queued_s=2.0, processing_s=DEMO_S - 2.0, fails=_outcome(job_id) == "failed", switches=switches
    )
    return new_video(), steps


_SCRIPTS = {
    "sync_job": _sync,
    "generated_post": _post,
    "generated_media_item": _item,
    "outgoing_post": _outgoing,
    "reelbot_video": _video,
}
